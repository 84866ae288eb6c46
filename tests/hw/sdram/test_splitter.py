"""Segments against plain arithmetic on addresses."""

import dataclasses
import random

from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.sdram.chips import CHIPS
from hw.sdram.splitter import RequestSplitter

CHIP = dataclasses.replace(CHIPS["IS42S16160G-7"], rows=2048, columns=8)


def segments(address, words, write):
    """Bank, row, column, more and write of each run of words in one row."""
    found = []
    for place in range(address, address + words):
        place %= CHIP.words
        row, bank, column = place >> 5, place >> 3 & 3, place & 7
        if column == 0 or place == address:
            found.append([bank, row, column, -1, write])
        found[-1][3] += 1
    return [tuple(each) for each in found]


REQUESTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, CHIP.words - 1), st.integers(CHIP.words - 40, CHIP.words - 1)),
        st.one_of(st.integers(0, 3), st.integers(0, 80)),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=30)
@given(REQUESTS, st.integers(0, 99))
def test_segments(requests, seed):
    unit, found = RequestSplitter(CHIP), []
    expected = [each for request in requests for each in segments(*request)]
    gaps = random.Random(seed)

    async def feed(ctx):
        for address, words, write in requests:
            await ctx.tick().repeat(gaps.choice([1, 1, 1, 3]))
            ctx.set(unit.request.payload, {"address": address, "words": words, "write": write})
            ctx.set(unit.request.valid, 1)
            await ctx.tick().until(unit.request.ready)
            ctx.set(unit.request.valid, 0)

    async def take(ctx):
        # Words too many would show in the clocks at the end.
        for _ in range(4 * len(expected) + 8 * len(requests) + 20):
            ready = gaps.random() < 0.7
            ctx.set(unit.segment.ready, ready)
            _, _, valid, it = await ctx.tick().sample(unit.segment.valid, unit.segment.payload)
            if valid and ready:
                found.append((it.bank, it.row, it.column, it.more, it.write))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(take)
    simulator.run()
    assert found == expected


def test_a_segment_a_clock():
    unit, valid = RequestSplitter(CHIP), []

    async def bench(ctx):
        ctx.set(unit.segment.ready, 1)
        ctx.set(unit.request.valid, 1)
        ctx.set(unit.request.payload, {"address": 6, "words": 4, "write": 0})
        for _ in range(20):
            await ctx.tick()
            valid.append(ctx.get(unit.segment.valid))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert all(valid)
