"""What an exploration has found, for people and as JSON."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from gradwire import tables
from gradwire.explore.search import Found, Point
from gradwire.explore.space import Asked
from hw.design import Design

# Of a longer front, the table shows so many machines.
_MOST_ROWS = 20


def to_json(found: Found, asked: Asked) -> dict[str, Any]:
    """What `gradwire explore --json` prints."""
    kind, text = found.limit
    return {
        "topology": "-".join(map(str, asked.layers)),
        "target": asked.target,
        "speed": asked.speed,
        "goal": asked.goal,
        "at_least": asked.at_least,
        "best": _point(found.best),
        "limit": {"kind": kind, "text": text},
        "front": [_point(point) for point in found.front],
        "available": dict(asked.available),
        "candidates": found.candidates,
        "made": dict(found.counts),
        "known": found.known,
    }


def _point(point: Point) -> dict[str, Any]:
    design = point.design
    return {
        "pes": design.processing_elements,
        "mapping": list(design.mapping),
        "multiplier_stages": design.multiplier_stages,
        "adder_stages": design.adder_stages,
        "broadcast_stages": design.broadcast_stages,
        "buffer_vectors": design.buffer_vectors,
        "clocks_per_sample": point.clocks,
        "fmax_mhz": round(point.fmax_mhz, 2),
        "fmax_by": "placement" if point.placed else "model",
        "samples_per_second": round(point.samples_per_second, 1),
        "luts": point.luts,
        "ffs": point.ffs,
        "dsps": point.dsps,
        "brams": point.brams,
        "cells_by": "synthesis" if point.synthesized else "model",
        "options": options(design),
    }


def options(design: Design) -> str:
    """Options of other commands, such as synth, for this machine."""
    words = ["--pes", str(design.processing_elements), "--mapping", ",".join(design.mapping)]
    chosen = {"multiplier_stages", "adder_stages"}  # have other defaults on the command line
    for field in dataclasses.fields(Design):
        value = getattr(design, field.name)
        if field.name in ("layers", "processing_elements", "mapping"):
            continue
        if field.name in chosen or value != field.default:
            words.append(f"--{field.name.replace('_', '-')}")
            words += [] if value is True else [str(value)]
    return " ".join(words)


def parts(found: Found, asked: Asked, files: Sequence[object]) -> list[object]:
    """The same for people."""
    best, there = found.best, asked.available
    topology = "-".join(map(str, asked.layers))
    by = "placed and routed" if best.placed else "by the model, within 15 %"
    cells = "synthesized" if best.synthesized else "by the model"
    rows = [
        ("samples a second", f"{best.samples_per_second:,.0f}"),
        ("clocks for each sample", f"{best.clocks:,g}"),
        ("Fmax", f"{best.fmax_mhz:.1f} MHz ({by})"),
        ("LUTs", f"{best.luts:,} of {there['luts']:,} ({cells})"),
        ("DSPs, BRAMs", f"{best.dsps} of {there['dsps']}, {best.brams} of {there['brams']}"),
        ("what limits it", found.limit[1]),
        ("looked at", _looked_at(found)),
        ("build it", f"gradwire synth {topology} --target {asked.target} {options(best.design)}"),
        *(("chart", file) for file in files),
    ]
    title = f"Best of {topology} on {asked.target} for {asked.goal}"
    return [tables.facts(title, rows), _front(found)]


def _looked_at(found: Found) -> str:
    made = ", ".join(f"{count} {kind}" for kind, count in found.counts.items())
    return f"{found.candidates:,} designs; {made}; {found.known} known from before"


def _front(found: Found) -> Table:
    table = Table(title="Faster is larger: the front", title_justify="left")
    for name in ("PEs", "stages", "clocks", "Fmax", "samples/s", "LUTs", "DSPs", "BRAMs"):
        table.add_column(name, justify="right")
    step = -(-len(found.front) // _MOST_ROWS)
    shown = {*found.front[::step], found.front[-1], found.best}
    for point in (each for each in found.front if each in shown or each.synthesized):
        design = point.design
        stages = design.multiplier_stages, design.adder_stages, design.broadcast_stages
        table.add_row(
            str(design.processing_elements),
            ", ".join(map(str, stages)),
            f"{point.clocks:,g}",
            f"{point.fmax_mhz:.1f}{'' if point.placed else ' ~'}",
            f"{point.samples_per_second:,.0f}",
            f"{point.luts:,}{'' if point.synthesized else ' ~'}",
            f"{point.dsps}",
            f"{point.brams}",
            style="bold" if point is found.best else None,
        )
    table.caption = "stages: of multiplier, adder, broadcast; ~: by a model, not measured"
    table.caption_justify = "left"
    return table
