import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, FloatFormat

formats = st.builds(FloatFormat, st.integers(2, 15), st.integers(2, 112))


def test_binary32_is_numpys():
    info = np.finfo(np.float32)
    assert BINARY32.width == 32
    assert BINARY32.bias == 127
    assert BINARY32.nan == 0x7FC00000
    assert BINARY32.infinity == np.float32(np.inf).view(np.uint32)
    assert BINARY32.smallest_normal == info.smallest_normal.view(np.uint32)
    assert BINARY32.largest_finite == info.max.view(np.uint32)
    assert BINARY32.one == np.float32(1).view(np.uint32)
    assert BINARY32.sign_mask == np.float32(-0.0).view(np.uint32)


def test_binary16_is_numpys():
    assert BINARY16.largest_finite == np.finfo(np.float16).max.view(np.uint16)
    assert BINARY16.one == np.float16(1).view(np.uint16)


def test_named_widths():
    named = (BINARY32, BINARY16, BFLOAT16, E5M2, E4M3)
    assert [f.width for f in named] == [32, 16, 16, 8, 8]
    assert [f.name for f in named] == ["e8f23", "e5f10", "e8f7", "e5f2", "e4f3"]


@given(formats)
def test_encodings_are_in_order(format):
    values = [0, format.smallest_normal, format.one, format.largest_finite, format.infinity]
    values += [format.nan, format.sign_mask]
    assert values == sorted(values)
    assert format.sign_mask == 1 << (format.width - 1)
    assert format.infinity + format.smallest_normal == format.sign_mask
    assert format.significand_bits + format.exponent_bits == format.width


@given(formats)
def test_name_tells_formats_apart(format):
    assert format.name.isidentifier()
    assert format.name != FloatFormat(format.exponent_bits + 1, format.fraction_bits).name


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BINARY32.fraction_bits = 22


@pytest.mark.parametrize("name", ["exponent_bits", "fraction_bits"])
def test_bad_widths(name):
    widths = {"exponent_bits": 8, "fraction_bits": 23}
    with pytest.raises(ValueError, match=f"^{name} must be at least 2, not 1$"):
        FloatFormat(**widths | {name: 1})
    with pytest.raises(TypeError, match=f"^{name} must be an integer, not 8.0$"):
        FloatFormat(**widths | {name: 8.0})
    with pytest.raises(TypeError, match=f"^{name} must be an integer, not True$"):
        FloatFormat(**widths | {name: True})
