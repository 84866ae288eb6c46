"""Numbers of records, and the supply's part in a run. The whole is in tests/sim/bench."""

import random

import pytest
from amaranth.sim import Simulator

from hw.design import Design
from hw.sdram.chips import find_chip
from hw.supply import EpochOrder, most_records
from sim.order import run_attempts, run_order


def numbers(most: int, records: int, samples: int, seed: int, readiness: float) -> tuple:
    """What EpochOrder gives, and the clocks from `begin_run` to the last number."""
    dut, found, clocks = EpochOrder(most), [], 0
    rng = random.Random(seed)

    async def bench(ctx):
        nonlocal clocks
        for port, value in ((dut.records, records), (dut.samples, samples), (dut.seed, seed)):
            ctx.set(port, value)
        ctx.set(dut.begin_run, 1)
        await ctx.tick()
        ctx.set(dut.begin_run, 0)
        while ctx.get(dut.busy):
            ctx.set(dut.o.ready, rng.random() < readiness)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                found.append(ctx.get(dut.o.payload))
            await ctx.tick()
            clocks += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, clocks


@pytest.mark.parametrize(
    ("most", "records", "samples", "seed"),
    [
        (8, 8, 20, 0),
        (8, 5, 23, 7),
        (100, 1, 4, 99),
        (1000, 1000, 1500, 12345),
        (1000, 513, 700, 0xFFFFFFFF),
        (1 << 20, 3, 12, 1 << 31),
    ],
)
def test_numbers_are_those_of_the_golden_order(most, records, samples, seed):
    found, _ = numbers(most, records, samples, seed, 0.7)
    assert found == run_order(records, samples, seed).tolist()


@pytest.mark.parametrize("seed", [0, 3])
def test_clocks_of_a_number(seed):
    _, clocks = numbers(100, 70, 200, seed, 1.0)
    tries = run_attempts(70, 200, seed)
    assert clocks == ((1 + 9 * tries) if seed else (2 + tries)).sum()


def test_an_order_can_be_cancelled_at_any_time_and_begun_again():
    dut = EpochOrder(64)
    found = []

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for port, value in ((dut.records, 40), (dut.samples, 40), (dut.seed, 9)):
            ctx.set(port, value)
        for clocks in range(25):
            ctx.set(dut.begin_run, 1)
            await ctx.tick()
            ctx.set(dut.begin_run, 0)
            await ctx.tick().repeat(clocks + 1)
            ctx.set(dut.cancel, 1)
            await ctx.tick()
            ctx.set(dut.cancel, 0)
            await ctx.tick().repeat(12)
            assert not ctx.get(dut.busy)
        ctx.set(dut.begin_run, 1)
        await ctx.tick()
        ctx.set(dut.begin_run, 0)
        while ctx.get(dut.busy):
            if ctx.get(dut.o.valid):
                found.append(ctx.get(dut.o.payload))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == run_order(40, 40, 9).tolist()


def test_most_records():
    design = Design(
        layers=(784, 10), processing_elements=1, mapping=("row",), sample_format="bytes"
    )
    # 32 MB in records of 824 bytes.
    assert most_records(design, find_chip("MT48LC16M16A2-75")) == (32 << 20) // 824
