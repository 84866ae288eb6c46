"""One arithmetic component alone, and what it costs."""

from pathlib import Path
from typing import Any

from fpga_flows import components, liberty, nangate45
from fpga_flows.components import Component
from gradwire.console import Reporter
from gradwire.files import naming
from gradwire.placing import Placing, fmax, told
from gradwire.tables import facts


def synthesize(
    component: Component,
    target: str,
    work: Path,
    reporter: Reporter,
    *,
    library: Path | None = None,
    asked: Placing | None = None,
) -> dict[str, Any]:
    """Synthesize; returns what `gradwire synth --component --json` prints.

    Netlists and logs go to `work`. `library` is the Liberty file; `asked` is for FPGAs.
    Raises InputError for an unknown target, a Liberty file that is not named or not there, or a
    folder that cannot be written, ToolError when a tool is missing or fails, or cannot use the
    library.
    """
    components.check_target(target)
    found: dict[str, Any] = {
        "component": component.name,
        "format": component.format.name,
        "subnormals": component.subnormals,
        "stages": component.stages,
        "target": target,
    }
    if target == nangate45.TARGET:
        file = liberty.find(library)
        stages = reporter.stages("synthesis")
        with naming(work):
            cells = components.on_nangate45(
                component,
                liberty=file,
                work=work,
                time_limit=asked.time_limit if asked else nangate45.TIME_LIMIT,
                progress=stages,
            )
        found |= {
            "area_um2": cells.area_um2,
            "cells": cells.cells,
            "ffs": cells.ffs,
            "fmax_mhz": cells.fmax_mhz,
            "timing_by": cells.timing_by,
            "script": cells.script,
            "log": str(cells.log),
        }
        stages.done()
    else:
        asked = asked or Placing(seeds=3, frequencies_mhz=(150.0,))
        with naming(work), asked.keeping():
            placed = components.on_fpga(
                component,
                work=work,
                target=target,
                speed=asked.speed,
                frequencies_mhz=asked.frequencies_mhz,
                seeds=asked.numbers,
                time_limit=asked.time_limit,
                stages=reporter.stages,
            )
        found |= {
            "luts": placed.luts,
            "ffs": placed.ffs,
            "dsps": placed.dsps,
            "cells": placed.luts,
            "seeds": asked.seeds,
            "fmax_mhz": placed.fmax_mhz,
            "timing_by": "nextpnr",
            "log": str(placed.log),
            **told(placed),
        }
    return found


def table(found: dict[str, Any]) -> list[object]:
    """What `synthesize` found, for people."""
    rows: list[tuple[str, object]] = []
    if "area_um2" in found:
        clock = f"{found['fmax_mhz']:g} MHz, by {found['timing_by']}, without wires"
        rows += [
            ("area", f"{found['area_um2']:,.0f} um2"),
            ("Fmax", clock),
            ("cells, flip-flops", f"{found['cells']:,}, {found['ffs']:,}"),
            ("ABC script", found["script"]),
        ]
    else:
        rows += [
            ("Fmax", fmax(found)),
            ("LUTs, flip-flops", f"{found['luts']:,}, {found['ffs']:,}"),
            ("DSPs", found["dsps"]),
        ]
    rows += [("latency", f"{found['stages']} clocks"), ("log", found["log"])]
    what = f"{found['component']}, {found['format']}, {found['subnormals']}"
    return [facts(f"{what}, on {found['target']}", rows)]
