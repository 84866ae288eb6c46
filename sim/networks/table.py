"""DAPP's Table 4.1 on MNIST: python -m sim.networks.table FOLDER [--models CNN ...] [--seeds 3].

Trains a convolutional network, a vanilla recurrent one and an LSTM by exact SGD and by both of
DAPP's schedules, with the same seeds, and prints the test accuracies and the slots of each.
FOLDER holds MNIST as IDX files. It takes some ten minutes on one core; see docs/pipelining.md.
"""

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw.errors import InputError
from hw.pipelining import Pipelining, dapp_slots
from sim.datasets import Dataset, accuracy, idx
from sim.golden import LearningRate
from sim.networks.activation import Activation
from sim.networks.convolution import Convolution, MaxPool
from sim.networks.dense import Dense, Flatten, Last
from sim.networks.network import Network
from sim.networks.recurrent import LSTM, Recurrent
from sim.networks.trainer import Trainer
from sim.order import run_order

KINDS = ("sequential", "delayed", "ping-pong")
IMAGES, TESTS = 60_000, 10_000


@dataclasses.dataclass(frozen=True)
class Model:
    """A row of the table.

    Members
    -------
    network : in three groups, DAPP's modules.
    batch : samples of a batch.
    samples : to train on.
    rate : learning rate.
    accuracies : of DAPP's authors, in percent: normal, and with DAPP.
    decrease : theirs in time, in percent.
    halvings : of the rate in a run, after equal parts of it, down to a tenth at least.
    limit : of the norm of a group's gradient, averaged over a batch.
    """

    network: Network
    batch: int
    samples: int
    rate: float
    accuracies: tuple[float, float]
    decrease: float
    halvings: int = 4
    limit: float = math.inf

    def learning(self, samples: int) -> LearningRate:
        """The learning rate of a run of so many samples."""
        return LearningRate(
            rate=self.rate, halve_every=max(samples // (self.halvings + 1), 1), floor=self.rate / 10
        )


def _recurrent(cell: Recurrent | LSTM, inputs: int) -> Network:
    """Over the 28 rows of an image: what rows bring, the recurrence, the outputs."""
    return Network((28, 28), ((Dense(28, inputs),), (cell, Last()), (Dense(cell.size, 10),)))


# The groups of the convolutional network are those of DAPP's Table 3.1. DAPP says no sizes.
MODELS = {
    "CNN": Model(
        network=Network(
            (1, 28, 28),
            (
                (Convolution(1, 6, 5, gain=1.4), MaxPool(2), Activation("relu")),
                (Convolution(6, 16, 5, gain=1.4), MaxPool(2), Activation("relu")),
                (Flatten(), Dense(256, 10)),
            ),
        ),
        batch=1,
        samples=IMAGES,
        rate=0.01,
        accuracies=(96.75, 96.61),
        decrease=52.3,
    ),
    "RNN": Model(
        network=_recurrent(Recurrent(64), 64),
        batch=100,
        samples=20 * IMAGES,
        rate=0.05,
        accuracies=(97.04, 97.02),
        decrease=39.73,
        halvings=2,
        limit=1,
    ),
    "LSTM": Model(
        network=_recurrent(LSTM(32), 4 * 32),
        batch=50,
        samples=4 * IMAGES,
        rate=0.5,
        accuracies=(96.4, 96.7),
        decrease=38.45,
        halvings=2,
        limit=1,
    ),
}


def load(folder: Path, samples: int, tests: int) -> Dataset:
    """MNIST, to train on as many samples and to test on `tests`; no image comes twice.

    Raises InputError if the folder does not hold it.
    """
    return idx(folder, (784, 10), min(samples, IMAGES), tests, seed=1)


def measure(model: Model, kind: str, data: Dataset, samples: int, seed: int) -> tuple[float, float]:
    """Test accuracies after a tenth of `samples` samples and after all of them."""
    network, early = model.network, []
    schedule = Pipelining(kind=kind, groups=len(network.groups))
    trainer = Trainer(
        network,
        network.initial(seed),
        schedule,
        model.learning(samples),
        model.batch,
        model.limit,
    )

    def tested() -> float:
        return accuracy(network.outputs(trainer.parameters, data.test_inputs), data.test_labels)

    def report(unit: int, units: int) -> None:
        if unit == units // 10:
            early.append(tested())

    order = run_order(len(data.train_inputs), samples, seed)
    trainer.train(data.train_inputs, data.train_labels, order, report)
    return early[0], tested()


def compare(model: Model, data: Dataset, samples: int, seed: int, name: str) -> np.ndarray:
    """Both accuracies by each schedule, shape (schedules, 2); a line on standard error for each."""
    found = []
    for kind in KINDS:
        began = time.monotonic()
        found.append(measure(model, kind, data, samples, seed))
        early, last = (f"{100 * value:.2f} %" for value in found[-1])
        seconds = time.monotonic() - began
        print(f"{name}, seed {seed}, {kind}: {early}, {last}, {seconds:.0f} s", file=sys.stderr)
    return np.array(found)


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def accuracies(found: dict[str, list[np.ndarray]], moment: int) -> str:
    """Means over the seeds by model, as a table.

    `found` has an array for each seed, of shape (schedules, 2): accuracies after a tenth of the
    samples, `moment` 0, and after all of them, `moment` 1.
    """
    lines = []
    for name, seeds in found.items():
        model, values = MODELS[name], 100 * np.stack(seeds)[:, :, moment]
        means = [f"{mean:.2f} %" for mean in values.mean(axis=0)]
        differences = values[:, 1:] - values[:, :1]
        furthest = [f"{max(each, key=abs):+.2f}" for each in differences.T]
        theirs = " and ".join(f"{value} %" for value in model.accuracies)
        lines.append([name, *means, *furthest, theirs])
    head = [*KINDS, *(f"{kind}, furthest from it" for kind in KINDS[1:])]
    return table(["model", *head, "the paper: normal and DAPP"], lines)


def decreases(samples: dict[str, int]) -> str:
    """Slots of a run by each schedule, and how many fewer: counted, and by the paper's formulas.

    `samples` are those of a run, by model. The formulas take the groups for modules.
    """
    lines = []
    for name, count in samples.items():
        model = MODELS[name]
        groups = len(model.network.groups)
        batches = -(-count // model.batch)
        counted = [Pipelining(kind=kind, groups=groups).slots(batches) for kind in KINDS]
        of_groups = [dapp_slots(kind, batches, groups) for kind in KINDS]
        less = [
            f"{100 * (1 - later / first):.1f} %"
            for first, *others in (counted, of_groups)
            for later in others
        ]
        slots = [f"{value:,.0f}" for value in counted]
        lines.append([name, f"{batches:,}", *slots, *less, f"{model.decrease} %"])
    head = [f"{kind}, slots" for kind in KINDS]
    head += [f"{kind}, {what}" for what in ("fewer", "by formula") for kind in KINDS[1:]]
    return table(["model", "batches", *head, "the paper's time"], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and print the tables. Ends with SystemExit, and code 2, if an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sim.networks.table")
    parser.add_argument("folder", type=Path, help="of MNIST as IDX files")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3, help="1 to this one")
    parser.add_argument("--samples", type=int, help="to train on, in place of a model's own number")
    parser.add_argument("--tests", type=int, default=TESTS, help="of the test images")
    options = parser.parse_args(arguments)
    for name in ("seeds", "samples", "tests"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"{name} must be 1 or more, not {value}")
    samples = {name: options.samples or MODELS[name].samples for name in options.models}
    try:
        data = load(options.folder, max(samples.values()), options.tests)
    except InputError as error:
        parser.error(str(error))
    found = {
        name: [
            compare(MODELS[name], data, samples[name], seed, name)
            for seed in range(1, options.seeds + 1)
        ]
        for name in options.models
    }
    print("Test accuracy after all samples, mean of the seeds:\n")
    print(accuracies(found, 1))
    print("\nAfter a tenth of them:\n")
    print(accuracies(found, 0))
    print("\nSlots:\n")
    print(decreases(samples))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
