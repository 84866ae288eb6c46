"""The activation functions' RTL against the golden model, and that against the exact functions."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.activation import interpolation, table
from hw.activation.interpolation import Interpolation
from hw.activation.linear import Identity, Rectifier
from hw.activation.table import FunctionTable
from sim.activations import activate, interpolate, look_up


def values(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = [
        rng.uniform(-17, 17, 2000),
        rng.uniform(-0.1, 0.1, 500),
        rng.integers(0, 1 << 32, 1000, dtype=np.uint32).view(np.float32),
        [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 1.2e-38, 3e38, -3e38],
    ]
    steps = np.concatenate([np.arange(-520, 521) / 64, [4, 8, 16, -4, -8, -16]]).astype(np.float32)
    spread = [np.float32(part) for part in spread]
    below, above = (np.nextafter(steps, np.float32(end)) for end in (-np.inf, np.inf))
    return np.concatenate([*spread, steps, below, above])


def run(unit: FunctionTable, operands: np.ndarray) -> np.ndarray:
    """Feed a new operand every clock; the results, delay-aligned."""
    found = []

    async def bench(ctx):
        for index in range(len(operands) + unit.latency):
            if index < len(operands):
                ctx.set(unit.i, int(operands.view(np.uint32)[index]))
            if index >= unit.latency:
                found.append(ctx.get(unit.o))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(found, np.uint32).view(np.float32)


UNITS = [
    (FunctionTable("sigmoid", 16), ("sigmoid", 16, 0)),
    (FunctionTable("sigmoid", 2048), ("sigmoid", 2048, 0)),
    (FunctionTable("tanh", 512), ("tanh", 512, 0)),
    (Interpolation("sigmoid", 16, 1), ("sigmoid", 16, 1)),
    (Interpolation("sigmoid", 512, 2), ("sigmoid-exact", 2048, 0)),
    (Interpolation("tanh", 256, 1), ("tanh", 256, 1)),
    (Interpolation("tanh", 4096, 2), ("tanh", 4096, 2)),
    (Rectifier(), ("relu", 2048, 0)),
    (Identity(), ("identity", 2048, 0)),
]


@pytest.mark.parametrize(("unit", "function"), UNITS, ids=[str(case[1]) for case in UNITS])
def test_a_new_operand_every_clock(unit, function):
    operands = values(1)
    name, entries, degree = function
    found, expected = run(unit, operands), activate(name, operands, entries, degree)
    assert len(found) == len(operands)
    bits, due = found.view(np.uint32), expected.view(np.uint32)
    wrong = np.flatnonzero((bits != due) & ~(np.isnan(found) & np.isnan(expected)))
    shown = [(hex(operands.view(np.uint32)[at]), hex(bits[at]), hex(due[at])) for at in wrong[:3]]
    assert not len(wrong), f"operand, found, expected: {shown}"
    if name != "identity":
        nan = found[np.isnan(found)].view(np.uint32)
        assert len(nan)
        assert name == "relu" or (nan == 0x7FC00000).all()


# 2^20 operands for each configuration in every run, 2^24 in the slow tier.
SIZES = [1 << 20, pytest.param(1 << 24, marks=pytest.mark.slow)]


def cover(size: int):
    """Operands from -20 to 20, some at random, in parts that fit the caches."""
    rng = np.random.default_rng(size)
    part = 1 << 18
    for first in range(0, size, part):
        even = -20 + 40 * (np.arange(first, first + part) + rng.random(part)) / size
        yield even.astype(np.float32)


def exact(function: str, operands: np.ndarray) -> np.ndarray:
    operands = operands.astype(np.float64)
    return np.tanh(operands) if function == "tanh" else 1 / (1 + np.exp(-operands))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("entries", [16, 64, 256, 2048, 65536])
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_tables_err_by_no_more_than_stated(function, entries, size):
    bound = table.error_bound(function, entries)
    worst = max(
        np.abs(look_up(function, part, entries) - exact(function, part)).max()
        for part in cover(size)
    )
    assert bound / 10 < worst <= bound


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("entries", [16, 64, 256, 512, 4096])
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_interpolations_err_by_no_more_than_stated(function, entries, degree, size):
    bound = interpolation.error_bound(entries, degree) * (2 if function == "tanh" else 1)
    worst = max(
        np.abs(interpolate(function, part, entries, degree) - exact(function, part)).max()
        for part in cover(size)
    )
    assert bound / 10 < worst <= bound


@pytest.mark.parametrize("size", SIZES)
def test_the_exact_sigmoid_is_exact_to_1e_7(size):
    for part in cover(size):
        assert (
            np.abs(activate("sigmoid-exact", part, 2048, 0) - exact("sigmoid", part)).max() < 1e-7
        )
