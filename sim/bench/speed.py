"""Simulation speed of 784-100-100-10 on 100 PEs: Verilator, and Amaranth's own simulator beside it.

`make bench` runs it. Both simulate the same core while it trains on random samples.
"""

import time
from typing import Any

import numpy as np
from amaranth.sim import Simulator

from hw.core import Core
from hw.schedule import Schedule, design_for, make_schedule
from sim.bench.log import addresses, flatten
from sim.bench.run import Run, simulate
from sim.golden import LearningRate, initial_weights

LAYERS = (784, 100, 100, 10)
PES = 100
SAMPLES = 1000
# Amaranth's simulator: so many words of each bank are loaded, and used in so many clocks.
WORDS = 24


def main() -> None:
    """Measure both and print a line for each, and one for the ratio."""
    schedule = make_schedule(design_for(LAYERS, PES, activation="relu,relu,sigmoid"))
    rng = np.random.default_rng(1)
    inputs = rng.random((SAMPLES, LAYERS[0]), np.float32)
    labels = np.eye(LAYERS[-1], dtype=np.float32)[rng.integers(LAYERS[-1], size=SAMPLES)]
    run = Run(inputs, labels, LearningRate(rate=0.02))
    what = f"{'-'.join(map(str, LAYERS))} on {PES} PEs"
    fast = in_verilator(schedule, run)
    print(f"{what}: {fast:,.0f} clocks/s in Verilator", flush=True)
    slow = in_amaranth(schedule, run)
    print(f"{what}: {slow:,.1f} clocks/s in Amaranth's simulator; ratio {fast / slow:,.0f}")


def in_verilator(schedule: Schedule, run: Run) -> float:
    """Clocks a second of a run, everything that belongs to it included but the building."""
    weights = initial_weights(LAYERS, 1)
    found = simulate(schedule, weights, [run])
    if found.mismatches:
        raise SystemExit(f"the RTL differs from the models: {found.first}")
    return found.clocks_per_second


def in_amaranth(schedule: Schedule, run: Run) -> float:
    """Clocks a second, in the first clocks of a run."""
    core = Core(schedule)
    words = flatten(initial_weights(LAYERS, 1)).view(np.uint32)
    seconds = []

    async def bench(ctx: Any) -> None:
        ctx.set(core.weight_write, 1)
        for (bank, word), value in zip(addresses(schedule.design), words, strict=True):
            if word < WORDS:
                ctx.set(core.weight_address, core.address.encode(bank, word))
                ctx.set(core.weight_data, int(value))
                await ctx.tick()
        ctx.set(core.weight_write, 0)
        ctx.set(core.i.valid, 1)
        for word in np.concatenate([run.inputs[0], run.labels[0]]).view(np.uint32):
            ctx.set(core.i.payload, int(word))
            await ctx.tick().until(core.i.ready)
        ctx.set(core.i.valid, 0)
        await ctx.tick().until(core.loaded)
        ctx.set(core.samples, 1)
        ctx.set(core.start, 1)
        await ctx.tick()
        ctx.set(core.start, 0)
        began = time.perf_counter()
        await ctx.tick().repeat(WORDS)
        seconds.append(time.perf_counter() - began)

    simulator = Simulator(core)
    simulator.add_clock(1)
    simulator.add_testbench(bench)
    simulator.run()
    return WORDS / seconds[0]


if __name__ == "__main__":
    main()
