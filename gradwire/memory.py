"""The memories of a machine, their prices, and what it buys that each PE has its own.

The weights are what an iteration waits for: a word of each PE's bank in every slot of a pass, or,
where one memory holds the weights of all of them (`unified`), a word a clock for the whole array.
"""

import dataclasses
from collections import Counter
from typing import Any

from fpga_flows.sram import OpenRAM, Price
from gradwire import paper
from gradwire.console import Reporter
from gradwire.tables import facts, grid
from hw.design import MEMORIES
from hw.memories import BIAS_BANK, UNIFIED_WEIGHTS, WEIGHT_BANK, Memory, memories
from hw.operation import BACKPROPAGATION
from hw.schedule import Schedule, make_schedule

_WEIGHTS = (WEIGHT_BANK, UNIFIED_WEIGHTS, BIAS_BANK)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Words of weights and biases that an iteration reads.

    Members
    -------
    in_turn : reads of weights that must follow one another.
    weights : from all weight banks, or from the unified memory.
    biases : from the bias bank, at the same time.
    """

    in_turn: int
    weights: int
    biases: int


def traffic(schedule: Schedule) -> Traffic:
    """What the machine reads: in every slot a word of each weight bank, one after another where
    there is one memory, and only those that count.
    """
    design = schedule.design
    slots = sum(op.slots.size for op in schedule.operations)
    biases = sum(
        op.layer.outputs
        for op in schedule.operations
        if op.layer.mapping == "column" and op.unit != BACKPROPAGATION
    )
    if not design.unified:
        return Traffic(slots, slots * design.processing_elements, biases)
    words = sum(op.layer.spread * op.length for op in schedule.operations)
    return Traffic(words, words, biases)


def organisations(schedule: Schedule) -> dict[str, Schedule]:
    """The machine with each memory organisation, by its name; they differ in nothing else.

    But for the registers on the way to the PEs: where one memory holds all weights, there are none.
    """
    design = schedule.design
    return {
        name: schedule
        if design.memory == name
        else make_schedule(dataclasses.replace(design, memory=name, broadcast_stages=0))
        for name in MEMORIES
    }


def price(schedule: Schedule, reporter: Reporter) -> dict[str, Any]:
    """Prices of all memories; returns what `gradwire memory --json` prints.

    Both memory organisations are priced.
    Raises ToolError when OpenRAM is missing or fails.
    """
    design = schedule.design
    stages = reporter.stages("SRAM prices")
    openram = OpenRAM()

    def row(memory: Memory) -> dict[str, Any]:
        entry = dataclasses.asdict(memory) | {"macros": None}
        entry |= dict.fromkeys(field.name for field in dataclasses.fields(Price))
        if memory.writes:
            bank = openram.price(memory.words, memory.bits, progress=stages)
            entry |= {"macros": dict(Counter(bank.macros))} | dataclasses.asdict(bank.price)
        return entry

    found = {}
    for name, machine in organisations(schedule).items():
        rows = [row(memory) for memory in memories(machine)]
        found[name] = {"memories": rows, **_costs(machine, rows)}
    stages.done()
    return {
        "topology": design.topology,
        "pes": design.processing_elements,
        "mapping": list(design.mapping),
        "openram": openram.version,
        **found,
        "paper": paper.MEMORY.get(design.topology),
    }


def _costs(schedule: Schedule, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Time, energy and power of reading the weights; areas."""
    clocks, reads = schedule.clocks_per_iteration, traffic(schedule)
    weights = [entry for entry in rows if entry["name"] in _WEIGHTS]
    written = [entry for entry in rows if entry["writes"]]
    counts = reads.weights, reads.biases
    energy = sum(
        count * entry["access_energy_pj"] for count, entry in zip(counts, weights, strict=False)
    )
    access = max(entry["access_ns"] for entry in weights)
    time = reads.in_turn * access
    leakage = _total("leakage_uw", weights)
    return {
        "clocks_per_iteration": clocks,
        "reads_in_turn": reads.in_turn,
        "reads": reads.weights + reads.biases,
        "access_ns": access,
        "memory_access_time_ns": round(time, 2),
        "read_energy_pj": round(energy, 1),
        # pJ / ns are mW.
        "read_power_mw": round(energy / time + leakage / 1000, 3),
        "average_read_power_mw": round(energy / (clocks * paper.CLOCK_NS) + leakage / 1000, 3),
        "weights_area_um2": round(_total("area_um2", weights), 1),
        "weights_leakage_uw": round(leakage, 2),
        "area_um2": round(_total("area_um2", written), 1),
        "leakage_uw": round(_total("leakage_uw", written), 2),
    }


def _total(what: str, entries: list[dict[str, Any]]) -> float:
    return sum(entry["instances"] * entry[what] for entry in entries)


# Rows of the comparison: what, its name in the JSON, how it is written, and how many make one.
_COMPARED = [
    ("clocks per iteration", "clocks_per_iteration", ",", 1),
    ("reads one after another", "reads_in_turn", ",", 1),
    ("time of a read, ns", "access_ns", ".3f", 1),
    ("access time per iteration, ns", "memory_access_time_ns", ",.2f", 1),
    ("read energy per iteration, nJ", "read_energy_pj", ",.3f", 1e3),
    ("read power while reading, mW", "read_power_mw", ",.2f", 1),
    (f"average at clocks of {paper.CLOCK_NS:g} ns, mW", "average_read_power_mw", ",.2f", 1),
    ("area of the weights, mm2", "weights_area_um2", ".4f", 1e6),
    ("area of all SRAM, mm2", "area_um2", ".4f", 1e6),
    ("leakage of all SRAM, mW", "leakage_uw", ",.3f", 1e3),
]


def table(found: dict[str, Any]) -> list[object]:
    """What `price` found, for people."""
    title = f"{found['topology']}, processing elements: {found['pes']}; prices are for each memory"
    columns = ("memory", "no.", "words", "made", "mm2", "ns", "pJ", "uW")
    compared = [
        (text, *(_written(found[side][name], form, unit) for side in MEMORIES))
        for text, name, form, unit in _COMPARED
    ]
    return [
        grid(title, columns, map(_row, [*found["distributed"]["memories"], _unified(found)])),
        "Made: words of the macros. Fixed contents are no SRAM, and not priced.",
        grid("The weights", ("", *MEMORIES), compared),
        facts("In sum", _notes(found)),
    ]


def _unified(found: dict[str, Any]) -> dict[str, Any]:
    """The memory that takes the weight banks' place."""
    return next(e for e in found["unified"]["memories"] if e["name"] == UNIFIED_WEIGHTS)


def _written(value: float, form: str, unit: float) -> str:
    return format(value if unit == 1 else value / unit, form)


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    shape = entry["name"], entry["instances"], f"{entry['words']:,}"
    if not entry["writes"]:
        return *shape, "fixed", *[""] * 4
    return (
        *shape,
        f"{sum(words * count for words, count in entry['macros'].items()):,}",
        f"{entry['area_um2'] / 1e6:.4f}",
        f"{entry['access_ns']:.3f}",
        f"{entry['access_energy_pj']:.1f}",
        f"{entry['leakage_uw']:,.0f}"
        if entry["leakage_uw"] >= 100
        else f"{entry['leakage_uw']:.1f}",
    )


def _notes(found: dict[str, Any]) -> list[tuple[str, object]]:
    there, here = (found[side]["memory_access_time_ns"] for side in ("unified", "distributed"))
    notes: list[tuple[str, object]] = [
        ("unified / distributed", f"{there / here:.2f} times the access time")
    ]
    if theirs := found["paper"]:
        for side in MEMORIES:
            time, power = theirs[side]["access_time_ns"], theirs[side]["read_power_mw"]
            notes.append((f"the paper, {side}", f"{time} ns, {power} mW"))
        there, here = (theirs[side]["access_time_ns"] for side in ("unified", "distributed"))
        notes.append(
            ("the paper's ratio", f"{there / here:.2f}; what it counts is not said: docs/sram.md")
        )
    if (count := sum(_unified(found)["macros"].values())) > 1:
        notes.append(("not priced", f"how the unified memory chooses among its {count} macros"))
    notes.append(("prices", f"OpenRAM {found['openram']}, FreePDK45, analytical"))
    return notes
