"""The UART alone, with divisors of real boards, against a line that is written out in clocks."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.errors import InputError
from hw.link.uart import UartReceiver, UartTransmitter, divisor


def line(data, clocks_per_bit):
    """Levels of the line, one a clock, of bytes sent back to back by another clock."""
    bits = [1] * 5
    for byte in data:
        bits += [0, *(byte >> k & 1 for k in range(8)), 1]
    bits += [1] * 5
    ends = np.round(np.cumsum([clocks_per_bit] * len(bits))).astype(int)
    return np.repeat(bits, np.diff(ends, prepend=0)).tolist()


def receive(unit, levels):
    """Bytes, and whether each was an error."""
    found = []

    async def bench(ctx):
        for level in levels:
            ctx.set(unit.rx, level)
            if ctx.get(unit.valid):
                found.append((ctx.get(unit.data), ctx.get(unit.error)))
            await ctx.tick()

    run(unit, bench)
    return found


def run(unit, bench):
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=8), st.integers(8, 40), st.floats(-0.02, 0.02))
def test_bytes_come_from_a_clock_that_is_a_little_off(data, clocks, error):
    assert receive(UartReceiver(clocks), line(data, clocks * (1 + error))) == [
        (byte, 0) for byte in data
    ]


@pytest.mark.parametrize("clocks", [4, 5, 6, 7])
def test_the_smallest_divisors(clocks):
    data = bytes(range(0, 256, 5))
    assert receive(UartReceiver(clocks), line(data, clocks)) == [(byte, 0) for byte in data]


@pytest.mark.parametrize("error", [-0.03, 0, 0.03])
def test_115200_baud_at_25_mhz(error):
    clocks = divisor(25e6, 115_200)
    assert clocks == 217
    data = bytes([0x00, 0xFF, 0x55, 0xAA, 0xC0])
    levels = line(data, 25e6 / 115_200 * (1 + error))
    assert receive(UartReceiver(clocks), levels) == [(byte, 0) for byte in data]


def test_a_glitch_is_no_start_bit():
    levels = [1] * 20 + [0] * 5 + line(b"\x35", 16)
    assert receive(UartReceiver(16), levels) == [(0x35, 0)]


def test_no_stop_bit_is_an_error_and_the_next_byte_is_right():
    broken = [1] * 20 + [0] * 400
    assert receive(UartReceiver(16), broken + line(b"\x99\x01", 16)) == [
        (0, 1),
        (0x99, 0),
        (0x01, 0),
    ]


@pytest.mark.parametrize("clocks", [1, 4, 9, 217])
def test_transmitted_levels_are_the_line_s(clocks):
    unit = UartTransmitter(clocks)
    data = np.random.default_rng(clocks).bytes(6)
    levels = []

    async def send(ctx):
        await ctx.tick().repeat(3)
        for byte in data:
            ctx.set(unit.i.payload, byte)
            ctx.set(unit.i.valid, 1)
            await ctx.tick().until(unit.i.ready)
        ctx.set(unit.i.valid, 0)
        await ctx.tick().repeat(12 * clocks)

    async def watch(ctx):
        while True:
            levels.append(ctx.get(unit.tx))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    # From the first start bit on, each byte in 10 bits, with a clock for the hand-over.
    start = levels.index(0)
    expected = []
    for byte in data:
        bits = [0, *(byte >> k & 1 for k in range(8)), 1]
        expected += [*np.repeat(bits, clocks).tolist(), 1]
    assert levels[start : start + len(expected) - 1] == expected[:-1]
    assert levels[:start] == [1] * start and set(levels[start + len(expected) :]) <= {1}


@given(st.integers(1_000_000, 200_000_000), st.integers(300, 12_000_000))
def test_a_divisor_is_right_or_refused(clock, baud):
    try:
        clocks = divisor(clock, baud)
    except InputError as error:
        assert str(baud) in str(error).replace(",", "") or f"{baud:g}" in str(error)
        assert clock / baud < 4.5 or abs(clock / round(clock / baud) / baud - 1) > 0.02
    else:
        assert clocks >= 4 and abs(clock / clocks - baud) <= 0.02 * baud


@pytest.mark.parametrize(
    "clock, baud, text",
    [
        (25e6, 3e6, "must be a whole part of the clock frequency 2.5e.07 within 2%, not 3e.06"),
        (25e6, 10e6, "at most 6.25e.06, a 4th of the clock frequency, not 1e.07"),
        (25e6, 0, "must be more than 0, not 2.5e.07 and 0"),
        (-1, 9600, "must be more than 0, not -1 and 9600"),
    ],
)
def test_bad_rates(clock, baud, text):
    with pytest.raises(InputError, match=text):
        divisor(clock, baud)
