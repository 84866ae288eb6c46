"""The RTL of converters, in Verilator, against conversion by float64 with one correct rounding."""

from itertools import product

import numpy as np
import pytest
from amaranth.back import rtlil
from fp_reference import converted, random_sources
from fp_replay import complain, replay

from hw.fp.converter import Converter
from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, FloatFormat

MODES = ("flush", "ieee")
SMALL = (BINARY16, BFLOAT16, E5M2, E4M3)
ODD = tuple(FloatFormat(*widths) for widths in [(2, 9), (3, 4), (4, 7), (5, 3), (2, 2), (6, 5)])


def converters(sources, targets, stages=(2,)):
    return [
        Converter(source, target, subnormals=mode, stages=n)
        for source, target, mode, n in product(sources, targets, MODES, stages)
    ]


def everything(format):
    """Every encoding, in random order: neighbours that are alike hide missing registers."""
    return np.random.default_rng(6).permutation(np.arange(1 << format.width, dtype=np.uint32))


def check(components, inputs, folder, optimize=0):
    operands = {format: (bits, bits) for format, bits in inputs.items()}
    results = replay(components, operands, folder, optimize)
    assert len(results) == len(components) > 0
    for component, got in results.items():
        bits = inputs[component.source]
        want = converted(component.source, component.target, component.subnormals, bits)
        complain(component, want, got, bits, bits)


def test_every_input_of_small_formats(tmp_path):
    inputs = {format: everything(format) for format in SMALL}
    check(converters(SMALL, (*SMALL, BINARY32)), inputs, tmp_path)


def test_every_input_of_odd_formats_and_stages(tmp_path):
    # Among them: a target of wider range that still lacks the source's least numbers, as (3, 4) of
    # (2, 9).
    inputs = {format: everything(format) for format in ODD}
    components = converters(ODD, ODD)
    components += converters([ODD[0], ODD[2]], [ODD[1], ODD[5], E4M3], stages=(1, 3))
    check(components, inputs, tmp_path)


def test_binary32_at_random(tmp_path):
    # Each target's operands are as good as any for the others.
    parts = [random_sources(BINARY32, target, 1 << 18, seed=8) for target in SMALL]
    inputs = {BINARY32: np.concatenate(parts)}
    check(converters([BINARY32], (*SMALL, BINARY32)), inputs, tmp_path, optimize=1)


@pytest.mark.parametrize("source", [BINARY32, *SMALL])
@pytest.mark.parametrize("target", [FloatFormat(11, 52), E4M3])
def test_every_legal_combination_elaborates(source, target):
    for component in converters([source], [target], stages=(1, 2, 3)):
        assert component.latency == component.stages
        assert len(component.i) == source.width
        assert len(component.o) == target.width
        text = rtlil.convert(component, name=component.module_name, emit_src=False)
        assert f"module \\{component.module_name}\n" in text


def test_names_tell_all_apart():
    components = converters((*SMALL, BINARY32), (*SMALL, BINARY32), stages=(1, 2, 3))
    names = {component.module_name for component in components}
    assert len(names) == len(components)
    assert Converter(BINARY32, E4M3).module_name == "converter_e8f23_e4f3_flush_2"


def test_bad_parameters():
    for stages in (0, 4):
        with pytest.raises(ValueError, match=f"^stages must be from 1 to 3, not {stages}$"):
            Converter(BINARY32, E4M3, stages=stages)
    with pytest.raises(TypeError, match=r"^source must be a FloatFormat, not 32$"):
        Converter(32, E4M3)
    with pytest.raises(TypeError, match=r"^target must be a FloatFormat, not 'e4m3'$"):
        Converter(BINARY32, "e4m3")
    with pytest.raises(ValueError, match=r"^subnormals must be 'ieee' or 'flush', not 'keep'$"):
        Converter(BINARY32, E4M3, subnormals="keep")
