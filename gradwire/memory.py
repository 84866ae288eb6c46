"""The memories of a machine, their prices, and what it buys that each PE has its own.

The weights are what an iteration waits for: a word of each PE's bank in every clock of a pass, or,
where one memory holds the weights of all of them (`unified`), a word a clock for the whole array.
The unified machine is a model, not built.
"""

import dataclasses
from collections import Counter
from typing import Any

from fpga_flows.sram import OpenRAM, Price
from gradwire import paper
from gradwire.console import Reporter
from gradwire.tables import facts, grid
from hw.memories import BIAS_BANK, WEIGHT_BANK, Memory, memories
from hw.operation import BACKPROPAGATION, Operation
from hw.schedule import Schedule


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Words of weights and biases that an iteration reads.

    Members
    -------
    in_turn : reads that must follow one another: as many as the busiest port has.
    banks : from all weight banks, or from the unified memory.
    biases : from the bias bank, at the same time.
    """

    in_turn: int
    banks: int
    biases: int


def distributed(schedule: Schedule) -> Traffic:
    """What the machine reads: in every slot a word of each weight bank."""
    slots = sum(op.slots.size for op in schedule.operations)
    biases = sum(_biases(op) for op in schedule.operations if op.layer.mapping == "column")
    return Traffic(slots, slots * schedule.design.processing_elements, biases)


def unified(schedule: Schedule) -> Traffic:
    """What one memory would be asked for: each weight and bias that counts, one after another."""
    words = sum(op.layer.inputs * op.layer.outputs + _biases(op) for op in schedule.operations)
    return Traffic(words, words, 0)


def _biases(op: Operation) -> int:
    """Biases that an operation needs: all but those that go backward."""
    return 0 if op.unit == BACKPROPAGATION else op.layer.outputs


def unified_memory(schedule: Schedule) -> Memory:
    """One memory for all weights and biases."""
    design = schedule.design
    words = sum((layer.inputs + 1) * layer.outputs for layer in design.weight_layers)
    return Memory(name="unified weights", words=words * (2 if design.batch > 1 else 1))


def price(schedule: Schedule, reporter: Reporter) -> dict[str, Any]:
    """Prices of all memories; returns what `gradwire memory --json` prints.

    Raises ToolError when OpenRAM is missing or fails.
    """
    stages = reporter.stages("SRAM prices")
    openram = OpenRAM()

    def row(memory: Memory) -> dict[str, Any]:
        entry = dataclasses.asdict(memory) | {"macros": None}
        entry |= dict.fromkeys(field.name for field in dataclasses.fields(Price))
        if memory.writes:
            bank = openram.price(memory.words, memory.bits, progress=stages)
            entry |= {"macros": dict(Counter(bank.macros))} | dataclasses.asdict(bank.price)
        return entry

    rows = [row(memory) for memory in memories(schedule)]
    one = row(unified_memory(schedule))
    stages.done()
    weights = [entry for entry in rows if entry["name"] in (WEIGHT_BANK, BIAS_BANK)]
    others = [entry for entry in rows if entry["writes"] and entry not in weights]
    clocks = schedule.clocks_per_iteration
    here, there = distributed(schedule), unified(schedule)
    return {
        "topology": schedule.design.topology,
        "pes": schedule.design.processing_elements,
        "openram": openram.version,
        "memories": rows,
        "unified_memory": one,
        "distributed": {
            "modelled": False,
            **_costs(here, clocks, weights, others),
        },
        "unified": {
            "modelled": True,
            # The bubbles between the passes stay as they are.
            **_costs(there, clocks - here.in_turn + there.in_turn, [one], others),
        },
        "paper": paper.MEMORY.get(schedule.design.topology),
    }


def _costs(
    traffic: Traffic,
    clocks: int,
    weights: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> dict[str, Any]:
    """Time, energy and power of reading the weights, the first of them the weight banks."""
    reads = [traffic.banks, traffic.biases]
    energy = sum(
        count * entry["access_energy_pj"] for count, entry in zip(reads, weights, strict=False)
    )
    access = max(entry["access_ns"] for entry in weights)
    time = traffic.in_turn * access
    leakage = _total("leakage_uw", weights)
    return {
        "clocks_per_iteration": clocks,
        "reads_in_turn": traffic.in_turn,
        "reads": traffic.banks + traffic.biases,
        "access_ns": access,
        "memory_access_time_ns": round(time, 2),
        "read_energy_pj": round(energy, 1),
        # pJ / ns are mW.
        "read_power_mw": round(energy / time + leakage / 1000, 3),
        "average_read_power_mw": round(energy / (clocks * paper.CLOCK_NS) + leakage / 1000, 3),
        "weights_area_um2": round(_total("area_um2", weights), 1),
        "weights_leakage_uw": round(leakage, 2),
        "area_um2": round(_total("area_um2", [*weights, *others]), 1),
        "leakage_uw": round(_total("leakage_uw", [*weights, *others]), 2),
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
_SIDES = ("distributed", "unified")


def table(found: dict[str, Any]) -> list[object]:
    """What `price` found, for people."""
    title = f"{found['topology']}, processing elements: {found['pes']}; prices are for each memory"
    columns = ("memory", "no.", "words", "made", "mm2", "ns", "pJ", "uW")
    compared = [
        (text, *(_written(found[side][name], form, unit) for side in _SIDES))
        for text, name, form, unit in _COMPARED
    ]
    return [
        grid(title, columns, map(_row, [*found["memories"], found["unified_memory"]])),
        "Made: words of the macros. Fixed contents are no SRAM, and not priced.",
        grid("The weights", ("", "distributed", "unified (modelled, not built)"), compared),
        facts("In sum", _notes(found)),
    ]


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
        for side in _SIDES:
            time, power = theirs[side]["access_time_ns"], theirs[side]["read_power_mw"]
            notes.append((f"the paper, {side}", f"{time} ns, {power} mW"))
        there, here = (theirs[side]["access_time_ns"] for side in ("unified", "distributed"))
        notes.append(
            ("the paper's ratio", f"{there / here:.2f}; what it counts is not said: docs/sram.md")
        )
    if (count := sum(found["unified_memory"]["macros"].values())) > 1:
        notes.append(("not priced", f"how the unified memory chooses among its {count} macros"))
    notes.append(("prices", f"OpenRAM {found['openram']}, FreePDK45, analytical"))
    return notes
