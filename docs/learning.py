"""Accuracy over samples, by schedule of groups: python -m docs.learning FOLDER.

Trains networks on MNIST, whose IDX files are in FOLDER, on the golden model of groups, and adds the
runs that are not in it to learning.csv beside this file: a line for each moment of a run. The table
and the charts of the docs are made from that file (python -m docs.figures).
"""

import csv
import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gradwire.training import Task, plan
from hw.design import Design
from hw.groups import GroupedDesign, parse_groups, stage
from sim.activations import activate
from sim.datasets import Dataset, accuracy
from sim.golden import Array, LearningRate, Weights
from sim.grouped import GroupedGolden

FILE = Path(__file__).with_name("learning.csv")
HEAD = "groups,hidden,schedule,gain,warm,seed,samples,accuracy\n"
SAMPLES, TESTS = 100_000, 10_000
MOMENTS = (5_000, 10_000, 20_000, 40_000, 70_000, SAMPLES)
SEEDS = (1, 2, 3)
BATCH = 16  # with fill-drain
WARM_UP, COLD = 25_000, 4  # samples at a rate that is so many times less

SHALLOW = ("784-100/100-100-10:80,20", "784-100/100-100/100-10:80,15,5")
DEEP = (
    "784-64-64/64-64-64/64-64-64-10:64,16,16",
    "784-64/64-64/64-64/64-64/64-64/64-64/64-10:64,16,16,16,16,16,8",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Members
    -------
    groups : layers and PEs of each.
    hidden : activation function of the hidden layers; the outputs' is sigmoid.
    schedule : see hw.pipelining.
    gain : of the initial weights.
    warm : samples of a run before it at a fraction of the rate, by the same schedule.
    seed : of the order of samples and of the initial weights.
    """

    groups: str
    hidden: str
    schedule: str
    gain: float
    warm: int
    seed: int

    @property
    def batch(self) -> int:
        return BATCH if self.schedule == "fill-drain" else 1


# With the hidden layers' activation and the gain of the initial weights: for sigmoid it is that of
# `gradwire train`; with 1.4, activations of deep ReLU networks neither grow nor fade.
NETWORKS = ((SHALLOW, "sigmoid", 3.0), (DEEP, "relu", 1.4))

_LEFT, _PANEL, _WIDE, _TOP, _HIGH = 56, 470, 420, 64, 330  # pixels
SHOWN = (0.55, 0.98)  # accuracies, from the bottom of the chart to its top
_COLOURS = {
    "sequential": "#111827",
    "delayed": "#2563eb",
    "ping-pong": "#dc2626",
    "fill-drain": "#9ca3af",
}


def _topology(groups: str) -> str:
    """Layer sizes joined by dashes."""
    layers, _ = parse_groups(groups)
    return "-".join(map(str, (layers[0][0], *(size for group in layers for size in group[1:]))))


def kinds() -> Iterator[tuple[str, str, str, float, int]]:
    """Of the runs that the docs show: all but the seed, in the order of the table."""
    for networks, hidden, gain in NETWORKS:
        yield networks[0], hidden, "sequential", gain, 0
        for groups, schedule in itertools.product(networks, ("delayed", "ping-pong")):
            yield groups, hidden, schedule, gain, 0
        yield networks[0], hidden, "fill-drain", gain, 0
    yield DEEP[1], "relu", "ping-pong", 1.4, WARM_UP


def runs() -> Iterator[Run]:
    """All that the docs show."""
    for seed in SEEDS:
        for kind in kinds():
            yield Run(*kind, seed)


def design(run: Run) -> GroupedDesign:
    """Row-mapped but for the last layers of groups below others."""
    groups, pes = parse_groups(run.groups)
    batch = 2 if run.schedule == "ping-pong" else run.batch
    designs = []
    for number, (layers, count) in enumerate(zip(groups, pes, strict=True)):
        last, hidden = number == len(groups) - 1, len(layers) - 2
        designs.append(
            Design(
                layers=layers,
                processing_elements=count,
                mapping=("row",) * hidden + ("row" if last else "column",),
                activation=",".join([run.hidden] * hidden + ["sigmoid" if last else run.hidden]),
                batch=batch,
                stage=stage(
                    number,
                    len(groups),
                    run.schedule,
                    batch,
                    run.hidden if number else "",
                    groups[-1][-1],
                ),
            )
        )
    return GroupedDesign(designs=tuple(designs), schedule=run.schedule)


def one_array(run: Run) -> Design:
    """With the same layers: the rates and weights to begin with are chosen for it."""
    whole = design(run)
    return Design(
        layers=whole.layers,
        processing_elements=1,
        mapping=whole.mapping,
        activation=",".join(whole.activations),
        batch=run.batch,
    )


@functools.lru_cache(maxsize=1)
def _data(folder: Path, seed: int) -> Dataset:
    task = Task(data=f"idx:{folder}", samples=SAMPLES, tests=TESTS, seed=seed)
    return task.load(Design(layers=(784, 10), processing_elements=1, mapping=("row",)))


def measure(run: Run, folder: Path) -> Iterator[tuple[int, float]]:
    """Samples and test accuracy at each of the moments.

    A moment is when the first group has learned from its last sample.
    """
    data, whole = _data(folder, run.seed), one_array(run)
    about = {"data": f"idx:{folder}", "samples": SAMPLES, "gain": run.gain, "seed": run.seed}
    task = plan(whole, about)
    usual = task.learning(run.batch)
    low = LearningRate(rate=usual.rate / COLD)
    weights = task.start(whole)
    for first, last, each in ((0, run.warm, low), (run.warm, SAMPLES, usual)):
        each = dataclasses.replace(each, age=first)
        golden = GroupedGolden(design(run), weights, each, run.batch)
        part = slice(first, last)
        for group, sample, *_ in golden.train(data.train_inputs[part], data.train_labels[part]):
            if group == 0 and first + sample + 1 in MOMENTS:
                found = outputs(whole, golden.weights, data.test_inputs)
                yield first + sample + 1, accuracy(found, data.test_labels)
        weights = golden.weights


def outputs(network: Design, weights: Weights, inputs: Array) -> Array:
    """For many samples at once, but for the order of additions as the machine computes them."""
    values = inputs
    for w, b, name in zip(weights.weights, weights.biases, network.activations, strict=True):
        values = activate(name, values @ w.T + b, network.table_entries, network.table_degree)
    return values


def read() -> dict[Run, dict[int, float]]:
    """What has been measured: accuracy by number of samples."""
    found: dict[Run, dict[int, float]] = {}
    with FILE.open(newline="", encoding="utf-8") as file:
        for *names, gain, warm, seed, samples, value in list(csv.reader(file))[1:]:
            run = Run(*names, float(gain), int(warm), int(seed))
            found.setdefault(run, {})[int(samples)] = float(value)
    return found


def measured() -> dict[tuple, dict[int, dict[int, float]]]:
    """The same, by seed, of each kind of which something has been measured."""
    found = read()
    by_kind = {
        kind: {seed: found[run] for seed in SEEDS if (run := Run(*kind, seed)) in found}
        for kind in kinds()
    }
    return {kind: by_seed for kind, by_seed in by_kind.items() if by_seed}


def rows() -> Iterator[tuple[object, ...]]:
    """Lines of the table: accuracies in percent at the end."""
    exact: dict[int, float] = {}
    for kind, found in measured().items():
        groups, hidden, schedule, gain, _ = kind
        values = {seed: 100 * by_moment[SAMPLES] for seed, by_moment in found.items()}
        network, differences = "", [values[seed] - exact[seed] for seed in values if seed in exact]
        if schedule == "sequential":
            exact, differences = values, []
            network = f"{_topology(groups)}, {hidden}, gain {gain:g}"
        yield (
            network,
            _said(kind),
            ", ".join(f"{value:.2f}" for value in values.values()),
            f"{np.mean(list(values.values())):.2f}",
            f"{np.mean(differences):+.2f}" if differences else "",
            f"{max(differences, key=abs):+.2f}" if differences else "",
        )


def _said(kind: tuple) -> str:
    """How a kind of run trains."""
    groups, _, schedule, _, warm = kind
    if schedule == "fill-drain":
        return f"{schedule}, batch {BATCH}"
    count = f", {groups.count('/') + 1} groups" if schedule != "sequential" else ""
    return schedule + count + (", warm-up" if warm else "")


def chart() -> str:
    """SVG: accuracy over samples, means of the seeds; a panel for each network."""
    width, height = len(NETWORKS) * _PANEL + 60, _TOP + _HIGH + 64
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(20, 24, "MNIST, test accuracy in percent over training samples", size=15),
    ]
    found = measured()
    for number, (networks, hidden, _) in enumerate(NETWORKS):
        left = _LEFT + number * _PANEL
        parts += _axes(left, f"{_topology(networks[0])}, {hidden}")
        shown = [kind for kind in found if kind[0] in networks]
        for place, kind in enumerate(shown):
            parts += _line(left, place, kind, found[kind])
    return "\n".join([*parts, "</svg>", ""])


def _x(left: float, samples: int) -> float:
    first, last = MOMENTS[0], MOMENTS[-1]
    return left + _WIDE * np.log(samples / first) / np.log(last / first)


def _y(value: float) -> float:
    """Of an accuracy: errors are on a logarithmic scale."""
    most, least = 1 - SHOWN[0], 1 - SHOWN[1]
    return _TOP + _HIGH * np.log((1 - value) / least) / np.log(most / least)


def _axes(left: float, title: str) -> list[str]:
    parts = [_text(left, _TOP - 10, title, size=13)]
    for percent in (60, 70, 80, 90, 95, 97, 98):
        y = _y(percent / 100)
        parts.append(f'<path d="M{left} {y:.1f}H{left + _WIDE}" stroke="#e5e7eb"/>')
        parts.append(_text(left - 8, y + 4, f"{percent}", anchor="end"))
    for samples in MOMENTS:
        x = _x(left, samples)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_TOP + _HIGH}" stroke="#e5e7eb"/>')
        parts.append(_text(x, _TOP + _HIGH + 18, f"{samples // 1000}k", anchor="middle"))
    return parts


def _line(left: float, place: int, kind: tuple, found: dict[int, dict[int, float]]) -> list[str]:
    """A curve, and what it is, at `place` of the key."""
    groups, _, schedule, _, warm = kind
    means = [np.mean([each[moment] for each in found.values()]) for moment in MOMENTS]
    points = " ".join(
        f"{_x(left, moment):.1f},{_y(max(mean, SHOWN[0])):.1f}"
        for moment, mean in zip(MOMENTS, means, strict=True)
    )
    dash = "2 3" if warm else "" if groups in (SHALLOW[0], DEEP[0]) else "6 3"
    stroke = f'fill="none" stroke="{_COLOURS[schedule]}" stroke-width="1.8"'
    stroke += f' stroke-dasharray="{dash}"' if dash else ""
    x, y = left + _WIDE - 170, _TOP + _HIGH - 110 + 17 * place
    return [
        f'<polyline points="{points}" {stroke}><title>{_said(kind)}</title></polyline>',
        f'<path d="M{x} {y - 4}h26" {stroke}/>',
        _text(x + 34, y, _said(kind)),
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#111827">{text}</text>'
    )


def _missing() -> Iterator[Run]:
    done = read()
    return (run for run in runs() if run not in done)


def main(arguments: Sequence[str]) -> None:
    """Run what is missing."""
    (folder,) = map(Path, arguments)
    for run in _missing():
        began = time.monotonic()
        found = list(measure(run, folder))
        with FILE.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for samples, value in found:
                writer.writerow([*dataclasses.astuple(run), samples, f"{value:.4f}"])
        seconds = time.monotonic() - began
        print(f"{run}: {found[-1][1]:.2%}, {seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
