"""A machine at the end of a serial line."""

import contextlib
from collections.abc import Iterator

import numpy as np

from gradwire.device.transport import Counters, Order
from gradwire.link import Board, Port
from hw.design import Design
from hw.errors import ToolError
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights
from sim.records import pack


class Uart:
    """A machine with a link (docs/link.md); samples go to its SDRAM before each run.

    Parameters
    ----------
    port : the line, such as gradwire.serial_port gives.
    design : that the machine should be.

    Raises InputError if it is another machine, ToolError if it does not answer.
    """

    def __init__(self, port: Port, design: Design) -> None:
        self.design = design
        self._board = Board(port, design)

    def load_weights(self, weights: Weights, progress: Progress) -> None:
        """Write all weights and biases."""
        self._board.load_weights(weights, progress)

    def read_weights(self, progress: Progress) -> Weights:
        """Read all weights and biases."""
        return self._board.read_weights(progress)

    def initialize(self, seed: int) -> None:
        """Have the machine make its weights."""
        self._board.initialize(seed)

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        order: Order,
        learning: LearningRate,
        batch: int,
        progress: Progress,
    ) -> None:
        """One run over the samples in `order`. Raises InputError if the SDRAM is too small."""
        self._board.load_samples(pack(self.design, inputs, labels), progress)
        with self._ended():
            self._board.train(
                learning,
                order.samples,
                records=len(inputs),
                seed=order.seed,
                batch=batch,
                progress=progress,
            )

    def infer(self, inputs: np.ndarray, progress: Progress) -> np.ndarray:
        """Outputs, shape (samples, outputs). Raises InputError if the SDRAM is too small."""
        labels = np.zeros((len(inputs), self.design.layers[-1]), np.float32)
        self._board.load_samples(pack(self.design, inputs, labels), progress)
        with self._ended():
            return self._board.infer(0, len(inputs), progress)

    @contextlib.contextmanager
    def _ended(self) -> Iterator[None]:
        """If the block is left before its time, the run is ended."""
        try:
            yield
        except BaseException:
            # What went wrong first is what counts.
            with contextlib.suppress(ToolError):
                self._board.reset()
            raise

    def counters(self) -> Counters:
        """Of the last run."""
        found = self._board.status()
        return Counters(found.trained, found.clocks, found.stalls)
