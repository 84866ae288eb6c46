"""A whole machine in 45 nm standard cells: what `gradwire synth --target nangate45` prints."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.table import Table

from fpga_flows import asic, nangate45, power
from fpga_flows.sram import OpenRAM
from gradwire.console import Reporter
from gradwire.files import naming, write_files
from gradwire.tables import facts
from gradwire.training import Task, plan
from hw.errors import ToolError
from hw.schedule import Schedule
from sim.bench.run import Run

TARGET = asic.TARGET

#: File in the folder of netlists that keeps what `synthesize` found.
KEPT = "cost.json"


# Clocks over which energy is measured, at least, and samples, at least and at most.
_CLOCKS = 4000
_FEWEST, _MOST = power.SAMPLES, 50


def synthesize(
    schedule: Schedule,
    work: Path,
    reporter: Reporter,
    library: Path,
    energy: str | None = None,
    time_limit: float = nangate45.TIME_LIMIT,
) -> dict[str, Any]:
    """Synthesize and time; returns what `gradwire synth --json` prints.

    Netlists, logs and cost.json, which is the same JSON, go to `work`. `library` is the Liberty
    file; `energy` the data set on which the netlist is then trained to measure its energy;
    `time_limit` the longest run of a tool of the synthesis, in seconds. Raises
    InputError for data that are not there or do not fit, or a folder that cannot be written,
    ToolError when a tool is missing, fails or takes too long, cannot use the library, or computes
    something wrong. What had been found by then stays in cost.json.
    """
    task = task_of(schedule, energy) if energy else None
    run = run_of(schedule, task) if task else None
    stages = reporter.stages("synthesis")
    with naming(work):
        found = asic.synthesize(
            schedule,
            library=library,
            work=work,
            openram=_openram(),
            time_limit=time_limit,
            progress=stages,
        )
    stages.done()
    told = described(found)
    _keep(told, work)
    if task:
        with naming(work):
            measured = power.measure(
                found,
                schedule,
                task.start(schedule.design),
                run,
                library=library,
                work=work / "simulation",
                progress=reporter,
            )
        told["energy"] = dataclasses.asdict(measured)
        _keep(told, work)
    return told


def _keep(told: dict[str, Any], work: Path) -> None:
    write_files(work, {KEPT: (json.dumps(told, indent=2) + "\n").encode()})


def task_of(schedule: Schedule, data: str) -> Task:
    """The training over which energy is measured. Raises InputError."""
    samples = min(max(-(-_CLOCKS // schedule.clocks_per_iteration), _FEWEST), _MOST)
    return plan(schedule.design, {"data": data, "samples": samples, "tests": 1}, None)


def run_of(schedule: Schedule, task: Task) -> Run:
    """The same for the simulator. Raises InputError if the data do not fit."""
    data = task.load(schedule.design)
    return Run(inputs=data.train_inputs, labels=data.train_labels, learning=task.learning(1))


def described(found: asic.Machine) -> dict[str, Any]:
    """The same as JSON has it."""
    told = dataclasses.asdict(found)
    told |= {
        "pes": told.pop("processing_elements"),
        "mapping": list(found.mapping),
        "ns_per_iteration": round(1e3 * found.clocks_per_iteration / found.fmax_mhz, 1),
        "seconds_per_100_000": round(found.seconds_per_100_000, 4),
        "work": str(found.work),
        "log": str(found.log),
    }
    return told


def _openram() -> OpenRAM | None:
    """OpenRAM, where it is installed."""
    try:
        return OpenRAM()
    except ToolError:
        return None


def table(found: dict[str, Any]) -> list[object]:
    """What `synthesize` found, for people."""
    sram = "not priced: OpenRAM is not installed"
    if found["sram_um2"] is not None:
        sram = f"{found['sram_um2']:,.0f} um2, by OpenRAM"
    rows: list[tuple[str, object]] = [
        ("Fmax", f"{found['fmax_mhz']:g} MHz, by {found['timing_by']}, without wires"),
        ("area of logic", f"{found['logic_um2']:,.0f} um2"),
        ("of it, a processing element", f"{found['pe_um2']:,.0f} um2"),
        ("area of SRAM", sram),
        ("cells, flip-flops", f"{found['cells']:,}, {found['ffs']:,}"),
        (
            "stages",
            f"{found['multiplier_stages']} of a multiplier, {found['adder_stages']} of an adder",
        ),
        ("mapping of the layers", ", ".join(found["mapping"])),
        ("clocks per iteration", f"{found['clocks_per_iteration']:,}"),
        ("time per iteration", f"{found['ns_per_iteration']:,} ns"),
        ("100,000 samples", f"{found['seconds_per_100_000']:g} s of machine time"),
    ]
    if found["critical_path"]:
        rows.append(("critical path", " to ".join(found["critical_path"])))
    rows.append(("log", found["log"]))
    title = f"{found['topology']} with {found['pes']} processing elements on {found['target']}"
    parts = Table(title="Its components, SRAM apart", title_justify="left")
    for name in ("component", "number", "um2 of one", "um2 of its own", "flip-flops of its own"):
        parts.add_column(name, justify="left" if name == "component" else "right")
    for part in found["parts"]:
        parts.add_row(
            part["name"],
            f"{part['instances']:,}",
            f"{part['area_um2']:,.0f}",
            f"{part['own_um2']:,.0f}",
            f"{part['ffs']:,}",
        )
    shown: list[object] = [facts(title, rows), parts]
    if "energy" in found:
        shown += _energy(found["energy"])
    return shown


def _energy(found: dict[str, Any]) -> list[object]:
    def nj(value: float | None) -> str:
        return "not priced" if value is None else f"{value:,.1f} nJ"

    rows = [
        ("a sample", nj(found["total_nj"])),
        ("logic, by counted toggles", nj(found["logic_nj"])),
        ("clock tree, an estimate", nj(found["clock_tree_nj"])),
        ("SRAM", nj(found["sram_nj"])),
        ("leakage", nj(found["leakage_nj"])),
        (f"by a global guess, {found['guess']:g} toggles a clock", nj(found["guess_total_nj"])),
        ("power while training", f"{found['watts']:g} W at {found['frequency_mhz']:g} MHz"),
    ]
    phases = Table(title="By phase and layer", title_justify="left")
    for name in ("phase", "layer", "clocks", "logic", "SRAM", "leakage"):
        phases.add_column(name, justify="left" if name == "phase" else "right")
    for phase in found["phases"]:
        phases.add_row(
            phase["phase"],
            str(phase["layer"] or ""),
            f"{phase['clocks']:,.0f}",
            nj(phase["logic_nj"]),
            nj(phase["sram_nj"]),
            nj(phase["leakage_nj"]),
        )
    return [facts("Energy, without wires and glitches", rows), phases]
