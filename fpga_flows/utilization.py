"""Where a core's cells are: counted by component, from the names that flattening leaves them.

A cell that Yosys has made bears the name of a net that it drives, and so belongs to the component
whose net it is. Yosys joins equal cells of different components; these count once, where the name
is.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fpga_flows.family import Family

#: Names of the parts below the core in the design's terms; PEs apart, which come first.
PARTS = {
    "neurons": "array: broadcast, adder tree, drain",
    "forward": "forward unit",
    "backpropagation": "backpropagation unit",
    "gradient_descent": "gradient-descent unit",
    "sequencer": "sequencer",
    "buffer": "training-vector buffer",
    "inputs": "input memory",
    "labels": "label memory",
    "vectors": "vector memory",
    "biases": "bias bank",
    "initializer": "weight initializer",
    "losses": "loss unit",
    "weight_memory": "unified weight memory",
    "input_walker": "input loader",
}
#: And of those below a PE.
PE_PARTS = {
    "multiplier": "multiplier",
    "adder": "adder",
    "bank": "weight bank",
    "registers": "vector registers",
    "inputs": "input registers",
}

_INSIDE = re.compile(r"(?:^|\\)core\.(?:machine\.)?(.*)")
_PE = re.compile(r"neurons\.pe_(\d+)\.(?:(\w+)\.)?")
_PART = re.compile(r"(\w+)\.")
_STAGE = re.compile(r"(?:^|\.)s(\d+)_")


@dataclass(frozen=True)
class ComponentCost:
    """Cells of one kind of component, of all its instances together.

    Members
    -------
    name : in the design's terms, such as "PE: adder".
    instances : how many there are.
    luts, ffs, dsps, brams : as in `fpga_flows.fpga.Result`.
    """

    name: str
    instances: int
    luts: int
    ffs: int
    dsps: int
    brams: int


@dataclass(frozen=True)
class Owner:
    """Whose a cell is.

    Members
    -------
    kind : the component in the design's terms, such as "PE: adder".
    pe : number of the PE, None for what is in none.
    stage : of the component's pipeline, None where the name does not tell.
    """

    kind: str
    pe: int | None = None
    stage: int | None = None

    def __str__(self) -> str:
        name = self.kind
        if self.pe is not None:
            name = " ".join(filter(None, [f"PE {self.pe}", name.partition(": ")[2]]))
        return name + (f", stage {self.stage}" if self.stage is not None else "")


def owner(cell: str) -> Owner | None:
    """Whose a cell of the flat netlist is, by its name; None for the harness' own."""
    inside = _INSIDE.search(cell)
    if not inside:
        return None
    name = inside[1]
    found = _STAGE.search(name)
    stage = int(found[1]) if found else None
    if of_pe := _PE.match(name):
        part = PE_PARTS.get(of_pe[2] or "")
        return Owner(f"PE: {part}" if part else "PE: control", int(of_pe[1]), stage)
    part = _PART.match(name)
    return Owner(PARTS.get(part[1], part[1]) if part else "core: ports, counters", stage=stage)


def component_costs(
    cells: Mapping[str, Mapping[str, Any]], family: Family
) -> tuple[ComponentCost, ...]:
    """What each kind of component takes, PEs first; `cells` are those of Yosys' JSON."""
    counts: dict[str, Counter[str]] = {}
    pes: dict[str, set[int | None]] = {}
    for name, cell in cells.items():
        if (of := owner(name)) and not cell["type"].startswith("$"):
            counts.setdefault(of.kind, Counter())[cell["type"]] += 1
            pes.setdefault(of.kind, set()).add(of.pe)
    order = [f"PE: {part}" for part in (*PE_PARTS.values(), "control")] + list(PARTS.values())
    kinds = sorted(counts, key=lambda kind: order.index(kind) if kind in order else len(order))
    return tuple(
        ComponentCost(name=kind, instances=len(pes[kind]), **family.count(counts[kind]))
        for kind in kinds
    )
