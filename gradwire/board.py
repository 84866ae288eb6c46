"""A machine on a board, or in simulation, that trains: what `gradwire board` does."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from fpga_flows import ulx3s
from gradwire import training
from gradwire.link import Board, BoardStatus, Port, serial_port
from gradwire.training import Task, check_seed
from hw.design import Design
from hw.errors import InputError
from hw.schedule import Schedule
from hw.sdram.chips import find_chip
from hw.system import System
from sim import datasets
from sim.bench.link import simulated
from sim.bench.log import flatten
from sim.bench.run import Progress
from sim.datasets import Dataset
from sim.golden import Weights
from sim.order import run_order
from sim.records import pack

SIMULATION = "sim"
BAUD = 1_000_000

# In simulation a bit takes 4 clocks; a packet is given up after the time of 100 bits.
_CLOCK_HZ, _SIMULATED_BAUD, _GAP = 50e6, 12.5e6, 8e-6
_CHIP = find_chip(ulx3s.SDRAM)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it.

    Members
    -------
    samples : that it was trained on.
    accuracy : on the test samples, 0 to 1.
    weights : read back from the machine.
    exact : whether they are the golden model's, each bit.
    records : samples that were stored to train on.
    status : of the machine after training; None if there were no samples to train on.
    """

    samples: int
    accuracy: float
    weights: Weights
    exact: bool
    records: int
    status: BoardStatus | None
    interrupted: bool = False


@contextlib.contextmanager
def open_port(schedule: Schedule, port: str, baud: int) -> Iterator[Port]:
    """The line to a machine: serial port `port`, or the machine of `schedule` in simulation."""
    if port == SIMULATION:
        with simulated(System(schedule, _CLOCK_HZ, _SIMULATED_BAUD, _CHIP, _GAP)) as line:
            yield line
    else:
        with serial_port(port, baud) as line:
            yield line


@dataclasses.dataclass(frozen=True)
class Epochs:
    """How a machine goes through the samples that it has stored.

    Parameters
    ----------
    records : samples to store, which are trained on again and again; None for all.
    seed : of the order in which they come, another one in each epoch; 0 for the stored one.

    Raises InputError for a seed that there is not.
    """

    records: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def stored(self, task: Task) -> int:
        """How many samples are stored to be trained on. Raises InputError if they are too many."""
        if self.records is None:
            return task.samples
        if not 1 <= self.records <= task.samples:
            raise InputError(
                f"records must be 1 to {task.samples}, the samples, not {self.records}"
            )
        return self.records


def train(
    schedule: Schedule, task: Task, epochs: Epochs, port: str, baud: int, progress: Progress
) -> Outcome:
    """Load weights and samples, train, test, read the weights back, compare with the golden model.

    Raises InputError if the data do not fit, the port cannot be opened, or another machine is
    there, ToolError if it does not answer or the simulator fails.
    """
    design = schedule.design
    records = epochs.stored(task)
    data = dataclasses.replace(task, samples=records).load(design)
    stored = pack(
        design,
        np.concatenate([data.train_inputs, data.test_inputs]),
        np.concatenate([data.train_labels, data.test_labels]),
    )
    if port == SIMULATION:
        progress("building the simulator", 0, 1)
    with open_port(schedule, port, baud) as line:
        if port == SIMULATION:
            progress("building the simulator", 1, 1)
        board = Board(line, design)
        board.load_samples(stored, progress)
        board.load_weights(task.start(design), progress)
        status = None
        if task.samples:
            status = board.train(
                task.learning(design.batch),
                task.samples,
                records=records,
                seed=epochs.seed,
                batch=design.batch,
                progress=progress,
            )
        outputs = board.infer(records, task.tests, progress)
        weights = board.read_weights(progress)
    golden = _golden(design, task, data, epochs, progress)
    return Outcome(
        samples=task.samples,
        accuracy=datasets.accuracy(outputs, data.test_labels),
        weights=weights,
        exact=np.array_equal(*(flatten(w).view(np.uint32) for w in (weights, golden))),
        records=records,
        status=status,
    )


def _golden(
    design: Design, task: Task, data: Dataset, epochs: Epochs, progress: Progress
) -> Weights:
    """The weights that the golden model has after the same samples."""
    if task.samples:
        order = run_order(len(data.train_inputs), task.samples, epochs.seed)
        inputs, labels = data.train_inputs[order], data.train_labels[order]
        data = dataclasses.replace(data, train_inputs=inputs, train_labels=labels)
    found = training.train(design, task, progress, data)
    if found.interrupted:
        raise KeyboardInterrupt
    return found.weights
