"""The references of these tests agree with each other, and the operands reach what they should."""

import ml_dtypes
import numpy as np
import pytest
from fp_reference import (
    OPERATIONS,
    converted,
    expected,
    expected_float32,
    flush,
    random_pairs,
    random_sources,
)

from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2


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


TYPES = {
    BINARY32: np.float32,
    BINARY16: np.float16,
    BFLOAT16: ml_dtypes.bfloat16,
    E5M2: ml_dtypes.float8_e5m2,
    E4M3: ml_dtypes.float8_e4m3,
}


def other_conversion(source, target, bits):
    """By numpy and ml_dtypes, through float32, which holds every number of these formats."""
    words = bits.astype(f"u{source.width // 8}")
    with np.errstate(all="ignore"):
        values = words.view(TYPES[source]).astype(np.float32).astype(TYPES[target])
    result = values.view(f"u{target.width // 8}").astype(np.uint32)
    return np.where(np.isnan(values.astype(np.float32)), np.uint32(target.nan), result)


@pytest.mark.parametrize("target", TYPES, ids=lambda format: format.name)
@pytest.mark.parametrize("source", TYPES, ids=lambda format: format.name)
def test_conversions_agree(source, target):
    if source == BINARY32:
        bits = random_sources(source, target, 1 << 20, seed=8)
    else:
        bits = np.arange(1 << source.width, dtype=np.uint32)
    ours = converted(source, target, "ieee", bits)
    assert np.array_equal(ours, other_conversion(source, target, bits))


@pytest.mark.parametrize("target", list(TYPES)[1:], ids=lambda format: format.name)
def test_sources_reach_every_kind_of_result(target):
    bits = random_sources(BINARY32, target, 1 << 20, seed=8)
    result = converted(BINARY32, target, "ieee", bits)
    assert len(np.unique(result)) > 0.9 * (1 << min(target.width, 12))
    magnitude = result & (target.sign_mask - 1)
    for wanted in (0, 1, target.smallest_normal, target.largest_finite, target.infinity):
        assert (magnitude == wanted).sum() > 50
    flushed = converted(BINARY32, target, "flush", bits)
    if target.exponent_bits < BINARY32.exponent_bits:
        # The case in which flushing after rounding differs from flushing before it.
        below = (bits & 0x7FFFFFFF) < (BINARY32.bias - target.bias + 1) << 23
        assert (below & ((flushed & (target.sign_mask - 1)) == target.smallest_normal)).sum() > 20
