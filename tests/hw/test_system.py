"""Systems of every kind: that their Verilog is clean, and what cannot be made."""

import pytest

from hw.design import Design
from hw.errors import InputError
from hw.schedule import make_schedule
from hw.system import System
from hw.verilog import port_list, to_verilog
from sim import simulator


def design(**options):
    chosen = {"layers": (3, 2, 1), "processing_elements": 2, "mapping": ("row", "column")}
    return Design(**(chosen | options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mapping": ("row", "row")},
        {"batch": 65536},
        {"seeded_weights": True},
        {"input_deltas": True},
        {"layers": (1, 1), "mapping": ("row",), "processing_elements": 1, "buffer_vectors": 2},
        {"layers": (2, 300), "mapping": ("row",), "seeded_weights": True, "batch": 3},
    ],
    ids=str,
)
def test_verilog_has_two_pins_and_no_warnings(options, tmp_path):
    system = System(make_schedule(design(**options)), 25e6, 115_200)
    source = tmp_path / "system.v"
    source.write_text(to_verilog(system), encoding="utf-8")
    simulator.lint([source], system.module_name)
    assert [port["name"] for port in port_list(system)] == ["clk", "rst", "rx", "tx"]


def test_bad_clocks():
    schedule = make_schedule(design())
    with pytest.raises(InputError, match=r"^baud rate must be at most 6.25e\+06"):
        System(schedule, 25e6, 12e6)
    with pytest.raises(InputError, match=r"^gap must be at least 20 bits, 0.002 s, not 0.001 s"):
        System(schedule, 25e6, 10_000, gap_seconds=0.001)
