"""Tables for people, on standard output."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gradwire import describe, paper, placing
from gradwire.training import Task, Trained
from hw.schedule import Schedule, design_for, make_schedule
from sim.cycles import CycleModel

_BAR = 20  # characters of a bar
_SPAN = 14  # characters of an iteration: with it the table has 79


def show(*parts: object) -> None:
    """Print tables and lines."""
    # Paths may hold brackets and colons: nothing is markup. Lines are for the terminal to wrap.
    console = Console(highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))


def facts(title: str, rows: Iterable[tuple[str, object]]) -> Table:
    """A table of what is what."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    return table


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of numbers below headings."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def generated(found: dict[str, Any]) -> list[object]:
    """What `gradwire generate` wrote, from its JSON."""
    rows = [
        ("files", "\n".join(found["files"])),
        ("processing elements", found["pes"]),
        ("mapping of the layers", ", ".join(found["mapping"])),
    ]
    if "groups" in found:
        rows.append(("groups", found["groups"]))
        rows.append(("clocks per sample", _count(found["clocks_per_sample"])))
    else:
        rows.append(("clocks per iteration", f"{found['clocks_per_iteration']:,}"))
    rows.append(("SHA-256 of the Verilog", found["sha256"]))
    return [facts(f"Machine for {found['topology']}", rows)]


def clocks(schedule: Schedule) -> list[object]:
    """The phases of an iteration and what they add up to."""
    design, total = schedule.design, schedule.clocks_per_iteration
    # A sample that overlaps with others takes longer than an iteration.
    program = schedule.training
    span = program.clocks_until(program.finish) if program.behind else total
    table = Table(
        title=f"{design.topology}, processing elements: {design.processing_elements}",
        title_justify="left",
    )
    for name, justify in (
        ("phase", "left"),
        ("operation", "left"),
        ("mapping", "left"),
        ("start", "right"),
        ("clocks", "right"),
        (f"of {span:,}", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)
    for phase in CycleModel(schedule).phases():
        table.add_row(
            f"{phase.name} {phase.layer}",
            phase.operation,
            phase.mapping,
            f"{phase.start:,}",
            f"{phase.clocks:,}",
            _span(phase.start, phase.clocks, span),
        )
    found = describe.clocks(schedule)
    rows: list[tuple[str, object]] = [("clocks per iteration", f"{total:,}")]
    if design.batch > 1:
        each = found["clocks_per_sample"]
        rows.append((f"clocks per sample, batches of {design.batch:,}", f"{each:,.1f}"))
    return [table, facts("In sum", [*rows, *_in_sum(found)])]


def _in_sum(found: dict[str, Any]) -> list[tuple[str, object]]:
    """What is said of the clocks of all machines, from their JSON."""
    rows = [
        ("clocks of forward passes alone", _count(found["inference_clocks"])),
        ("useful multiply-adds", f"{found['useful_multiply_adds']:,}"),
        ("limit (every element busy always)", f"{found['limit_clocks']:,} clocks"),
        ("multiply-adds retire in", f"{found['multiply_add_busy']:.1%} of elements' clocks"),
    ]
    theirs = paper.ITERATION_CLOCKS.get(found["topology"])
    if theirs:
        ratio = theirs / found["clocks_per_sample"]
        rows.append(("the paper's machine", f"{theirs:,} clocks: {ratio:.2f} times ours"))
    return rows


def group_clocks(found: dict[str, Any]) -> list[object]:
    """What `gradwire clocks` found of a machine of groups, from its JSON."""
    table = grid(
        f"{found['topology']}, {found['schedule']}, processing elements: {found['pes']}",
        ("group", "layers", "PEs", "lanes", "mapping", "clocks", "busy"),
        [
            (
                number,
                group["layers"],
                group["pes"],
                group["lanes"],
                ", ".join(group["mapping"]),
                f"{group['clocks_per_iteration']:,}",
                f"{group['multiply_add_busy']:.1%}",
            )
            for number, group in enumerate(found["groups"])
        ],
    )
    each = _count(found["clocks_per_sample"])
    rows = [("clocks per sample, in the steady state", each), *_in_sum(found)]
    return [table, facts("In sum", rows), facts(*_run(found))]


def _run(found: dict[str, Any]) -> tuple[str, list[tuple[str, object]]]:
    """A run in clocks and in slots: title and rows."""
    run, schedule = found["run"], found["schedule"]
    sequential = ("slots, sequential (DAPP: n m)", f"{run['sequential_slots']:,}")
    rows: list[tuple[str, object]] = [("clocks", f"{run['clocks']:,}")]
    formula = {"delayed": "m + n", "ping-pong": "m + n / 2"}.get(schedule)
    if formula:
        said = f"{run['slots']:,} (DAPP: {formula} = {run['dapp_slots']:,.10g})"
        rows.append((f"slots, {schedule}", said))
    elif schedule != "sequential":
        rows.append((f"slots, {schedule}", f"{run['slots']:,}"))
    title = f"A run of n = {run['samples']:,} samples; m = {run['modules']}"
    return title, [*rows, sequential]


def _span(start: int, clocks: int, total: int) -> str:
    """Where in an iteration of `total` clocks something happens; what runs over it is cut off."""
    first = min(start * _SPAN // total, _SPAN - 1)
    last = min((start + clocks - 1) * _SPAN // total, _SPAN - 1)
    return ("·" * first + "█" * (last - first + 1)).ljust(_SPAN, "·")


def supply(schedule: Schedule, found: dict[str, Any]) -> list[object]:
    """What comes from SDRAM, and from where on the array waits for it."""
    design, clocks = schedule.design, schedule.clocks_per_sample
    ours = next(each for each in found["formats"] if each["format"] == design.sample_format)
    rows = [
        ("from", f"{found['chip']} at {found['frequency_mhz']:g} MHz"),
        ("a sample takes", f"{ours['clocks']:,} clocks ({ours['bytes']:,} bytes)"),
        ("the array takes one every", f"{clocks:,.10g} clocks"),
        (f"waits in {found['samples']:,} samples", f"{found['stalls']:,} clocks"),
    ]
    formats = grid(
        "From where on the array waits, with this network and mapping",
        ("samples as", "bytes of one", "clocks", "processing elements"),
        [
            (
                each["format"],
                f"{each['bytes']:,}",
                f"{each['clocks']:,}",
                f"{each['waits_from_pes']:,} or more" if each["waits_from_pes"] else "never",
            )
            for each in found["formats"]
        ],
    )
    return [facts("Samples from SDRAM", rows), formats]


def neuron_rows() -> list[dict[str, Any]]:
    """Clocks per iteration of one neuron, which also sends its delta back to its inputs."""
    rows = []
    for inputs, theirs in paper.NEURON_CLOCKS.items():
        design = design_for((inputs, 1), 1, input_deltas=True)
        ours = make_schedule(design).clocks_per_iteration
        rows.append(
            {
                "inputs": inputs,
                "clocks_per_iteration": ours,
                "paper_clocks": theirs,
                "ratio": round(theirs / ours, 3),
            }
        )
    return rows


def neurons(rows: Iterable[dict[str, Any]]) -> list[object]:
    """One neuron beside the paper's."""
    cells = [
        (row["inputs"], row["clocks_per_iteration"], row["paper_clocks"], f"{row['ratio']:.2f}")
        for row in rows
    ]
    columns = ("inputs", "clocks", "paper's clocks", "paper / ours")
    return [
        grid("One neuron: forward, deltas of its inputs, update", columns, cells),
        f"The paper's clock is {paper.CLOCK_NS:g} ns.",
    ]


def training(task: Task, trained: Trained) -> list[object]:
    """Loss curve and accuracy."""
    most = max(filter(math.isfinite, (loss for _, loss in trained.loss)), default=0)
    rows = [
        (f"{samples:,}", f"{loss:.4f}", _bar(loss, most).ljust(_BAR))
        for samples, loss in trained.loss
    ]
    parts: list[object] = []
    if rows:
        parts.append(grid("Cross-entropy while training", ("samples", "loss", ""), rows))
    if trained.accuracy is not None:
        parts.append(
            f"{trained.accuracy:.2%} of {task.tests:,} test samples are right "
            f"after training on {task.total:,} ({_rates(task)}, seed {task.seed})."
        )
    return parts


def _rates(task: Task) -> str:
    text = f"rate {task.rate:g}"
    if task.halve_every:
        text += f", halved every {task.halve_every:,} down to {task.rate_floor:g}"
    return text


def _bar(value: float, most: float) -> str:
    return "█" * round(_BAR * value / most) if math.isfinite(value) and most else ""


def on_board(found: dict[str, Any]) -> list[object]:
    """What `gradwire board train` found, from its JSON."""
    rows = [("samples trained", f"{found['samples']:,}")]
    if found["records"] != found["samples"]:
        rows.append(("samples stored for it", f"{found['records']:,}"))
    if found["clocks"] is not None:
        rows.append(("clocks of the run", f"{found['clocks']:,}"))
        rows.append(("of which waiting for samples", f"{found['stalls']:,}"))
    rows.append(("weights as the golden model's", "yes" if found["bit_exact"] else "no"))
    rows.append(("right of the test samples", f"{found['accuracy']:.2%} of {found['tests']:,}"))
    if found["weights"]:
        rows.append(("weights", found["weights"]))
    return [facts(f"{found['topology']} on {found['port']}", rows)]


def simulation(found: dict[str, Any]) -> list[object]:
    """What `gradwire simulate` found, from its JSON."""
    rows = [
        ("samples trained at RTL", _samples(found)),
        ("bit exact, clock exact", "yes" if found["bit_exact"] else "NO"),
        ("mismatches", f"{found['mismatches']:,}"),
        ("clocks per iteration", _measured(found)),
        ("accuracy of the RTL", _percent(found["accuracy"])),
        ("simulation", f"{found['simulated_clocks_per_second']:,} clocks a second"),
    ]
    rows += [(name, found[name]) for name in ("weights", "waves") if found[name]]
    return [facts(f"{found['topology']} at RTL, beside the models", rows)]


def _samples(found: dict[str, Any]) -> str:
    before = f" after {found['samples_before']:,}" if found["samples_before"] else ""
    then = "interrupted" if found["interrupted"] else f"{found['tests']:,} tested"
    return f"{found['samples']:,}{before}, then {then}"


def synthesis(found: dict[str, Any]) -> list[object]:
    """What `gradwire synth` found, from its JSON."""
    rows = [
        ("Fmax", placing.fmax(found)),
        ("LUTs, flip-flops", f"{found['luts']:,}, {found['ffs']:,}"),
        ("DSPs, BRAMs", f"{found['dsps']:,}, {found['brams']:,}"),
        ("time per iteration", _iteration(found)),
        ("log", found["log"]),
    ]
    title = f"{found['topology']} on {found['target']}, placed and routed"
    return [facts(title, rows), *placing.tables(found)]


def bitstream(found: dict[str, Any]) -> list[object]:
    """What `gradwire board build` made, from its JSON."""
    rows = [
        ("clock", f"{found['clock_mhz']:g} MHz, of at most {found['fmax_mhz']:g} MHz"),
        *(
            (name, f"{found[key]['used']:,} of {found[key]['available']:,}")
            for name, key in (
                ("LUTs", "luts"),
                ("flip-flops", "ffs"),
                ("DSPs", "dsps"),
                ("BRAMs", "brams"),
            )
        ),
        ("clocks per iteration", f"{found['clocks_per_iteration']:,}"),
        ("samples a second", f"{found['samples_per_second']:,}"),
        *(("file", file) for file in found["files"]),
        ("log", found["log"]),
    ]
    pes = found["design"]["processing_elements"]
    title = f"{found['topology']} with {pes} processing elements on {found['board']}"
    return [facts(title, rows), f"Train it with: {found['train']}"]


def demo(found: dict[str, Any], folder: Path) -> list[object]:
    """The summary of `gradwire demo`, from its JSON."""
    simulated, built = found["simulate"], found["synth"]
    table = Table(title=f"{simulated['topology']}: the machine, end to end", title_justify="left")
    table.add_column("")
    table.add_column("gradwire", overflow="fold")
    table.add_column("paper")
    theirs = paper.ITERATION_CLOCKS[simulated["topology"]]
    training_ms = simulated["samples"] * built["ns_per_iteration"] / 1e6
    for row in (
        ("samples trained at RTL", f"{simulated['samples']:,}"),
        ("samples tested at RTL", f"{simulated['tests']:,}"),
        ("bit exact, clock exact", "yes" if simulated["bit_exact"] else "NO"),
        ("accuracy on the test samples", _percent(simulated["accuracy"])),
        ("clocks per iteration", _measured(simulated), f"{theirs}"),
        ("Fmax (LFE5U-85F, speed 6)", f"{built['fmax_mhz']:g} MHz", "250 MHz (45 nm)"),
        ("LUTs, flip-flops", f"{built['luts']:,}, {built['ffs']:,}"),
        ("DSPs, BRAMs", f"{built['dsps']:,}, {built['brams']:,}"),
        (
            "time per iteration",
            f"{built['ns_per_iteration']:,.0f} ns",
            f"{theirs * paper.CLOCK_NS:,.0f} ns",
        ),
        (
            f"time to train on {simulated['samples']:,}",
            f"{training_ms:.1f} ms",
            f"{paper.TRAINING_MS:g} ms",
        ),
    ):
        table.add_row(*row)
    return [table, f"Files: {folder}"]


def _measured(found: dict[str, Any]) -> str:
    measured, predicted = (
        found["clocks_per_iteration_measured"],
        found["clocks_per_iteration_predicted"],
    )
    return f"{_count(measured)} measured, {_count(predicted)} predicted"


def _count(clocks: float) -> str:
    """Clocks, which may be a mean."""
    return f"{clocks:,.2f}".removesuffix(".00")


def _iteration(found: dict[str, Any]) -> str:
    return f"{found['ns_per_iteration']:,.0f} ns ({found['clocks_per_iteration']:,} clocks)"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.2%}"
