"""The system's pins, and what cannot be made."""

import pytest

from hw.design import Design
from hw.errors import InputError
from hw.schedule import make_schedule
from hw.sdram.chips import find_chip
from hw.system import System
from hw.verilog import port_list

CHIP = find_chip("MT48LC16M16A2-75")


def design(**options):
    chosen = {"layers": (3, 2, 1), "processing_elements": 2, "mapping": ("row", "column")}
    return Design(**(chosen | options))


def test_pins():
    names = [
        port["name"] for port in port_list(System(make_schedule(design()), 25e6, 115_200, CHIP))
    ]
    assert names[:4] == ["clk", "rst", "rx", "tx"]
    assert names[4:] and all(name.startswith("sdram__") for name in names[4:])


def test_bad_clocks():
    schedule = make_schedule(design())
    with pytest.raises(InputError, match=r"^baud rate must be at most 6.25e\+06"):
        System(schedule, 25e6, 12e6, CHIP)
    with pytest.raises(InputError, match=r"^gap must be at least 20 bits, 0.002 s, not 0.001 s"):
        System(schedule, 25e6, 10_000, CHIP, gap_seconds=0.001)
    with pytest.raises(InputError, match=r"^frequency of MT48LC16M16A2-75 must be .* not 200$"):
        System(schedule, 200e6, 1e6, CHIP)
