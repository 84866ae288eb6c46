"""Our figures beside the paper's."""

from collections.abc import Callable, Sequence

from gradwire import paper, tables
from gradwire.report.model import Cost, Learning, Neuron, Paper, Power, Row
from hw.design import parse_topology
from hw.schedule import Schedule, design_for, make_schedule

_SMALL, _MNIST = "3-3-3-1", "784-100-100-10"
_PES = {_SMALL: 3, _MNIST: 100}


def clock(costs: Sequence[Cost]) -> tuple[float, str]:
    """The clock frequency in MHz that times are stated for, and why: measured, else the paper's."""
    for cost in costs:
        if cost.fmax_mhz:
            return cost.fmax_mhz, f"{cost.fmax_mhz:g} MHz, measured on {cost.target}"
    return 1e3 / paper.CLOCK_NS, f"the paper's clock of {paper.CLOCK_NS:g} ns, not measured here"


def collect(
    schedule: Schedule,
    costs: Sequence[Cost],
    power: Sequence[Power],
    learned: Learning | None,
    command: Callable[..., str],
) -> Paper:
    """Its Table I, its small network, its MNIST network.

    A network that the report is not about is taken with its usual design, and at the paper's clock.
    """
    rows: list[Row] = []
    for topology, make in ((_SMALL, _small), (_MNIST, _mnist)):
        if topology == schedule.design.topology:
            rows += make(schedule, *clock(costs), command)
            rows += _measured(topology, power, learned)
            rows += _neuron(topology, costs)
        else:
            pes = _PES[topology]
            usual = make_schedule(design_for(parse_topology(topology), pes))
            words = [topology, "--pes", str(pes)]
            rows += make(usual, *clock(()), lambda verb, w=words: " ".join(["gradwire", verb, *w]))
    return Paper(
        neurons=tuple(
            Neuron(
                inputs=row["inputs"], clocks=row["clocks_per_iteration"], paper=row["paper_clocks"]
            )
            for row in tables.neuron_rows()
        ),
        neuron_command="gradwire clocks --neuron-table",
        rows=tuple(rows),
    )


def _row(
    network: str, what: str, unit: str, ours: float | None, theirs: float, how: str, told: str
) -> Row:
    """A figure of which less is better."""
    return Row(
        network=network,
        what=what,
        unit=unit,
        ours=ours,
        paper=theirs,
        ratio=theirs / ours if ours else None,
        how=how,
        command=told,
    )


def _small(schedule: Schedule, mhz: float, why: str, command: Callable[..., str]) -> list[Row]:
    told = command("clocks")
    train = schedule.clocks_per_sample * paper.TRAINING_SAMPLES / mhz / 1e3
    test = schedule.inference_clocks * paper.TEST_SAMPLES / mhz / 1e3
    model = "cycle model, equal to the RTL in every clock"
    return [
        _row(
            _SMALL, "clocks of an iteration", "", schedule.clocks_per_sample,
            paper.ITERATION_CLOCKS[_SMALL], model, told,
        ),
        _row(
            _SMALL, f"training on {paper.TRAINING_SAMPLES:,} samples", "ms", train,
            paper.TRAINING_MS, why, told,
        ),
        _row(
            _SMALL, f"testing {paper.TEST_SAMPLES:,} samples", "ms", test, paper.TEST_MS, why, told,
        ),
    ]  # fmt: skip


def _mnist(schedule: Schedule, mhz: float, why: str, command: Callable[..., str]) -> list[Row]:
    told = command("clocks")
    samples, seconds = paper.MNIST["samples"], paper.MNIST["seconds"]
    ours = schedule.clocks_per_sample * samples / mhz / 1e6
    model = "cycle model, equal to the RTL in every clock"
    return [
        _row(
            _MNIST, "clocks of an iteration", "", schedule.clocks_per_sample,
            paper.ITERATION_CLOCKS[_MNIST], model, told,
        ),
        _row(_MNIST, f"training on {samples:,} samples", "s", ours, seconds, why, told),
        _row(
            _MNIST, "the same, beside its software on 12 cores", "s", ours,
            paper.MNIST_SOFTWARE["seconds"], why, told,
        ),
    ]  # fmt: skip


def _measured(topology: str, power: Sequence[Power], learned: Learning | None) -> list[Row]:
    """Power, energy and accuracy, of the network of the report."""
    watts = {_SMALL: paper.SMALL_POWER_MW / 1e3, _MNIST: paper.MNIST["power_w"]}[topology]
    seconds = {
        _SMALL: paper.TRAINING_MS / 1e3 / paper.TRAINING_SAMPLES,
        _MNIST: paper.MNIST["seconds"] / paper.MNIST["samples"],
    }[topology]
    here = power[0] if power else None
    how = f"{here.target} at {here.frequency_mhz:g} MHz" if here else ""
    told = here.command if here else ""
    energy = here.energy_nj / 1e3 if here else None
    return [
        _row(topology, "power", "W", here.power_mw / 1e3 if here else None, watts, how, told),
        _row(topology, "energy of a sample", "uJ", energy, watts * seconds * 1e6, how, told),
        *(_accuracies(topology, learned) if learned else ()),
    ]


def _accuracies(topology: str, learned: Learning) -> list[Row]:
    """Beside the paper's software, where it was trained on as many samples."""
    theirs = {point.samples: point.accuracy for point in learned.paper}
    return [
        Row(
            network=topology,
            what=f"test accuracy after {point.samples:,} samples",
            unit="%",
            ours=100 * point.accuracy,
            paper=100 * theirs[point.samples],
            ratio=point.accuracy / theirs[point.samples],
            how="beside its software",
            command=learned.command,
        )
        for point in learned.points
        if point.samples in theirs
    ]


def _neuron(topology: str, costs: Sequence[Cost]) -> list[Row]:
    """Logic of a processing element beside a neuron's."""
    name, theirs = "logic of a processing element (the paper: of a neuron)", paper.NEURON_AREA_UM2
    how = "45 nm standard cells"
    return [
        _row(topology, name, "um2", cost.pe_um2, theirs, how, cost.command)
        for cost in costs
        if cost.pe_um2
    ]
