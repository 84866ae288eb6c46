"""The core in Verilator, each run compared with the models."""

import tempfile
from pathlib import Path

import numpy as np

from gradwire.device.transport import Counters, Order
from hw.design import Design
from hw.errors import ToolError
from hw.schedule import make_schedule
from sim.bench.log import Run, run_log, unflatten
from sim.bench.run import Progress, simulate
from sim.golden import LearningRate, Weights
from sim.initial import seeded_weights
from sim.order import run_order


class Simulation:
    """The Verilog of a core in Verilator; nothing is around it but its bench.

    Samples come as fast as the core takes them. Each run is a simulation of its own that begins
    with the weights that the one before left, and takes some seconds. Values and clocks are
    compared with those of the golden model and the cycle model: ToolError if one differs.

    Parameters
    ----------
    design : of the machine, whose weights are zero to begin with.
    optimize : the C++ compiler's level, see sim.simulator.build; 0 suits short runs.
    """

    def __init__(self, design: Design, *, optimize: int = 2) -> None:
        self.design = design
        self._schedule = make_schedule(design)
        self._optimize = optimize
        self._counters = Counters(0, 0, 0)
        count = sum(layer.outputs * (layer.inputs + 1) for layer in design.weight_layers)
        self._weights = unflatten(design, np.zeros(count, np.float32))

    def load_weights(self, weights: Weights, progress: Progress) -> None:
        """Keep them for the next run."""
        self._weights = weights.copy()

    def read_weights(self, progress: Progress) -> Weights:
        """As the last run left them in the banks."""
        return self._weights.copy()

    def initialize(self, seed: int) -> None:
        """Let the core make its weights, and infer one sample, which reads them back."""
        before = self._counters
        self._weights = seeded_weights(self.design, seed)
        self._run(self._inference(np.zeros((1, self.design.layers[0]), np.float32)), seed=seed)
        self._counters = before

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        order: Order,
        learning: LearningRate,
        batch: int,
        progress: Progress,
    ) -> None:
        """One run over the samples in `order`."""
        places = run_order(len(inputs), order.samples, order.seed)
        self._run(Run(inputs[places], labels[places], learning, batch), progress)

    def infer(self, inputs: np.ndarray, progress: Progress) -> np.ndarray:
        """Outputs, shape (samples, outputs)."""
        return self._run(self._inference(inputs), progress)

    def _inference(self, inputs: np.ndarray) -> Run:
        labels = np.zeros((len(inputs), self.design.layers[-1]), np.float32)
        return Run(inputs, labels, LearningRate(rate=0), infer=True)

    def counters(self) -> Counters:
        """Of the last run."""
        return self._counters

    def _run(
        self, run: Run, progress: Progress = lambda *_, **__: None, seed: int | None = None
    ) -> np.ndarray:
        """Outputs of all samples. With `seed`, the core first makes its weights."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            found = simulate(
                self._schedule,
                self._weights,
                [run],
                progress=progress,
                keep=folder,
                optimize=self._optimize,
                initialize=seed,
            )
            if found.mismatches:
                raise ToolError(f"the simulation differs from the models: {found.first}")
            ((clocks, stalls, _, samples),) = run_log(folder).tolist()
            words = np.fromfile(folder / "final.log", "<u4")
        self._counters = Counters(samples, clocks, stalls)
        self._weights = unflatten(self.design, words.view(np.float32))
        if found.interrupted:
            raise KeyboardInterrupt
        return found.outputs
