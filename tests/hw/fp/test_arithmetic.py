"""The RTL of adders and multipliers, in Verilator, against references that share nothing with it.

Every component of a test sees a new pair of operands each clock, and gives its results at its
stated latency.
"""

import pytest
from fp_reference import all_pairs, expected, expected_float32, random_pairs
from fp_replay import complain, replay

from hw.fp.adder import Adder
from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, FloatFormat
from hw.fp.multiplier import Multiplier

OPERATION = {Adder: "add", Multiplier: "multiply"}
MODES = ("flush", "ieee")


def every_stage_count(format):
    return [
        kind(format, subnormals=mode, stages=stages)
        for kind in OPERATION
        for mode in MODES
        for stages in kind.REGISTERED[mode]
    ]


def default_stages(format):
    return [kind(format, subnormals=mode) for kind in OPERATION for mode in MODES]


def fewer_dsps(format, *stages):
    return [
        Multiplier(format, subnormals=mode, stages=n, dsps=dsps)
        for mode in MODES
        for n in stages
        for dsps in (1, 2)
    ]


def by_numpy(format, *arguments):
    return expected_float32(*arguments)


def check(components, operands, folder, reference, optimize=0):
    results = replay(components, operands, folder, optimize)
    assert len(results) == len(components) > 0
    for component, got in results.items():
        a, b = operands[component.format]
        operation = OPERATION[type(component)]
        want = reference(component.format, operation, component.subnormals, a, b)
        complain(component, want, got, a, b)


def test_binary32_at_random(tmp_path):
    operands = {BINARY32: random_pairs(BINARY32, 1 << 21, seed=1)}
    check(every_stage_count(BINARY32), operands, tmp_path, by_numpy, optimize=1)


def test_8_bit_formats_exhaustively(tmp_path):
    components = [*every_stage_count(E4M3), *default_stages(E5M2)]
    operands = {format: all_pairs(format) for format in (E4M3, E5M2)}
    check(components, operands, tmp_path, expected)


def test_other_formats_at_random(tmp_path):
    # The last ones are on either side of the width at which a product takes several blocks.
    formats = [BINARY16, BFLOAT16, *(FloatFormat(*w) for w in [(2, 2), (2, 9), (7, 17), (6, 18)])]
    components = [component for format in formats for component in default_stages(format)]
    operands = {format: random_pairs(format, 1 << 18, seed=2) for format in formats}
    check(components, operands, tmp_path, expected)


def test_fewer_dsps_at_random(tmp_path):
    # High parts of the significands of 6, 4 bits and 1 bit.
    four, one = FloatFormat(4, 21), FloatFormat(6, 18)
    formats = [BINARY32, four, one]
    components = [*fewer_dsps(BINARY32, 3, 6), *fewer_dsps(four, 2), *fewer_dsps(one, 3)]
    operands = {format: random_pairs(format, 1 << 18, seed=9) for format in formats}
    check(components, operands, tmp_path, expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 125))
def test_100_million_pairs_of_binary32(tmp_path, seed):
    operands = {BINARY32: random_pairs(BINARY32, 1 << 22, seed)}
    check(default_stages(BINARY32), operands, tmp_path, by_numpy, optimize=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 203))
def test_10_million_pairs_of_16_bit_formats(tmp_path, seed):
    formats = (BINARY16, BFLOAT16)
    components = [component for format in formats for component in default_stages(format)]
    operands = {format: random_pairs(format, 1 << 22, seed) for format in formats}
    check(components, operands, tmp_path, expected, optimize=1)
