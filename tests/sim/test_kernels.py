"""The kernels against numpy, one addition after the other, in every bit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import accumulation, reduction_blocks
from hw.errors import ToolError
from sim import kernels

ROOT = Path(__file__).parents[2]
TINY = np.finfo(np.float32).tiny
CANONICAL_NAN = 0x7FC00000

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 70)


def operands(rng, *shape):
    """Any bits at all, with more of those that cancel and vanish."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return rng.standard_normal(shape).astype(np.float32)
    bits = rng.integers(0, 2**32, shape, dtype=np.uint32)
    if kind == 1:
        return bits.view(np.float32)
    # Products of the ones, sums of the others lie about the smallest normal number.
    low = (63 if kind == 2 else 1) << 23
    few = bits & np.uint32(0x80C0_0001 if rng.integers(2) else 0x80FF_FFFF)
    return (few + np.uint32(low)).view(np.float32)


def bits(values):
    return np.where(np.isnan(values), np.uint32(CANONICAL_NAN), values.view(np.uint32))


def check(found, expected):
    assert found.shape == expected.shape and found.dtype == np.float32
    wrong = np.flatnonzero(bits(found) != bits(expected))
    assert not len(wrong), (
        f"{len(wrong)} wrong, the first at {wrong[0]}: {bits(found).flat[wrong[0]]:08x}, "
        f"should be {bits(expected).flat[wrong[0]]:08x}"
    )


class Reference:
    """numpy's float32, and the orders of additions as hw.design tells them."""

    def __init__(self, flush):
        self.flush = flush

    def flushed(self, values):
        small = self.flush & (np.abs(values) < TINY)
        return np.where(small, np.copysign(np.float32(0), values), values)

    def multiply(self, x, y):
        with np.errstate(all="ignore"):
            return self.flushed(x * y)

    def add(self, x, y):
        with np.errstate(all="ignore"):
            return self.flushed(x + y)

    def accumulate(self, matrix, vector, first, stages):
        products = list(self.multiply(matrix, vector[:, None]))
        products = [*([] if first is None else [first]), *products]
        order = accumulation(len(products), stages)
        if order.rotating:
            sums = products[:stages]
            for k in range(stages, len(products)):
                # The sum that has been in the adder for the longest leaves it and meets the next.
                sums = [*sums[1:], self.add(sums[0], products[k])]
        else:
            sums = [self.add(x, y) for x, y in zip(products[::2], products[1::2], strict=False)]
            sums += products[-1:] if len(products) % 2 else []
        for step in order.combines:
            sums.append(self.add(sums[step.left], sums[step.right]))
        return sums[-1]

    def reduce(self, matrix, local, carry, pes):
        total = carry
        products = self.multiply(matrix, local)
        for start in range(0, len(local), pes):
            total = self.fold(products[:, start : start + pes].T, reduction_blocks(pes), total)
        return total

    def fold(self, products, blocks, carry):
        """The block that comes first is added last."""
        if not len(products):
            return carry
        carry = self.fold(products[blocks[0] :], blocks[1:], carry)
        head = self.tree(list(products[: blocks[0]]))
        return head if carry is None else self.add(head, carry)

    def tree(self, values):
        if len(values) == 1:
            return values[0]
        pairs = zip(values[::2], values[1::2], strict=False)
        odd = values[-1:] if len(values) % 2 else []
        return self.tree([*(self.add(x, y) for x, y in pairs), *odd])


@given(SEEDS, SIZES, SIZES, st.integers(2, 8), st.booleans(), st.booleans())
def test_accumulate(seed, rows, columns, stages, has_first, flush):
    rng = np.random.default_rng(seed)
    matrix, vector = operands(rng, rows, columns), operands(rng, rows)
    first = operands(rng, columns) if has_first else None
    order = accumulation(rows + has_first, stages)
    found = kernels.accumulate(matrix, vector, first, order, flush)
    check(found, Reference(flush).accumulate(matrix, vector, first, stages))


@given(SEEDS, SIZES, st.integers(1, 200), st.integers(1, 130), st.booleans(), st.booleans())
def test_reduce(seed, rows, columns, pes, has_carry, flush):
    rng = np.random.default_rng(seed)
    matrix, local = operands(rng, rows, columns), operands(rng, columns)
    carry = operands(rng, rows) if has_carry else None
    found = kernels.reduce(matrix, local, carry, reduction_blocks(pes), flush)
    check(found, Reference(flush).reduce(matrix, local, carry, pes))


@given(SEEDS, SIZES, SIZES, st.booleans(), st.booleans())
def test_update(seed, rows, columns, in_place, flush):
    rng = np.random.default_rng(seed)
    before, factors = operands(rng, rows, columns), operands(rng, rows)
    local = operands(rng, columns)
    reference = Reference(flush)
    expected = reference.add(before, reference.multiply(local, factors[:, None]))
    after = before if in_place else np.empty_like(before)
    kernels.update(before, after, factors, local, flush)
    check(after, expected)


def test_a_product_that_rounds_up_to_a_normal_number_is_not_flushed():
    below_one = np.float32([1 - 2.0**-24])
    found = np.zeros((1, 1), np.float32)
    kernels.update(found, found, below_one, np.float32([TINY]), True)
    assert found == TINY
    kernels.update(np.zeros_like(found), found, below_one, np.float32([TINY / 2]), True)
    assert found == 0


@pytest.mark.parametrize(
    "local",
    [
        np.zeros(2, np.float32),
        np.zeros((3, 1), np.float32),
        np.zeros(3),
        np.zeros(6, np.float32)[::2],
    ],
)
def test_other_arrays_are_refused(local):
    matrix, factors = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
    with pytest.raises(ValueError, match=r"contiguous float32 \(3,\), not"):
        kernels.reduce(matrix, local, None, (2, 1), True)
    with pytest.raises(ValueError, match=r"contiguous float32 \(3,\), not"):
        kernels.update(matrix, matrix, factors, local, True)
    with pytest.raises(ValueError, match=r"order of 3 additions for 2 rows"):
        kernels.accumulate(matrix, factors, None, accumulation(3, 3), True)


def test_many_processes_may_compile_at_once(fresh_cache):
    code = "from sim import kernels; print(kernels._compiled())"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    children = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {child.communicate()[0].strip() for child in children}
    assert said == {str(path) for path in fresh_cache.glob("kernels/*.so")}
    assert len(list((fresh_cache / "kernels").iterdir())) == 2, "the library and its log"


def test_missing_compiler(fresh_cache, monkeypatch):
    monkeypatch.setenv("CXX", "nowhere-g++")
    with pytest.raises(ToolError, match=r"^the C\+\+ compiler cannot be started: nowhere-g\+\+: "):
        kernels._compiled()
    assert not list(fresh_cache.glob("kernels/*.so"))
