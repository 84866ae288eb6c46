import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.activation.sigmoid import SigmoidTable
from sim.golden import sigmoid


def values(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = np.concatenate(
        [
            rng.uniform(-9, 9, 3000).astype(np.float32),
            rng.integers(0, 1 << 32, 1000, dtype=np.uint32).view(np.float32),
            np.float32([0.0, -0.0, 8, -8, np.nextafter(np.float32(8), np.float32(0)), 1 / 128]),
            np.float32([np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3e38, -3e38]),
        ]
    )
    steps = (np.arange(-1024, 1025) / 128).astype(np.float32)
    return np.concatenate([spread, steps, np.nextafter(steps, np.float32(np.inf))])


def run(unit: SigmoidTable, operands: np.ndarray) -> np.ndarray:
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


@pytest.mark.parametrize("entries", [16, 2048])
def test_a_new_operand_every_clock(entries):
    operands = values(1)
    found, expected = run(SigmoidTable(entries), operands), sigmoid(operands, entries)
    assert len(found) == len(operands)
    wrong = np.flatnonzero((found != expected) & ~(np.isnan(found) & np.isnan(expected)))
    assert not len(wrong), [(hex(operands[wrong[:3]].view(np.uint32)), found[wrong[:3]])]
    assert (found[np.isnan(found)].view(np.uint32) == 0x7FC00000).all()


@pytest.mark.parametrize("entries", [64, 256, 2048])
def test_error_is_within_its_bound(entries):
    operands = np.linspace(-12, 12, 1 << 18).astype(np.float32)
    exact = 1 / (1 + np.exp(-operands.astype(np.float64)))
    error = np.abs(sigmoid(operands, entries) - exact)
    inside = np.abs(operands) < 8
    assert error[inside].max() <= 2 / entries
    assert error.max() <= 2 / entries + 3.4e-4
