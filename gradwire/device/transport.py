"""What reaches a machine."""

import dataclasses
from typing import Protocol

import numpy as np

from hw.design import Design
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights


@dataclasses.dataclass(frozen=True)
class Counters:
    """What the machine has counted in its last run.

    Members
    -------
    samples : that it has begun.
    clocks : for which it has been busy.
    stalls : those of them in which it has waited for samples.
    """

    samples: int
    clocks: int
    stalls: int


class Transport(Protocol):
    """Carries out what a Device has checked.

    Arrays are float32, in the shapes of `design`; `progress` is called now and then with what is
    being done, how much of it is done, and of how much. All methods raise ToolError if the machine
    fails or does not answer. A method that ends before its time leaves the machine idle.

    Members
    -------
    design : of the machine.
    """

    design: Design

    def load_weights(self, weights: Weights, progress: Progress) -> None:
        """Write all weights and biases."""

    def read_weights(self, progress: Progress) -> Weights:
        """Read all weights and biases."""

    def initialize(self, seed: int) -> None:
        """Have the machine make its weights."""

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        order: "Order",
        learning: LearningRate,
        batch: int,
        progress: Progress,
    ) -> None:
        """One run over the samples in `order`. Raises InputError if they do not fit."""

    def infer(self, inputs: np.ndarray, progress: Progress) -> np.ndarray:
        """Outputs, shape (samples, outputs). Raises InputError if the samples do not fit."""

    def counters(self) -> Counters:
        """Of the last run."""


@dataclasses.dataclass(frozen=True)
class Order:
    """In which order a run takes its samples: see sim.order.

    Members
    -------
    samples : of the run; more than there are records are several epochs.
    seed : of each epoch's order; 0 for the order in which they are given.
    """

    samples: int
    seed: int
