"""The memory of all weights against banks: the same words, and the clocks that it says it takes."""

import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.control import active_counts
from hw.core import Core
from hw.design import Design
from hw.schedule import design_for, make_schedule
from hw.unified import UnifiedMemory
from sim.cycles import CycleModel
from sim.golden import Golden, LearningRate, initial_weights

CYCLES = 60


def unified(pes, batch=1):
    return make_schedule(design_for((5, 6, 4), pes, memory="unified", batch=batch))


def accesses(schedule, rng):
    """Of each cycle the address and count of what is read and of what is written, or None.

    Counts are indices. An address has always the same, and nothing reads in a cycle what is written
    in the same one.
    """
    design, counts = schedule.design, len(active_counts(schedule))

    def one(chance):
        address = int(rng.integers(design.bank_words))
        if design.batch > 1:
            address += int(rng.integers(2)) << (design.bank_words - 1).bit_length()
        return (address, address % counts) if rng.random() < chance else None

    pairs = [(one(0.5), one(0.4)) for _ in range(CYCLES)]
    return [(r if r and w and r[0] != w[0] else None, w) if r and w else (r, w) for r, w in pairs]


@settings(max_examples=40)
@given(st.integers(1, 7), st.sampled_from([1, 4]), st.integers(0, 1000))
def test_words_and_clocks_are_those_of_banks(pes, batch, seed):
    schedule, rng = unified(pes, batch), np.random.default_rng(seed)
    memory, plan = UnifiedMemory(schedule), accesses(unified(pes, batch), rng)
    counts = active_counts(schedule)
    banks: dict[tuple[int, int], int] = {}
    wrong, lengths = [], []

    async def drive(ctx):
        due: list[tuple[int, int]] = []  # PE and word that the slot before has asked for
        for cycle, (read, write) in enumerate(plan):
            following = plan[cycle + 1][1] if cycle + 1 < CYCLES else None
            ctx.set(memory.read, read is not None)
            ctx.set(memory.read_address, read[0] if read else 0)
            ctx.set(memory.read_count, read[1] if read else 0)
            ctx.set(memory.write_next, following is not None)
            ctx.set(memory.write_count, following[1] if following else 0)
            ctx.set(memory.write_address, write[0] if write else 0)
            sums = rng.integers(0, 1 << 32, pes).tolist()
            for pe, word in enumerate(sums):
                ctx.set(memory.sums[pe], word)
            clocks = 1
            while not ctx.get(memory.enable):
                await ctx.tick()
                clocks += 1
            lengths.append(clocks)
            for pe, word in due:
                if ctx.get(memory.weights[pe]) != word:
                    wrong.append((cycle, pe))
            due = []
            if read:
                # What has never been written may be anything.
                there = [(pe, banks.get((pe, read[0]))) for pe in range(counts[read[1]])]
                due = [(pe, word) for pe, word in there if word is not None]
            if write:
                banks.update({(pe, write[0]): sums[pe] for pe in range(counts[write[1]])})
            await ctx.tick()

    # The first cycle cannot write: nothing has announced it.
    plan[0] = (plan[0][0], None)
    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert not wrong
    expected = [1]
    for (read, _), (_, write) in itertools.pairwise(plan):
        expected.append(max([1, *(counts[each[1]] for each in (read, write) if each)]))
    assert lengths == expected


def drive(design, bench, samples=40, *, train=True):
    """Run `bench` on a core that has weights and gets samples; the golden model's outputs."""
    core, rng = Core(make_schedule(design)), np.random.default_rng(1)
    weights = initial_weights(design.layers, 1)
    inputs = rng.standard_normal((samples, design.layers[0])).astype(np.float32)
    labels = rng.random((samples, design.layers[-1])).astype(np.float32)
    words = np.concatenate([inputs, labels], axis=1).view(np.uint32).ravel().tolist()
    layers = list(zip(design.weight_layers, weights.weights, weights.biases, strict=True))
    places = [
        (place, value)
        for layer, matrix, biases in layers
        for n in range(layer.outputs)
        for place, value in [
            (layer.bias_address(n), biases[n]),
            *((layer.weight_address(n, k), matrix[n, k]) for k in range(layer.inputs)),
        ]
    ]

    async def feed(ctx):
        for word in words:
            ctx.set(core.i.payload, word)
            ctx.set(core.i.valid, 1)
            await ctx.tick().until(core.i.ready)
        ctx.set(core.i.valid, 0)

    async def run(ctx):
        for place, value in places:
            ctx.set(core.weight_address, core.address.encode(*place))
            ctx.set(core.weight_data, int(np.float32(value).view(np.uint32)))
            ctx.set(core.weight_write, 1)
            await ctx.tick()
        ctx.set(core.weight_write, 0)
        ctx.set(core.rate, int(np.float32(0.25).view(np.uint32)))
        await ctx.tick().until(core.loaded)
        await bench(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(run)
    simulator.run()
    golden = Golden(design, weights, LearningRate(rate=0.25))
    if not train:
        return [golden.infer(x) for x in inputs]
    return [golden.train(x, y).activations[-1] for x, y in zip(inputs, labels, strict=True)]


DESIGN = Design(
    layers=(3, 4, 2), processing_elements=3, mapping=("row", "column"), memory="unified"
)


@pytest.mark.parametrize("infer", [False, True])
def test_each_prediction_is_valid_for_one_clock(infer):
    """In runs of forward passes alone it leaves while the next sample's weights are read."""
    found = []

    async def bench(ctx, core):
        ctx.set(core.samples, 10)
        ctx.set(core.infer, infer)
        ctx.set(core.start, 1)
        await ctx.tick()
        ctx.set(core.start, 0)
        while not ctx.get(core.done):
            if ctx.get(core.prediction_valid):
                found.append(ctx.get(core.prediction))
            await ctx.tick()
        model = CycleModel(core.schedule, infer=infer)
        assert ctx.get(core.clocks) == model.run_clocks(model.starts(10))

    due = drive(DESIGN, bench, train=not infer)
    assert found == np.concatenate(due[:10]).view(np.uint32).tolist()


@pytest.mark.parametrize("after", range(3))
def test_a_pulse_of_stop_is_seen_in_every_clock(after):
    """Also in those in which the machine waits."""
    taken = []

    async def bench(ctx, core):
        for clock in range(60 + after, 130, 3):
            ctx.set(core.samples, 1000)
            ctx.set(core.start, 1)
            await ctx.tick()
            ctx.set(core.start, 0)
            await ctx.tick().repeat(clock)
            ctx.set(core.stop, 1)
            await ctx.tick()
            ctx.set(core.stop, 0)
            trained = ctx.get(core.trained)
            for _ in range(2 * core.schedule.clocks_per_iteration):
                await ctx.tick()
            taken.append((ctx.get(core.busy), ctx.get(core.trained) - trained))

    drive(DESIGN, bench, samples=120)
    # A sample that begins in the clock of the pulse still counts.
    assert all(busy == 0 and more <= 1 for busy, more in taken), taken


def test_distributed_machines_wait_for_nothing():
    schedule = make_schedule(design_for((5, 6, 4), 3))
    assert all(not len(cycles) for op in schedule.operations for cycles in op.waits)
    assert schedule.clocks_per_iteration == schedule.training.interval
