"""The figures of docs/sram.md are what `gradwire memory` says."""

import dataclasses
import re
from pathlib import Path

import pytest

from fpga_flows.sram import LARGEST, SMALLEST, VARIABLE, OpenRAM
from gradwire import memory
from gradwire.console import Reporter
from hw.design import MEMORIES
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule

PAGE = Path(__file__).parents[2] / "docs" / "sram.md"
MACHINES = [((3, 3, 3, 1), 3), ((784, 100, 100, 10), 100)]


def lines(row: str) -> list[list[str]]:
    """Cells of the lines, in all tables, that begin with `row`."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", text, re.M)
    return [[cell.strip().replace(",", "") for cell in line.split("|")] for line in found]


def stated(row: str) -> list[str]:
    """Those of the only such line."""
    (found,) = lines(row)
    return found


def designs():
    return [design_for(*machine) for machine in MACHINES]


def test_clocks_and_reads():
    """They need no prices."""
    schedules = [
        make_schedule(dataclasses.replace(design, memory=name))
        for design in designs()
        for name in MEMORIES
    ]
    clocks = [str(schedule.clocks_per_iteration) for schedule in schedules]
    assert stated("clocks per iteration") == clocks
    reads = [str(memory.traffic(schedule).in_turn) for schedule in schedules]
    assert stated("reads one after another") == reads


@pytest.fixture
def openram():
    try:
        found = OpenRAM()
    except ToolError:
        pytest.skip(f"no Python package openram (PyPI) here, and none by ${VARIABLE}")
    if f"OpenRAM {found.version};" not in PAGE.read_text(encoding="utf-8"):
        pytest.skip(f"the page is about another version of openram than {found.version}")
    return found


def same(cells: list[str], values: list[float]) -> None:
    """Every value is what its cell says, to the digits that it has."""
    assert len(cells) == len(values)
    for cell, value in zip(cells, values, strict=True):
        digits = len(cell.partition(".")[2])
        assert float(cell) == pytest.approx(value, abs=0.51 * 10**-digits), (cell, value)


@pytest.mark.slow
def test_macros(openram):
    """Of two ports; and of one port, beside SPICE's figures."""
    size = SMALLEST
    while size <= LARGEST:
        two, *one = lines(f"{size:,}")
        price = openram.price(size).price
        same(two, [price.area_um2, price.access_ns, price.access_energy_pj, price.leakage_uw])
        for cells in one:
            price = openram.price(size, ports="1rw").price
            same([cells[0], cells[2]], [price.access_ns, price.leakage_uw])
        size *= 2


@pytest.mark.slow
def test_machines(openram):
    found = [memory.price(make_schedule(design), Reporter(quiet=True)) for design in designs()]
    sides = [each[side] for each in found for side in MEMORIES]
    for row, name, unit in (
        ("memory access time per iteration, ns", "memory_access_time_ns", 1),
        ("read energy per iteration, nJ", "read_energy_pj", 1e3),
        ("read power while reading, mW", "read_power_mw", 1),
        ("average read power at clocks of 4 ns, mW", "average_read_power_mw", 1),
        ("area of the weights, mm2", "weights_area_um2", 1e6),
        ("area of all SRAM, mm2", "area_um2", 1e6),
    ):
        same(stated(row), [side[name] / unit for side in sides])
    times = [side["memory_access_time_ns"] for side in sides]
    ratios = stated("unified / distributed, access time")
    same(ratios[::2], [times[1] / times[0], times[3] / times[2]])
