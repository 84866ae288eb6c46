import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.fp.bits import leading_zeros, lost_by_shift


def evaluate(m, inputs, outputs, cases):
    """Values of `outputs` for each case, a tuple of values of `inputs`."""
    seen = []

    async def bench(ctx):
        for case in cases:
            for signal, value in zip(inputs, case, strict=True):
                ctx.set(signal, value)
            await ctx.delay(1e-6)
            seen.append(tuple(ctx.get(output) for output in outputs))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(seen) == len(cases) > 0
    return seen


@pytest.mark.parametrize("width", [2, 3, 4, 5, 8, 11, 28])
def test_leading_zeros(width):
    m, value = Module(), Signal(width)
    count, some = leading_zeros(m, "zeros", value)
    draw = random.Random(1)
    cases = [(0,), *((draw.getrandbits(width) >> draw.randrange(width),) for _ in range(300))]
    seen = evaluate(m, [value], [count, some], cases)
    for (value_,), (count_, some_) in zip(cases, seen, strict=True):
        assert some_ == (value_ != 0)
        if value_:
            assert count_ == width - value_.bit_length(), f"{value_:#x}"
        else:
            assert count_ >= width - 1


@pytest.mark.parametrize("unit", [1, 4])
def test_lost_by_shift(unit):
    m, value, amount = Module(), Signal(11), Signal(3)
    lost = lost_by_shift(m, "lost", value, amount, unit)
    draw = random.Random(2)
    cases = [(1 << draw.randrange(11) | 1024, draw.randrange(8)) for _ in range(300)]
    seen = evaluate(m, [value, amount], [lost], cases)
    for (value_, amount_), (lost_,) in zip(cases, seen, strict=True):
        assert lost_ == (value_ % (1 << amount_ * unit) != 0), f"{value_:#x} >> {amount_ * unit}"
