"""Training runs: on the golden model alone, and on the RTL beside it."""

import dataclasses
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hw.design import Design
from hw.errors import InputError
from hw.schedule import Schedule
from sim import datasets
from sim.bench.run import Run, Simulation
from sim.bench.run import simulate as simulate_runs
from sim.golden import Golden, LearningRate, Weights
from sim.initial import starting_weights

SAMPLES = 6000
TESTS = 1000
SEED = 1
RATE = 0.3

_MOST_SAMPLES = 10_000_000
_MOST_SEED = 2**31 - 1  # what the simulator and nextpnr take
_POINTS = 12  # of a loss curve
_LEAST = 1e-7  # what an output that is exactly wrong counts as in the cross-entropy

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What to train on, and how.

    Parameters
    ----------
    data : name of the data set.
    samples, tests : how many to train on and to test on.
    rate : learning rate.
    seed : of the data and of the initial weights.

    Raises InputError, naming the constraint and the value.
    """

    data: str = "red"
    samples: int = SAMPLES
    tests: int = TESTS
    rate: float = RATE
    seed: int = SEED

    def __post_init__(self) -> None:
        for name in ("samples", "tests"):
            if not 1 <= getattr(self, name) <= _MOST_SAMPLES:
                raise InputError(f"{name} must be 1 to {_MOST_SAMPLES}, not {getattr(self, name)}")
        if not 0 <= self.rate <= float(np.finfo(np.float32).max):
            raise InputError(f"rate must be 0 or more and finite in FP32, not {self.rate}")
        check_seed(self.seed)

    def load(self, design: Design) -> datasets.Dataset:
        """The samples. Raises InputError if they do not fit the network of `design`."""
        return datasets.load(self.data, design.layers, self.samples, self.tests, self.seed)


def check_seed(seed: int) -> None:
    """Raise InputError for a seed that not every tool takes."""
    if not 0 <= seed <= _MOST_SEED:
        raise InputError(f"seed must be 0 to {_MOST_SEED}, not {seed}")


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the golden model learned.

    Members
    -------
    accuracy : on the test samples, 0 to 1.
    loss : samples trained on, and the mean cross-entropy of the samples since the entry before,
        each taken before the network learned from it.
    weights : at the end.
    """

    accuracy: float
    loss: list[tuple[int, float]]
    weights: Weights


def train(design: Design, task: Task, progress: Progress = lambda *_: None) -> Trained:
    """Train on the golden model alone. Raises InputError if the data do not fit the network."""
    data = task.load(design)
    weights = starting_weights(design, task.seed)
    golden = Golden(design, weights, LearningRate(rate=task.rate))
    total = task.samples + task.tests
    outputs = []
    for index, (x, y) in enumerate(zip(data.train_inputs, data.train_labels, strict=True), 1):
        outputs.append(golden.train(x, y).activations[-1])
        if index % 100 == 0:
            progress("training the golden model", index, total)
    found = []
    for index, x in enumerate(data.test_inputs, task.samples + 1):
        found.append(golden.infer(x))
        if index % 100 == 0 or index == total:
            progress("training the golden model", index, total)
    return Trained(
        accuracy=datasets.accuracy(np.array(found), data.test_labels),
        loss=_curve(np.array(outputs), data.train_labels),
        weights=golden.weights,
    )


def _curve(outputs: np.ndarray, labels: np.ndarray) -> list[tuple[int, float]]:
    a = np.clip(outputs.astype(np.float64), _LEAST, 1 - _LEAST)
    loss = -(labels * np.log(a) + (1 - labels) * np.log(1 - a)).sum(axis=1)
    ends = np.unique(np.linspace(0, len(loss), _POINTS + 1).astype(int))
    return [(int(end), float(loss[start:end].mean())) for start, end in itertools.pairwise(ends)]


def archive(weights: Weights) -> bytes:
    """The weights as an .npz: weights1, biases1 for the layer next to the inputs, and so on."""
    arrays = {}
    for number, (w, b) in enumerate(zip(weights.weights, weights.biases, strict=True), 1):
        arrays |= {f"weights{number}": np.ascontiguousarray(w), f"biases{number}": b}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What a simulation of training and testing found.

    Members
    -------
    simulation : the comparison of RTL and models.
    accuracy : of the RTL's outputs on the test samples; None if outputs are missing.
    """

    simulation: Simulation
    accuracy: float | None


def simulate(
    schedule: Schedule,
    task: Task,
    progress: Progress = lambda *_: None,
    waves: Path | None = None,
) -> Simulated:
    """Train and test on the RTL, sample by sample beside the models.

    Raises InputError if the data do not fit the network, ToolError when the simulator fails.
    """
    data = task.load(schedule.design)
    weights = starting_weights(schedule.design, task.seed)
    runs = [
        Run(data.train_inputs, data.train_labels, task.rate),
        # With a rate of 0 the machine only infers.
        Run(data.test_inputs, data.test_labels, 0.0),
    ]
    own = task.seed if schedule.design.seeded_weights else None
    simulation = simulate_runs(
        schedule, weights, runs, progress=progress, waves=waves, initialize=own
    )
    outputs = simulation.outputs
    whole = len(outputs) == task.samples + task.tests
    accuracy = datasets.accuracy(outputs[task.samples :], data.test_labels) if whole else None
    return Simulated(simulation, accuracy)
