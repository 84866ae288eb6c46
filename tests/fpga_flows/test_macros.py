"""Banks of SRAM macros, without tools."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpga_flows import liberty, macros
from fpga_flows.macros import Shape
from fpga_flows.sram import Price
from hw.errors import ToolError


@given(st.integers(2, 300_000), st.integers(1, 64))
def test_a_bank_holds_its_words(words, bits):
    shape = Shape(words, bits)
    *first, last = shape.macros
    assert sum(shape.macros) >= words > sum(first)
    assert len(set(first)) <= 1 and all(last <= size for size in first)
    assert 1 << shape.address_bits >= words


@pytest.mark.parametrize("words", [40, 256, 257, 895, 5000])
def test_a_bank_names_its_macros(words):
    shape = Shape(words, 32)
    text = macros.bank_module(shape)
    used = [int(size) for size in re.findall(r"^  macro_(\d+)x32 ", text, re.MULTILINE)]
    assert tuple(used) == shape.macros
    assert {(size, 32) for size in used} == set(macros.macro_shapes([shape]))


def test_timing_library(tmp_path):
    text = macros.timing_library({(256, 32): Price(1, 0.322, 1, 1)})
    assert text.count("{") == text.count("}")
    assert '"0.322"' in text and "bit_width : 8;" in text
    file = tmp_path / "macros.lib"
    file.write_text(text)
    # Liberty, whole, and with nothing but memories in it.
    with pytest.raises(ToolError, match="has no flip-flops"):
        liberty.read(file)
