"""Systems of every kind: that their Verilog is clean, and what cannot be made."""

import pytest

from hw.design import Design
from hw.errors import InputError
from hw.schedule import make_schedule
from hw.sdram.chips import CHIPS, find_chip
from hw.system import System
from hw.verilog import port_list, to_verilog
from sim import simulator

CHIP = find_chip("MT48LC16M16A2-75")


def design(**options):
    chosen = {"layers": (3, 2, 1), "processing_elements": 2, "mapping": ("row", "column")}
    return Design(**(chosen | options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mapping": ("row", "row")},
        {"batch": 65536},
        {"sample_format": "bytes"},
        {"seeded_weights": True},
        {"memory": "unified"},
        {"input_deltas": True},
        {"layers": (1, 1), "mapping": ("row",), "processing_elements": 1, "buffer_vectors": 2},
        {"layers": (2, 300), "mapping": ("row",), "seeded_weights": True, "batch": 3},
    ],
    ids=str,
)
def test_verilog_has_its_pins_and_no_warnings(options, tmp_path):
    system = System(make_schedule(design(**options)), 25e6, 115_200, CHIP)
    source = tmp_path / "system.v"
    source.write_text(to_verilog(system), encoding="utf-8")
    simulator.lint([source], system.module_name)
    names = [port["name"] for port in port_list(system)]
    assert names[:4] == ["clk", "rst", "rx", "tx"]
    assert names[4:] and all(name.startswith("sdram__") for name in names[4:])


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip(chip, tmp_path):
    system = System(make_schedule(design()), 50e6, 1e6, find_chip(chip))
    source = tmp_path / "system.v"
    source.write_text(to_verilog(system), encoding="utf-8")
    simulator.lint([source], system.module_name)


def test_bad_clocks():
    schedule = make_schedule(design())
    with pytest.raises(InputError, match=r"^baud rate must be at most 6.25e\+06"):
        System(schedule, 25e6, 12e6, CHIP)
    with pytest.raises(InputError, match=r"^gap must be at least 20 bits, 0.002 s, not 0.001 s"):
        System(schedule, 25e6, 10_000, CHIP, gap_seconds=0.001)
    with pytest.raises(InputError, match=r"^frequency of MT48LC16M16A2-75 must be .* not 200$"):
        System(schedule, 200e6, 1e6, CHIP)
