"""The golden model: float32 arithmetic that is equal to the RTL in every bit.

It shares with the hardware the description of the design (sizes, mapping, the order of additions),
and no arithmetic. IEEE's binary32 `*` and `+` are the definition, in the machine's order: numpy's
for vectors, and those of sim.kernels for matrices.
"""

import dataclasses
import functools
import itertools

import numpy as np

from hw.design import Design, Layer, accumulation, reduction_blocks
from hw.errors import InputError
from sim import kernels
from sim.activations import activate

Array = np.ndarray

_TINY = np.finfo(np.float32).tiny
_ZERO = np.float32(0)
_ONE = np.float32(1)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights and biases of every layer, float32.

    Members
    -------
    weights : for each layer of weights an array of shape (outputs, inputs).
    biases : for each an array of shape (outputs,).
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def copy(self) -> "Weights":
        """An independent copy."""
        return Weights(tuple(w.copy() for w in self.weights), tuple(b.copy() for b in self.biases))


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one sample made the network compute.

    Members
    -------
    sums : weighted sums of each layer, biases included, from the first hidden one to the outputs;
        shape (size,).
    activations : of the same layers.
    deltas : of the same layers; where the design has input deltas, those come first.

    Of a group of a grouped design, these are of its layers; its inputs are the outputs of the group
    below, and its last layer's deltas are listed only if that is the network's last.
    """

    sums: tuple[Array, ...]
    activations: tuple[Array, ...]
    deltas: tuple[Array, ...]

    @classmethod
    def of(cls, sums: list[Array], activations: list[Array], deltas: dict[int, Array]) -> "Sample":
        """From `activations` with the inputs before them, and `deltas` by number of layer."""
        found = (deltas[number] for number in sorted(deltas))
        return cls(sums=tuple(sums), activations=tuple(activations[1:]), deltas=tuple(found))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearningRate:
    """A learning rate that is halved after every so many samples.

    Parameters
    ----------
    rate : to begin with.
    halve_every : samples after which the rate is halved, at the start of a batch; 0 for never.
    floor : the rate does not fall below it.
    age : samples for which the rate has been in use already, when training goes on.

    Raises InputError, naming the constraint and the value.
    """

    rate: float
    halve_every: int = 0
    floor: float = 0.0
    age: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= float(np.finfo(np.float32).max):
            raise InputError(f"rate must be 0 or more and finite in FP32, not {self.rate}")
        if not 0 <= self.floor <= self.rate:
            raise InputError(f"floor must be 0 to the rate, {self.rate}, not {self.floor}")
        for name in ("halve_every", "age"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                what = name.replace("_", " ")
                raise InputError(f"{what} must be 0 or more samples, not {value!r}")

    def words(self, batch: int) -> tuple[np.float32, np.float32]:
        """Rate and floor as the machine gets them: divided by the batch size."""
        return np.float32(self.rate / batch), np.float32(self.floor / batch)


def halved(step: np.float32, floor: np.float32) -> np.float32:
    """The step after `step`, which does not fall below `floor`."""
    # A step that would become subnormal is over, whatever the design does with those.
    half = step / 2 if step >= 2 * _TINY else _ZERO
    return max(half, floor)


def initial_weights(layers: tuple[int, ...], seed: int, gain: float = 2.0) -> Weights:
    """Random weights, normal with deviation gain / sqrt(inputs); biases of zero.

    A gain of 2 suits sigmoid layers, 1.4 ReLU.
    """
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for inputs, outputs in itertools.pairwise(layers):
        deviation = gain / np.sqrt(inputs)
        weights.append((rng.standard_normal((outputs, inputs)) * deviation).astype(np.float32))
        biases.append(np.zeros(outputs, np.float32))
    return Weights(tuple(weights), tuple(biases))


def flushed(value: Array) -> Array:
    """`value`, with zeros of the same sign for subnormal numbers."""
    small = np.abs(value) < _TINY
    return np.where(small, np.copysign(_ZERO, value), value)


def loss(design: Design, sample: Sample) -> np.float32:
    """Sum of the squared output errors of a sample, in the order of the machine's additions."""
    rounded = flushed if design.subnormals == "flush" else np.asarray
    sums = design.loss_sums
    with np.errstate(all="ignore"):
        squares = rounded(sample.deltas[-1] * sample.deltas[-1])
        partial = [squares[first] for first in range(sums)]
        for index in range(sums, len(squares)):
            partial[index % sums] = rounded(partial[index % sums] + squares[index])
        last = (len(squares) - 1) % sums
        return functools.reduce(lambda a, b: rounded(a + b), [*partial[last:], *partial[:last]])


class Golden:
    """Trains as the machine does: one sample after the other, bit for bit.

    A batch of m samples changes the weights at its end, by the sum of its samples' changes; each
    is computed from the weights that the batch before left.

    Parameters
    ----------
    design : of the machine.
    weights : to start from; they are copied.
    learning : learning rate, of a whole batch.
    batch : samples of each batch, 1 to the design's largest.

    Members
    -------
    weights : those that forward passes use.
    made : what the last update wrote: within a batch the weights in the making, else `weights`.

    Raises InputError for a batch that the design cannot take.
    """

    def __init__(
        self, design: Design, weights: Weights, learning: LearningRate, batch: int = 1
    ) -> None:
        if not 1 <= batch <= design.batch:
            raise InputError(f"batch must be 1 to {design.batch}, not {batch}")
        self.design = design
        self.batch = batch
        self.flush = design.subnormals == "flush"
        self._functions = design.activations
        self._blocks = reduction_blocks(design.lane_elements)
        self.weights = self.made = self._placed(weights)
        self._making = self._placed(weights) if batch > 1 else self.weights
        self._learning = learning
        self._step, self._floor = map(self._flushed, learning.words(batch))
        self._used = learning.age
        self._taken = 0  # samples of the present batch

    def train(self, inputs: Array, labels: Array, last: bool = False) -> Sample:
        """One sample: forward, backpropagation, gradient descent.

        `inputs` and `labels` are float32 arrays of shape (inputs,) and (outputs,). With `last`
        the batch ends with this sample, although it may be short.
        """
        sums, activations = self.forward_pass(self.entered(inputs))
        deltas = self.backward_pass(activations, self.error(activations[-1], labels))
        self.descend(activations, deltas, last)
        return Sample.of(sums, activations, deltas)

    def forward(self, inputs: Array, labels: Array) -> Sample:
        """One sample of a run that only infers: of the deltas there are just the outputs'."""
        sums, activations = self.forward_pass(self.entered(inputs))
        return Sample.of(sums, activations, {0: self.error(activations[-1], labels)})

    def infer(self, inputs: Array) -> Array:
        """Outputs for one sample; shape (outputs,)."""
        return self.forward_pass(self.entered(inputs))[1][-1]

    # What a sample goes through, one after the other: sim.grouped has other samples in between.

    def forward_pass(self, inputs: Array) -> tuple[list[Array], list[Array]]:
        """Weighted sums, and activations with the inputs before them.

        `inputs` are as the machine has them, a group's from the group below included.
        """
        sums, activations = [], [inputs]
        with np.errstate(all="ignore"):
            for layer, matrix, bias in self._layers(self.weights):
                before = activations[-1]
                if layer.mapping == "row":
                    total = self._accumulate(matrix, before, bias)
                else:
                    total = self._reduce(matrix, before, bias)
                name = self._functions[layer.number - 1]
                degree = self.design.table_degree
                sums.append(total)
                activations.append(activate(name, total, self.design.table_entries, degree))
        return sums, activations

    def error(self, outputs: Array, labels: Array) -> Array:
        """The outputs' delta."""
        with np.errstate(all="ignore"):
            return self._add(outputs, -self.entered(labels))

    def backward_pass(self, activations: list[Array], delta: Array) -> dict[int, Array]:
        """Deltas by number of layer, from the last one's, `delta`; layer 0 are the inputs."""
        number = len(self.design.layers) - 1
        deltas = {number: delta}
        bottom = 1 if self.design.propagates_to_inputs else 2
        with np.errstate(all="ignore"):
            for layer, matrix, _ in reversed(self._layers(self.weights)):
                if layer.number < bottom:
                    break
                delta, below = deltas[layer.number], activations[layer.number - 1]
                if layer.mapping == "row":
                    total = self._reduce(matrix, delta, None)
                else:
                    total = self._accumulate(matrix, delta, None)
                derivative = self._derivative(layer.number - 1, below)
                deltas[layer.number - 1] = self._multiply(total, derivative)
        return deltas

    def descend(self, activations: list[Array], deltas: dict[int, Array], last: bool) -> None:
        """One sample's change of the weights; with `last` the batch ends with it."""
        if not self._taken:
            self._set_step()
        before = self.made if self._taken else self.weights
        self._taken += 1
        self._used += 1
        if last or self._taken == self.batch:
            self._taken = 0
        self.made = self._making if self._taken else self.weights
        with np.errstate(all="ignore"):
            self._change(activations, deltas, before, self.made)

    def _set_step(self) -> None:
        """Learning rate of the batch that begins, halved when it is time."""
        period = self._learning.halve_every
        if period and self._used >= period:
            self._used -= period
            self._step = halved(self._step, self._floor)

    def _derivative(self, layer: int, activation: Array) -> Array:
        """Of the function that made layer `layer`'s activation, from the activation.

        Layer 0 are the inputs: the outputs of the group below, or as if of the first layer.
        """
        names = self._functions
        below = self.design.stage.below if self.design.stage else ""
        name = names[layer - 1] if layer else below or names[0]
        if name in ("sigmoid", "sigmoid-exact"):
            return self._multiply(activation, self._add(_ONE, -activation))
        if name == "tanh":
            return self._add(_ONE, -self._multiply(activation, activation))
        if name == "relu":
            return np.where(activation == 0, _ZERO, _ONE)
        return np.ones_like(activation)

    def _change(
        self, activations: list[Array], deltas: dict[int, Array], before: Weights, after: Weights
    ) -> None:
        """One sample's change of the weights: `after` becomes `before` plus the change."""
        layers = zip(self._layers(before), self._layers(after), strict=True)
        for (layer, matrix, bias), (_, new_matrix, new_bias) in layers:
            delta, below = deltas[layer.number], activations[layer.number - 1]
            if layer.mapping == "row":
                broadcast, local = self._multiply(-self._step, below), delta
                bias_change = self._multiply(delta, self._multiply(-self._step, _ONE))
            else:
                broadcast, local = self._multiply(-self._step, delta), below
                bias_change = broadcast
            kernels.update(matrix, new_matrix, broadcast, local, self.flush)
            new_bias[:] = self._add(bias, bias_change)

    def entered(self, values: Array) -> Array:
        """Inputs or labels as the machine has them."""
        return self._flushed(np.ascontiguousarray(values))

    # Weights lie in memory as in the banks, which makes the kernels' loops vector instructions:
    # a row-mapped layer's matrix is transposed.

    def _placed(self, weights: Weights) -> Weights:
        """A copy."""
        orders = ["F" if mapping == "row" else "C" for mapping in self.design.mapping]
        return Weights(
            tuple(
                np.array(self._flushed(w), order=order)
                for w, order in zip(weights.weights, orders, strict=True)
            ),
            tuple(np.array(self._flushed(b)) for b in weights.biases),
        )

    def _layers(self, weights: Weights) -> list[tuple[Layer, Array, Array]]:
        """Each layer with its matrix, as sim.kernels takes it, and its biases."""
        layers = zip(self.design.weight_layers, weights.weights, weights.biases, strict=True)
        return [(layer, w.T if layer.mapping == "row" else w, b) for layer, w, b in layers]

    # Sums. Both take the order of additions from the description of the design.

    def _accumulate(self, matrix: Array, vector: Array, bias: Array | None) -> Array:
        length = len(vector) + (bias is not None)
        order = accumulation(length, self.design.adder_stages)
        return kernels.accumulate(matrix, vector, bias, order, self.flush)

    def _reduce(self, matrix: Array, local: Array, bias: Array | None) -> Array:
        return kernels.reduce(matrix, local, bias, self._blocks, self.flush)

    # Arithmetic.

    def _flushed(self, value: Array) -> Array:
        return flushed(value) if self.flush else value

    def _multiply(self, x: Array, y: Array) -> Array:
        return self._flushed(x * y)

    def _add(self, x: Array, y: Array) -> Array:
        return self._flushed(x + y)
