"""Training runs: on the golden model alone, and on the RTL beside it."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradwire.console import holding_interrupt
from gradwire.grouped import AnyDesign, AnySchedule
from gradwire.saved import Saved
from hw.errors import InputError
from hw.groups import GroupedDesign
from hw.pipeline import GroupedSchedule
from sim import datasets
from sim.bench.grouped import simulate_groups
from sim.bench.run import Run, Simulation
from sim.bench.run import simulate as simulate_runs
from sim.golden import Golden, LearningRate, Weights, halved, initial_weights
from sim.grouped import GroupedGolden
from sim.initial import starting_weights

SAMPLES = 6000
TESTS = datasets.RED_TESTS
SEED = 1
RATE = 0.3
GAIN = 2.0

# Learning rate and gain by data set, with sigmoid hidden layers and with others: those that do best
# (docs/data.md). But for red, the rate is halved after each quarter of the training, down to a
# tenth. Batches take larger rates, of which no more than so many times.
_USUAL = {
    "red": ((RATE, GAIN), (RATE, GAIN)),
    "digits": ((0.3, 4.0), (0.1, 1.0)),
    "idx": ((0.1, 3.0), (0.015, 0.8)),
}
_MOST_TIMES = 4

_MOST_SAMPLES = 10_000_000
_MOST_SEED = 2**31 - 1  # what the simulator and nextpnr take
_MOST_GAIN = 1000
_POINTS = 12  # of a loss curve
_LEAST = 1e-7  # what an output that is exactly wrong counts as in the cross-entropy

Progress = Callable[..., None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What to train on, and how. The defaults are those of the data set `red`, see `plan`.

    Parameters
    ----------
    data : name of the data set.
    samples, tests : how many to train on and to test on.
    rate : learning rate.
    halve_every : samples after which the rate is halved; 0 for never.
    rate_floor : the rate does not fall below it.
    gain : initial weights have a deviation of gain / sqrt(inputs of the layer).
    seed : of the data and of the initial weights.
    before : samples that have been trained on before these.
    weights : those that they left; None to begin anew.

    Raises InputError, naming the constraint and the value.
    """

    data: str = "red"
    samples: int = SAMPLES
    tests: int = TESTS
    rate: float = RATE
    halve_every: int = 0
    rate_floor: float = 0.0
    gain: float = GAIN
    seed: int = SEED
    before: int = 0
    weights: Weights | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        least = 1 if self.weights is None else 0
        for name, low in (("samples", least), ("tests", 1)):
            if not low <= (value := getattr(self, name)) <= _MOST_SAMPLES:
                raise InputError(f"{name} must be {low} to {_MOST_SAMPLES}, not {value}")
        LearningRate(rate=self.rate, halve_every=self.halve_every, floor=self.rate_floor)
        if not 0 <= self.gain <= _MOST_GAIN:
            raise InputError(f"gain must be 0 to {_MOST_GAIN}, not {self.gain}")
        check_seed(self.seed)

    @property
    def total(self) -> int:
        """Samples of the whole training, with those before."""
        return self.before + self.samples

    def load(self, design: AnyDesign) -> datasets.Dataset:
        """The samples. Raises InputError if they do not fit the network of `design`."""
        whole = datasets.load(self.data, design.layers, max(1, self.total), self.tests, self.seed)
        now = slice(self.before, self.total)
        return dataclasses.replace(
            whole, train_inputs=whole.train_inputs[now], train_labels=whole.train_labels[now]
        )

    def kept(self) -> dict[str, Any]:
        """The parameters that a file of weights keeps, of the whole training."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del found["before"], found["weights"]
        return found | {"samples": self.total}

    def start(self, design: AnyDesign) -> Weights:
        """The weights to begin with."""
        if self.weights is not None:
            return self.weights
        if isinstance(design, GroupedDesign):
            return initial_weights(design.layers, self.seed, self.gain)
        return starting_weights(design, self.seed, self.gain)

    def learning(self, batch: int) -> LearningRate:
        """The learning rate as it is after the samples before, trained on in batches."""
        rate = LearningRate(rate=self.rate, halve_every=self.halve_every, floor=self.rate_floor)
        return learning_after(rate, self.before, batch)


def learning_after(learning: LearningRate, samples: int, batch: int) -> LearningRate:
    """What has become of `learning` after so many samples, for a training that goes on.

    It follows the machine from batch to batch, and gives the machine the same words again.
    """
    step, floor = learning.words(batch)
    used = learning.age
    for first in range(0, samples, batch):
        if learning.halve_every and used >= learning.halve_every:
            used -= learning.halve_every
            step = halved(step, floor)
        used += min(batch, samples - first)
    return LearningRate(
        rate=float(step) * batch,
        halve_every=learning.halve_every,
        floor=float(floor) * batch,
        age=used,
    )


def rate_shares(design: AnyDesign) -> int:
    """Samples of a batch that share its rate: of ping-pong's pairs, each has all of it."""
    pairs = isinstance(design, GroupedDesign) and design.schedule == "ping-pong"
    return 1 if pairs else design.batch


def check_seed(seed: int) -> None:
    """Raise InputError for a seed that not every tool takes."""
    if not 0 <= seed <= _MOST_SEED:
        raise InputError(f"seed must be 0 to {_MOST_SEED}, not {seed}")


def plan(design: AnyDesign, given: dict[str, Any], saved: Saved | None = None) -> Task:
    """The task that `given` describes: parameters of Task, those that are None left open.

    What is left open is as in the training that `saved` has come from; else it is chosen for the
    data set and the activation functions (docs/data.md). `samples` are those of the whole
    training; with weights that are saved, 0 stands for tests alone. Raises InputError.
    """
    kept = saved.task if saved else {}
    task = kept | {name: value for name, value in given.items() if value is not None}
    before = saved.trained if saved else 0
    samples = task.pop("samples", SAMPLES)
    if saved and 0 < samples < before:
        raise InputError(
            f"samples must be {before} or more, which {saved.file} has been trained on already, "
            f"or 0 for tests alone, not {samples}"
        )
    if saved:
        samples = max(0, samples - before)
        saved.check(design, goes_on=samples > 0)
        task |= {"before": before, "weights": saved.weights}
    return Task(samples=samples, **_usual(design, task, before + samples))


def _usual(design: AnyDesign, task: dict[str, Any], total: int) -> dict[str, Any]:
    """`task` with what it leaves open."""
    data = task.setdefault("data", "red")
    tests = datasets.usual_tests(data)
    other = not all(name.startswith("sigmoid") for name in design.activations[:-1])
    rate, gain = _USUAL[data.partition(":")[0]][other]
    rate = task.get("rate", rate * min(rate_shares(design), _MOST_TIMES))
    usual = {"tests": tests, "rate": rate, "gain": gain}
    if data != "red":
        usual |= {"halve_every": math.ceil(total / 4), "rate_floor": rate / 10}
    return usual | task


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the golden model learned.

    Members
    -------
    samples : that it was trained on.
    accuracy : on the test samples, 0 to 1; None if it was interrupted.
    loss : samples trained on, and the mean cross-entropy of the samples since the entry before,
        each taken before the network learned from it.
    weights : at the end.
    interrupted : whether Ctrl-C came before the end.
    """

    samples: int
    accuracy: float | None
    loss: list[tuple[int, float]]
    weights: Weights
    interrupted: bool


def train(
    design: AnyDesign,
    task: Task,
    progress: Progress = lambda *_, **__: None,
    data: datasets.Dataset | None = None,
) -> Trained:
    """Train on the golden model alone; Ctrl-C ends it after the batch that is being trained on.

    `data` are the task's samples, if they have been loaded already. Raises InputError if the data
    do not fit the network.
    """
    data = data or task.load(design)
    kind = GroupedGolden if isinstance(design, GroupedDesign) else Golden
    golden = kind(design, task.start(design), task.learning(design.batch), design.batch)
    total = task.samples + task.tests
    outputs, found = [], []
    with holding_interrupt() as interrupted:
        for index, made in enumerate(_trained(golden, data, interrupted), 1):
            outputs.append(made)
            if index % 100 == 0:
                progress("training the golden model", index, total)
        for index, x in enumerate(data.test_inputs, task.samples + 1):
            if interrupted():
                break
            found.append(golden.infer(x))
            if index % 100 == 0 or index == total:
                progress("training the golden model", index, total)
        stopped = interrupted()
    return Trained(
        samples=len(outputs),
        accuracy=None if stopped else datasets.accuracy(np.array(found), data.test_labels),
        loss=_curve(np.array(outputs), data.train_labels[: len(outputs)], task.before),
        weights=golden.weights,
        interrupted=stopped,
    )


def _trained(
    golden: Golden | GroupedGolden, data: datasets.Dataset, stop: Callable[[], bool]
) -> Iterator[np.ndarray]:
    """Train; the outputs for each sample. It ends with a batch when `stop` says so."""
    if isinstance(golden, GroupedGolden):
        top = len(golden.groups) - 1
        for group, _, sample, _ in golden.train(data.train_inputs, data.train_labels, stop):
            if group == top:
                yield sample.activations[-1]
        return
    count = len(data.train_inputs)
    for index, (x, y) in enumerate(zip(data.train_inputs, data.train_labels, strict=True), 1):
        yield golden.train(x, y, index == count).activations[-1]
        if stop() and index % golden.batch == 0:
            return


def _curve(outputs: np.ndarray, labels: np.ndarray, before: int) -> list[tuple[int, float]]:
    if not len(outputs):
        return []
    loss = cross_entropies(outputs, labels)
    ends = np.unique(np.linspace(0, len(loss), _POINTS + 1).astype(int))
    return [
        (before + int(end), float(loss[start:end].mean()))
        for start, end in itertools.pairwise(ends)
    ]


def cross_entropies(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each sample; both shapes are (samples, outputs)."""
    a = np.clip(outputs.astype(np.float64), _LEAST, 1 - _LEAST)
    return -(labels * np.log(a) + (1 - labels) * np.log(1 - a)).sum(axis=1)


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What a simulation of training and testing found.

    Members
    -------
    simulation : the comparison of RTL and models.
    samples : that the RTL was trained on.
    accuracy : of the RTL's outputs on the test samples; None if outputs are missing.
    """

    simulation: Simulation
    samples: int
    accuracy: float | None

    @property
    def weights(self) -> Weights:
        """At the end."""
        return self.simulation.weights

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came before the end."""
        return self.simulation.interrupted


def simulate(
    schedule: AnySchedule,
    task: Task,
    progress: Progress = lambda *_, **__: None,
    waves: Path | None = None,
) -> Simulated:
    """Train and test on the RTL, sample by sample beside the models; Ctrl-C ends it early.

    Raises InputError if the data do not fit the network, ToolError when the simulator fails.
    """
    design = schedule.design
    groups = isinstance(schedule, GroupedSchedule)
    if groups and waves:
        raise InputError("--waves is for one array, not for groups")
    data = task.load(design)
    runs = [Run(data.test_inputs, data.test_labels, LearningRate(rate=0), infer=True)]
    if task.samples:
        learning = task.learning(design.batch)
        runs.insert(0, Run(data.train_inputs, data.train_labels, learning, design.batch))
    weights = task.start(design)
    if groups:
        simulation = simulate_groups(schedule, weights, runs, progress=progress)
    else:
        own = task.seed if design.seeded_weights and task.weights is None else None
        simulation = simulate_runs(
            schedule, weights, runs, progress=progress, waves=waves, initialize=own
        )
    outputs = simulation.outputs
    whole = len(outputs) == task.samples + task.tests
    accuracy = datasets.accuracy(outputs[task.samples :], data.test_labels) if whole else None
    trained = simulation.samples[0] if task.samples else 0
    return Simulated(simulation, trained, accuracy)
