"""The core's ports; what it computes is compared in tests/sim/bench."""

import numpy as np
from amaranth.sim import Simulator

from hw.core import Core
from hw.design import Design
from hw.schedule import make_schedule


def word(value) -> int:
    return int(np.float32(value).view(np.uint32))


def drive(batch, bench):
    """Run `bench` on a core for a network of one neuron whose buffer always has samples."""
    design = Design(layers=(1, 1), processing_elements=1, mapping=("row",), batch=batch)
    core = Core(make_schedule(design))

    async def feed(ctx):
        ctx.set(core.i.valid, 1)
        ctx.set(core.i.payload, word(0.5))

    async def run(ctx):
        ctx.set(core.rate, word(0.25))
        if batch > 1:
            ctx.set(core.batch, batch)
        await ctx.tick().until(core.loaded)
        await bench(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(run)
    simulator.run()


async def begin(ctx, core, samples):
    ctx.set(core.samples, samples)
    ctx.set(core.start, 1)
    await ctx.tick()
    ctx.set(core.start, 0)


def test_stop_ends_the_run_with_the_sample():
    async def bench(ctx, core):
        await begin(ctx, core, 1000)
        await ctx.tick().until(core.trained == 3)
        ctx.set(core.stop, 1)
        await ctx.tick().until(core.done)
        assert ctx.get(core.trained) == 3

    drive(1, bench)


def test_stop_ends_the_run_with_the_batch():
    async def bench(ctx, core):
        await begin(ctx, core, 1000)
        await ctx.tick().until(core.trained == 5)
        ctx.set(core.stop, 1)
        await ctx.tick()
        ctx.set(core.stop, 0)
        await ctx.tick().until(core.done)
        assert ctx.get(core.trained) == 8

    drive(4, bench)


def test_a_stop_as_the_run_ends_does_not_stop_the_next():
    async def bench(ctx, core):
        await begin(ctx, core, 2)
        ctx.set(core.stop, 1)
        await ctx.tick().until(core.done)
        ctx.set(core.stop, 0)
        await begin(ctx, core, 3)
        await ctx.tick().until(core.done)
        assert ctx.get(core.trained) == 3

    drive(1, bench)


def test_a_run_of_no_samples_ends():
    async def bench(ctx, core):
        await begin(ctx, core, 0)
        await ctx.tick().until(core.done)
        assert ctx.get(core.trained) == 0

    drive(1, bench)
