"""A machine on a board, or in simulation, that trains: what `gradwire board` does."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from gradwire import training
from gradwire.link import Board, BoardStatus, Port, serial_port
from gradwire.training import Task
from hw.schedule import Schedule
from hw.system import System
from sim import datasets
from sim.bench.link import simulated
from sim.bench.log import flatten
from sim.bench.run import Progress
from sim.golden import Weights

SIMULATION = "sim"
BAUD = 1_000_000

# In simulation a bit takes 4 clocks; a packet is given up after the time of 100 bits.
_CLOCK_HZ, _SIMULATED_BAUD, _GAP = 1e6, 250e3, 400e-6


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it.

    Members
    -------
    samples : that it was trained on.
    accuracy : on the test samples, 0 to 1.
    weights : read back from the machine.
    exact : whether they are the golden model's, each bit.
    status : of the machine after training; None if there were no samples to train on.
    """

    samples: int
    accuracy: float
    weights: Weights
    exact: bool
    status: BoardStatus | None
    interrupted: bool = False


@contextlib.contextmanager
def open_port(schedule: Schedule, port: str, baud: int) -> Iterator[Port]:
    """The line to a machine: serial port `port`, or the machine of `schedule` in simulation."""
    if port == SIMULATION:
        with simulated(System(schedule, _CLOCK_HZ, _SIMULATED_BAUD, _GAP)) as line:
            yield line
    else:
        with serial_port(port, baud) as line:
            yield line


def train(schedule: Schedule, task: Task, port: str, baud: int, progress: Progress) -> Outcome:
    """Load weights, train, test, read the weights back, and compare with the golden model.

    Raises InputError if the data do not fit, the port cannot be opened, or another machine is
    there, ToolError if it does not answer or the simulator fails.
    """
    design = schedule.design
    data = task.load(design)
    if port == SIMULATION:
        progress("building the simulator", 0, 1)
    with open_port(schedule, port, baud) as line:
        if port == SIMULATION:
            progress("building the simulator", 1, 1)
        board = Board(line, design)
        board.load_weights(task.start(design), progress)
        status = None
        if task.samples:
            status = board.train(
                data.train_inputs,
                data.train_labels,
                task.learning(design.batch),
                design.batch,
                progress,
            )
        outputs = board.infer(data.test_inputs, progress)
        weights = board.read_weights(progress)
    golden = training.train(design, task, progress)
    return Outcome(
        samples=task.samples,
        accuracy=datasets.accuracy(outputs, data.test_labels),
        weights=weights,
        exact=np.array_equal(*(flatten(w).view(np.uint32) for w in (weights, golden.weights))),
        status=status,
    )
