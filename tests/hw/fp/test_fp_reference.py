"""The references of these tests agree with each other, and the operands reach what they should."""

import numpy as np
import pytest
from fp_reference import OPERATIONS, expected, expected_float32, flush, random_pairs

from hw.fp.format import BINARY32


@pytest.mark.parametrize("subnormals", ["flush", "ieee"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_references_agree(operation, subnormals):
    a, b = random_pairs(BINARY32, 1 << 20, seed=3)
    ours = expected(BINARY32, operation, subnormals, a, b)
    numpys = expected_float32(operation, subnormals, a, b)
    assert np.array_equal(ours, numpys)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operands_reach_every_kind_of_result(operation):
    a, b = random_pairs(BINARY32, 1 << 20, seed=1)
    result = expected_float32(operation, "ieee", a, b)
    magnitude = result & (BINARY32.sign_mask - 1)
    kinds = {
        "NaN": result == BINARY32.nan,
        "infinity": magnitude == BINARY32.infinity,
        "zero": magnitude == 0,
        "subnormal": (magnitude > 0) & (flush(BINARY32, magnitude) == 0),
        "smallest normal": magnitude == BINARY32.smallest_normal,
        "largest": magnitude == BINARY32.largest_finite,
    }
    few = {name: int(found.sum()) for name, found in kinds.items() if found.sum() < 50}
    assert not few


def test_multiplication_rounds_up_to_the_smallest_normal():
    # The case in which flushing after rounding differs from flushing before it.
    a, b = random_pairs(BINARY32, 1 << 20, seed=1)
    result = expected_float32("multiply", "flush", a, b)
    with np.errstate(invalid="ignore"):
        exact = np.multiply(a.view(np.float32), b.view(np.float32), dtype=np.float64)
    below = np.abs(exact) < 2.0**-126
    assert (below & ((result & 0x7FFFFFFF) == BINARY32.smallest_normal)).sum() > 20
