"""The table of chips, and times in clocks."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import InputError
from hw.sdram.chips import CHIPS, SdramTiming, find_chip

MICRON = CHIPS["MT48LC16M16A2-75"]


@pytest.mark.parametrize(
    "name, megabytes, columns", [("AS4C32M16SB-7", 64, 1024), ("IS42S16160G-7", 32, 512)]
)
def test_geometry(name, megabytes, columns):
    chip = find_chip(name)
    assert (chip.words * 2, chip.columns) == (megabytes << 20, columns)
    assert (chip.rows, chip.refresh_interval) == (8192, 7812.5)


def test_clocks_by_hand():
    timing = SdramTiming(MICRON, 100)
    assert (timing.cas, timing.rcd, timing.rp, timing.ras) == (2, 2, 2, 5)
    assert (timing.rfc, timing.rrd, timing.wr, timing.mrd) == (7, 2, 2, 2)
    assert (timing.power_up, timing.refresh_interval) == (20_000, 781)
    # 60 ns are 8 clocks, t_ras and t_rp 5 and 2.
    assert SdramTiming(find_chip("IS42S16160G-7"), 133).ras == 6
    # 7.5 ns, but for rounding.
    assert SdramTiming(MICRON, 133.333).cas == 3


@given(st.sampled_from(sorted(CHIPS)), st.floats(10, 133))
def test_clocks_are_just_enough(name, frequency):
    chip = CHIPS[name]
    timing = SdramTiming(chip, frequency)
    period = 1e3 / frequency
    for which in ("rcd", "rp", "rrd", "rfc", "wr"):
        clocks, time = getattr(timing, which), getattr(chip, f"t_{which}")
        assert time - 1e-4 <= clocks * period < time + period + 1e-4
    assert timing.ras * period >= chip.t_ras - 1e-4
    assert (timing.ras + timing.rp) * period >= chip.t_rc - 1e-4
    assert timing.refresh_interval * period <= chip.refresh_interval + 1e-4
    assert chip.cas_periods[timing.cas] <= period
    assert timing.refresh_after > 0
    assert timing.name.isidentifier()


@pytest.mark.parametrize(
    "values, said",
    [
        ({"rows": 1024}, "rows must be a power of two from 2048 to 8192, not 1024"),
        ({"columns": 1000}, "columns must be a power of two from 2 to 1024, not 1000"),
        ({"columns": 2048}, "columns must be a power of two from 2 to 1024, not 2048"),
        ({"t_rcd": 0}, "t_rcd must be positive, not 0"),
        ({"t_wr": math.nan}, "t_wr must be positive, not nan"),
        ({"cas_periods": {2: -1}}, r"cas_periods\[2\] must be positive, not -1"),
        ({"cas_periods": {1: 20}}, r"cas_periods must be of latencies 2 or 3, not \[1\]"),
        ({"cas_periods": {}}, r"cas_periods must be of latencies 2 or 3, not \[\]"),
        ({"power_up_refreshes": 0}, "power_up_refreshes must be positive, not 0"),
    ],
)
def test_bad_chips(values, said):
    with pytest.raises(InputError, match=f"^{said}$"):
        dataclasses.replace(MICRON, **values)


@pytest.mark.parametrize(
    "frequency, said",
    [
        (134, "frequency of MT48LC16M16A2-75 must be above 0 and at most 133.333 MHz, not 134"),
        (0, "frequency of MT48LC16M16A2-75 must be above 0 and at most 133.333 MHz, not 0"),
        (math.nan, "frequency of [^\n]*, not nan"),
        (1, "1 MHz is too low for MT48LC16M16A2-75: a refresh takes 6 of 7 clocks"),
    ],
)
def test_bad_frequencies(frequency, said):
    with pytest.raises(InputError, match=f"^{said}$"):
        SdramTiming(MICRON, frequency)


def test_unknown_chip():
    with pytest.raises(InputError, match=r"^SDRAM chip must be one of AS4C32M16SB-7, [^\n]*'X'$"):
        find_chip("X")
