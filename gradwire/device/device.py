"""The driver: what a program does with a machine."""

import numpy as np

from gradwire.device.transport import Counters, Order, Transport
from gradwire.training import check_seed
from hw.design import Design
from hw.errors import InputError
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights, flushed

_MOST = 2**32 - 1  # what a register holds


class Device:
    """A machine that trains and infers; the same data give the same bits, whatever it is.

    Ctrl-C in a run ends it; the weights are then as it left them, perhaps in the midst of an
    update.

    Parameters
    ----------
    transport : how it is reached: Simulation, Uart or MemoryMapped.
    progress : called with what is being done, how much of it is done, and of how much.

    Members
    -------
    design : of the machine.

    All methods raise ToolError if the machine fails or does not answer.
    """

    def __init__(self, transport: Transport, progress: Progress = lambda *_, **__: None) -> None:
        self._transport = transport
        self._progress = progress

    @property
    def design(self) -> Design:
        """Of the machine."""
        return self._transport.design

    def load_weights(self, weights: Weights) -> None:
        """Write all weights and biases.

        They are rounded to FP32, and subnormals become zero if the design flushes them. Raises
        InputError if a shape is not the design's, or a number is not finite.
        """
        layers = self.design.weight_layers
        for name, arrays in (("weights", weights.weights), ("biases", weights.biases)):
            if len(arrays) != len(layers):
                raise InputError(f"{name} must be of {len(layers)} layers, not {len(arrays)}")
        matrices = [
            self._weights(f"weights of layer {layer.number}", array, (layer.outputs, layer.inputs))
            for layer, array in zip(layers, weights.weights, strict=True)
        ]
        biases = [
            self._weights(f"biases of layer {layer.number}", array, (layer.outputs,))
            for layer, array in zip(layers, weights.biases, strict=True)
        ]
        self._transport.load_weights(Weights(tuple(matrices), tuple(biases)), self._progress)

    def _weights(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        found = _numbers(name, array)
        if found.shape != shape:
            raise InputError(f"{name} must have the shape {shape}, not {found.shape}")
        if not np.isfinite(found).all():
            raise InputError(f"{name} must be finite in FP32, not {found[~np.isfinite(found)][0]}")
        if self.design.subnormals == "flush":
            return flushed(found)
        return found

    def read_weights(self) -> Weights:
        """All weights and biases, float32."""
        return self._transport.read_weights(self._progress)

    def initialize(self, seed: int) -> None:
        """Have the machine make its initial weights from `seed`.

        Raises InputError if the design has no `seeded_weights`, or the seed is out of range.
        """
        if not self.design.seeded_weights:
            raise InputError(f"{self.design.name} makes no initial weights: seeded_weights is off")
        check_seed(seed)
        self._transport.initialize(seed)

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        learning: LearningRate,
        *,
        batch: int = 1,
        epochs: int = 1,
        shuffle_seed: int = 0,
    ) -> Counters:
        """Train on samples, one after the other, and wait for the end.

        Parameters
        ----------
        inputs : shape (samples, inputs).
        labels : shape (samples, outputs).
        learning : learning rate of a batch, and how it is halved.
        batch : samples of a batch, 1 to the design's largest. Batches run over the ends of epochs.
        epochs : how often all samples are gone through.
        shuffle_seed : of an order of its own for each epoch; 0 for the one given.

        Returns what the machine has counted. Raises InputError, naming the constraint and the
        value, for what the machine cannot take.
        """
        inputs = self._samples("inputs", inputs, self.design.layers[0])
        labels = self._samples("labels", labels, self.design.layers[-1])
        if len(inputs) != len(labels):
            raise InputError(
                f"there must be as many labels as inputs, not {len(labels)} and {len(inputs)}"
            )
        for name, value, low, high in (
            ("batch", batch, 1, self.design.batch),
            ("epochs", epochs, 1, _MOST),
            ("samples of all epochs", len(inputs) * epochs, 1, _MOST),
            ("samples from halving to halving", learning.halve_every, 0, _MOST),
            ("age of the learning rate", learning.age, 0, _MOST),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} must be {low} to {high}, not {value}")
        check_seed(shuffle_seed)
        order = Order(len(inputs) * epochs, shuffle_seed)
        self._transport.train(inputs, labels, order, learning, batch, self._progress)
        return self.counters()

    def infer(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs of the network; shape (samples, outputs), float32.

        `inputs` has the shape (samples, inputs). Raises InputError if it has not.
        """
        inputs = self._samples("inputs", inputs, self.design.layers[0])
        return self._transport.infer(inputs, self._progress)

    def _samples(self, name: str, rows: np.ndarray, size: int) -> np.ndarray:
        found = _numbers(name, rows)
        if found.ndim != 2 or found.shape[1] != size or not len(found):
            raise InputError(
                f"{name} must have the shape (samples, {size}), with 1 sample or more, "
                f"not {found.shape}"
            )
        return found

    def counters(self) -> Counters:
        """What the machine has counted in its last run; inference may take several."""
        return self._transport.counters()


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """As float32."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.array(None)
    if found.dtype.kind not in "fiub":
        raise InputError(f"{name} must be an array of real numbers, not of {found.dtype}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(found, np.float32)
