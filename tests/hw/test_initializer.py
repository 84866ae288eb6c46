"""The initializer's RTL against the golden model's weights, and what a core does with it."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hw.core import Core
from hw.design import ACTIVATIONS, Design
from hw.initializer import WeightInitializer, initialize_clocks
from hw.schedule import make_schedule
from sim.bench.log import addresses, flatten
from sim.golden import Golden, LearningRate
from sim.initial import seeded_weights


def bits(values):
    return [int(word) for word in np.asarray(values, np.float32).view(np.uint32)]


def run(design, seeds):
    """What is written where, for each seed, and for how many clocks it is initializing."""
    unit = WeightInitializer(design)
    written, clocks = [], []

    async def bench(ctx):
        assert not ctx.get(unit.initializing)
        for seed in seeds:
            found, count = [], 0
            ctx.set(unit.seed, seed)
            ctx.set(unit.initialize, 1)
            await ctx.tick()
            ctx.set(unit.seed, ~seed & 0xFFFFFFFF)
            while ctx.get(unit.initializing):
                # While initializing, to be ignored.
                ctx.set(unit.initialize, count % 3 == 0)
                if ctx.get(unit.write):
                    found.append(((ctx.get(unit.bank), ctx.get(unit.word)), ctx.get(unit.data)))
                count += 1
                await ctx.tick()
            ctx.set(unit.initialize, 0)
            for _ in range(4):
                assert not ctx.get(unit.write)
                await ctx.tick()
            written.append(found)
            clocks.append(count)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return written, clocks


@st.composite
def designs(draw):
    layers = draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    each = {"min_size": len(layers) - 1, "max_size": len(layers) - 1}
    return Design(
        layers=tuple(layers),
        processing_elements=draw(st.integers(1, 6)),
        mapping=tuple(draw(st.lists(st.sampled_from(["row", "column"]), **each))),
        activation=",".join(draw(st.lists(st.sampled_from(ACTIVATIONS), **each))),
        seeded_weights=True,
    )


def example_design(layers, pes, mapping, activation="sigmoid"):
    return Design(
        layers=layers,
        processing_elements=pes,
        mapping=mapping,
        activation=activation,
        seeded_weights=True,
    )


@settings(max_examples=25)
@given(designs(), st.integers(0, 0xFFFFFFFF))
@example(example_design((1, 1), 1, ("row",)), 0)
@example(example_design((1, 1), 1, ("column",)), 0xFFFFFFFF)
@example(example_design((40, 7, 9), 4, ("column", "row"), "relu,tanh"), 1)
@example(example_design((5, 9, 7, 3), 4, ("row", "column", "column")), 7)
def test_every_word_is_the_golden_model_s(design, seed):
    written, clocks = run(design, [seed, seed + 1 & 0xFFFFFFFF])
    assert clocks == [initialize_clocks(design)] * 2
    for found, number in zip(written, (seed, seed + 1 & 0xFFFFFFFF), strict=True):
        places = addresses(design)
        values = bits(flatten(seeded_weights(design, number)))
        assert len(found) == len(places)
        assert dict(found) == dict(zip(places, values, strict=True))


class Bench:
    """A core in Amaranth's simulator that makes its weights itself."""

    def __init__(self, design):
        self.design = design
        self.core = Core(make_schedule(design))

    async def initialize(self, ctx, seed):
        ctx.set(self.core.seed, seed)
        ctx.set(self.core.initialize, 1)
        await ctx.tick()
        ctx.set(self.core.initialize, 0)

    async def train(self, ctx, inputs, labels):
        ctx.set(self.core.rate, bits([0.3])[0])
        ctx.set(self.core.samples, len(inputs))
        ctx.set(self.core.start, 1)
        await ctx.tick()
        ctx.set(self.core.start, 0)
        ctx.set(self.core.i.valid, 1)
        for value in bits(np.concatenate([inputs, labels], axis=1).ravel()):
            ctx.set(self.core.i.payload, value)
            await ctx.tick().until(self.core.i.ready)
        ctx.set(self.core.i.valid, 0)

    async def weights(self, ctx):
        found = []
        for place in addresses(self.design):
            ctx.set(self.core.weight_address, self.core.address.encode(*place))
            await ctx.tick().repeat(2)
            found.append(ctx.get(self.core.weight))
        return found

    def run(self, drive):
        simulator = Simulator(self.core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(drive)
        simulator.run()


def samples(design, count=3):
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((count, design.layers[0])).astype(np.float32)
    return inputs, rng.integers(0, 2, (count, design.layers[-1])).astype(np.float32)


@pytest.mark.parametrize(
    "design",
    [
        example_design((3, 5, 2), 2, ("row", "column"), "relu,sigmoid"),
        example_design((5, 2, 3), 3, ("column", "row")),
    ],
    ids=lambda design: "-".join(design.mapping),
)
def test_a_core_trains_from_a_seed_as_the_golden_model_does(design):
    bench = Bench(design)
    inputs, labels = samples(design)

    async def drive(ctx):
        for seed in (0, 77):
            start = seeded_weights(design, seed)
            await bench.initialize(ctx, seed)
            await ctx.tick().until(~bench.core.initializing)
            assert await bench.weights(ctx) == bits(flatten(start))
            await bench.train(ctx, inputs, labels)
            await ctx.tick().until(bench.core.done)
            golden = Golden(design, start, LearningRate(rate=0.3))
            for x, y in zip(inputs, labels, strict=True):
                golden.train(x, y)
            assert await bench.weights(ctx) == bits(flatten(golden.weights))

    bench.run(drive)


def test_nothing_disturbs_a_core_that_is_initializing():
    design = example_design((3, 5, 2), 2, ("row", "column"))
    bench = Bench(design)
    core = bench.core

    async def drive(ctx):
        await bench.initialize(ctx, 5)
        ctx.set(core.start, 1)
        ctx.set(core.samples, 1)
        ctx.set(core.weight_write, 1)
        ctx.set(core.weight_address, core.address.encode(0, 1))
        count = 0
        while ctx.get(core.initializing):
            assert not ctx.get(core.busy)
            count += 1
            if count == initialize_clocks(design):
                ctx.set(core.start, 0)
                ctx.set(core.weight_write, 0)
            await ctx.tick()
        assert count == initialize_clocks(design)
        assert await bench.weights(ctx) == bits(flatten(seeded_weights(design, 5)))
        assert not ctx.get(core.done)

    bench.run(drive)


def test_a_core_that_trains_does_not_initialize():
    design = example_design((3, 5, 2), 2, ("row", "column"))
    bench = Bench(design)
    core = bench.core
    inputs, labels = samples(design)

    async def drive(ctx):
        await bench.initialize(ctx, 5)
        await ctx.tick().until(~core.initializing)
        # With the start and while busy.
        ctx.set(core.initialize, 1)
        await bench.train(ctx, inputs, labels)
        while ctx.get(core.busy):
            assert not ctx.get(core.initializing)
            ctx.set(core.initialize, ctx.get(core.clocks) < 100)
            await ctx.tick()
        golden = Golden(design, seeded_weights(design, 5), LearningRate(rate=0.3))
        for x, y in zip(inputs, labels, strict=True):
            golden.train(x, y)
        assert await bench.weights(ctx) == bits(flatten(golden.weights))

    bench.run(drive)
