"""What docs/architecture.md says of using the core and no other test proves."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from hw.core import Core
from hw.design import Design
from hw.schedule import make_schedule
from sim.bench.log import addresses, flatten
from sim.golden import Golden, LearningRate, initial_weights

DESIGNS = [
    Design(layers=(3, 4, 2), processing_elements=2, mapping=("row", "column"), buffer_vectors=2),
    Design(layers=(3, 2, 2), processing_elements=3, mapping=("column", "row"), buffer_vectors=4),
    Design(
        layers=(3, 2, 2),
        processing_elements=2,
        mapping=("column", "row"),
        buffer_vectors=4,
        memory="unified",
    ),
]
EACH_DESIGN = pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
SAMPLES = 5


def word(value):
    return int(np.float32(value).view(np.uint32))


class Bench:
    """A core in Amaranth's simulator, its reset, and what a driver does with it."""

    def __init__(self, design, seed=1):
        self.design = design
        self.core = Core(make_schedule(design))
        self.reset = Signal()
        self.weights = initial_weights(design.layers, seed)
        rng = np.random.default_rng(seed)
        self.gaps = rng.integers(0, 40, 1000).tolist()
        self.inputs = rng.standard_normal((SAMPLES, design.layers[0])).astype(np.float32)
        self.labels = rng.integers(0, 2, (SAMPLES, design.layers[-1])).astype(np.float32)

    async def write_weights(self, ctx):
        for place, value in zip(addresses(self.design), flatten(self.weights), strict=True):
            ctx.set(self.core.weight_address, self.core.address.encode(*place))
            ctx.set(self.core.weight_data, word(value))
            ctx.set(self.core.weight_write, 1)
            await ctx.tick()
        ctx.set(self.core.weight_write, 0)

    async def read_weights(self, ctx):
        found = []
        for place in addresses(self.design):
            ctx.set(self.core.weight_address, self.core.address.encode(*place))
            await ctx.tick().repeat(2)
            found.append(ctx.get(self.core.weight))
        return found

    async def feed(self, ctx, gaps=False):
        for value in np.concatenate([self.inputs, self.labels], axis=1).ravel():
            if gaps and (clocks := self.gaps.pop()) > 20:
                await ctx.tick().repeat(clocks)
            ctx.set(self.core.i.payload, word(value))
            ctx.set(self.core.i.valid, 1)
            await ctx.tick().until(self.core.i.ready)
            ctx.set(self.core.i.valid, 0)

    async def begin(self, ctx, rate=0.3, samples=SAMPLES):
        ctx.set(self.core.rate, word(rate))
        ctx.set(self.core.samples, samples)
        ctx.set(self.core.start, 1)
        await ctx.tick()
        ctx.set(self.core.start, 0)

    async def end(self, ctx):
        await ctx.tick().until(self.core.done)

    def run(self, *drivers):
        simulator = Simulator(ResetInserter(self.reset)(self.core))
        simulator.add_clock(1e-6)
        for number, driver in enumerate(drivers):
            simulator.add_testbench(driver, background=number > 0)
        simulator.run()

    def expected(self, rate=0.3):
        golden = Golden(self.design, self.weights, LearningRate(rate=rate))
        for x, y in zip(self.inputs, self.labels, strict=True):
            golden.train(x, y)
        return [word(value) for value in flatten(golden.weights)]


@EACH_DESIGN
def test_a_core_that_waits_for_samples_loses_nothing(design):
    bench, found = Bench(design), []

    async def drive(ctx):
        await bench.write_weights(ctx)
        await bench.begin(ctx)
        await bench.end(ctx)
        found.extend(await bench.read_weights(ctx))
        assert ctx.get(bench.core.clocks) > SAMPLES * bench.core.schedule.clocks_per_iteration

    async def feed(ctx):
        await bench.feed(ctx, gaps=True)

    bench.run(drive, feed)
    assert found == bench.expected()


@EACH_DESIGN
@pytest.mark.parametrize("after", [1, 30, 95])
def test_one_clock_of_reset_at_any_time_is_enough(design, after):
    bench, found = Bench(design), []

    async def drive(ctx):
        for first in (True, False):
            await bench.write_weights(ctx)
            if first:
                ctx.set(bench.core.i.valid, 1)  # words of no meaning
            else:
                ctx.set(bench.core.i.valid, 0)
            await bench.begin(ctx)
            if first:
                await ctx.tick().repeat(after)
                ctx.set(bench.core.i.valid, 0)
                ctx.set(bench.reset, 1)
                await ctx.tick()
                ctx.set(bench.reset, 0)
                assert not ctx.get(bench.core.busy)
        await bench.feed(ctx)
        await bench.end(ctx)
        found.extend(await bench.read_weights(ctx))

    bench.run(drive)
    assert found == bench.expected()


@EACH_DESIGN
def test_a_rate_of_zero_infers_and_weights_are_not_written_while_busy(design):
    bench, found, outputs = Bench(design), [], []

    async def drive(ctx):
        await bench.write_weights(ctx)
        await bench.begin(ctx, rate=0.0)
        ctx.set(bench.core.weight_write, 1)
        ctx.set(bench.core.weight_data, word(99))
        await bench.feed(ctx)
        ctx.set(bench.core.weight_write, 0)
        assert ctx.get(bench.core.busy)
        await bench.end(ctx)
        found.extend(await bench.read_weights(ctx))

    async def watch(ctx):
        async for _, _, valid, value in ctx.tick().sample(
            bench.core.prediction_valid, bench.core.prediction
        ):
            if valid:
                outputs.append(value)

    bench.run(drive, watch)
    assert found == [word(value) for value in flatten(bench.weights)]
    golden = Golden(design, bench.weights, LearningRate(rate=0))
    due = np.concatenate([golden.infer(x) for x in bench.inputs])
    assert outputs == [word(value) for value in due]


def test_samples_that_a_run_leaves_are_the_first_of_the_next():
    bench, found = Bench(DESIGNS[0]), []

    async def drive(ctx):
        await bench.write_weights(ctx)
        await bench.begin(ctx, samples=2)
        await bench.feed(ctx)
        await bench.end(ctx)
        await bench.begin(ctx, samples=SAMPLES - 2)
        await bench.end(ctx)
        found.extend(await bench.read_weights(ctx))

    bench.run(drive)
    assert found == bench.expected()
