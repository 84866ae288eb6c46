"""The golden model: numpy float32, equal to the RTL in every bit.

It shares with the hardware the description of the design (sizes, mapping, the order of additions),
and no arithmetic. numpy's float32 `*` and `+` are the definition, in the machine's order.
"""

import dataclasses
import itertools

import numpy as np

from hw.design import Design, Layer, accumulation, reduction_blocks
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
    """

    sums: tuple[Array, ...]
    activations: tuple[Array, ...]
    deltas: tuple[Array, ...]


def initial_weights(layers: tuple[int, ...], seed: int) -> Weights:
    """Random weights, normal with deviation 2 / sqrt(inputs); biases of zero."""
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for inputs, outputs in itertools.pairwise(layers):
        deviation = 2 / np.sqrt(inputs)
        weights.append((rng.standard_normal((outputs, inputs)) * deviation).astype(np.float32))
        biases.append(np.zeros(outputs, np.float32))
    return Weights(tuple(weights), tuple(biases))


class Golden:
    """Trains as the machine does: one sample after the other, bit for bit.

    Parameters
    ----------
    design : of the machine.
    weights : to start from; they are copied.
    rate : learning rate.
    """

    def __init__(self, design: Design, weights: Weights, rate: float) -> None:
        self.design = design
        self.flush = design.subnormals == "flush"
        self.rate = self._flushed(np.float32(rate))
        self.weights = Weights(
            tuple(self._flushed(w) for w in weights.weights),
            tuple(self._flushed(b) for b in weights.biases),
        ).copy()

    def train(self, inputs: Array, labels: Array) -> Sample:
        """One iteration: forward, backpropagation, gradient descent.

        `inputs` and `labels` are float32 arrays of shape (inputs,) and (outputs,).
        """
        with np.errstate(all="ignore"):
            sums, activations = self._forward(inputs)
            deltas = self._backpropagate(activations, self._flushed(labels))
            self._descend(activations, deltas)
        top = len(self.design.layers)
        return Sample(
            sums=tuple(sums),
            activations=tuple(activations[1:]),
            deltas=tuple(deltas[n] for n in range(top) if n in deltas),
        )

    def infer(self, inputs: Array) -> Array:
        """Outputs for one sample; shape (outputs,)."""
        with np.errstate(all="ignore"):
            return self._forward(inputs)[1][-1]

    def _forward(self, inputs: Array) -> tuple[list[Array], list[Array]]:
        """Weighted sums, and activations with the inputs before them."""
        sums, activations = [], [self._flushed(inputs)]
        for layer, weight, bias in self._layers():
            before = activations[-1]
            if layer.mapping == "row":
                products = self._multiply(weight, before)
                total = self._accumulate(np.concatenate([bias[:, None], products], axis=1))
            else:
                total = self._reduce(layer, weight, before, bias)
            name = self.design.activations[layer.number - 1]
            degree = self.design.table_degree
            sums.append(total)
            activations.append(activate(name, total, self.design.table_entries, degree))
        return sums, activations

    def _backpropagate(self, activations: list[Array], labels: Array) -> dict[int, Array]:
        """Deltas by number of layer; layer 0 are the inputs."""
        number = len(self.design.layers) - 1
        deltas = {number: self._add(activations[-1], -labels)}
        bottom = 1 if self.design.input_deltas else 2
        for layer, weight, _ in reversed(list(self._layers())):
            if layer.number < bottom:
                break
            delta, below = deltas[layer.number], activations[layer.number - 1]
            if layer.mapping == "row":
                total = self._reduce(layer, weight.T, delta, None)
            else:
                total = self._accumulate(self._multiply(weight.T, delta))
            derivative = self._derivative(max(layer.number - 2, 0), below)
            deltas[layer.number - 1] = self._multiply(total, derivative)
        return deltas

    def _derivative(self, layer: int, activation: Array) -> Array:
        """Of the activation function of weight layer `layer` (from 0), from the activation."""
        name = self.design.activations[layer]
        if name in ("sigmoid", "sigmoid-exact"):
            return self._multiply(activation, self._add(_ONE, -activation))
        if name == "tanh":
            return self._add(_ONE, -self._multiply(activation, activation))
        if name == "relu":
            return np.where(activation == 0, _ZERO, _ONE)
        return np.ones_like(activation)

    def _descend(self, activations: list[Array], deltas: dict[int, Array]) -> None:
        for layer, weight, bias in self._layers():
            delta, below = deltas[layer.number], activations[layer.number - 1]
            if layer.mapping == "row":
                change = self._multiply(delta[:, None], self._multiply(-self.rate, below))
                bias_change = self._multiply(delta, self._multiply(-self.rate, _ONE))
            else:
                scaled = self._multiply(-self.rate, delta)
                change = self._multiply(below, scaled[:, None])
                bias_change = scaled
            weight[:] = self._add(weight, change)
            bias[:] = self._add(bias, bias_change)

    def _layers(self) -> zip:
        weights = self.weights
        return zip(self.design.weight_layers, weights.weights, weights.biases, strict=True)

    # Sums. Both take the order of additions from the description of the design.

    def _accumulate(self, products: Array) -> Array:
        """Sums of the rows of `products`, as one adder accumulates them; shape (rows,)."""
        length = products.shape[1]
        order = accumulation(length, self.design.adder_stages)
        if order.rotating:
            count = order.sums
            rotating = products[:, :count].copy()
            for first in range(count, length, count):
                part = products[:, first : first + count]
                width = part.shape[1]
                rotating[:, :width] = self._add(rotating[:, :width], part)
            leaving = (length + np.arange(count)) % count
            sums = list(rotating[:, leaving].T)
        else:
            sums = [self._add(products[:, k], products[:, k + 1]) for k in range(0, length - 1, 2)]
            sums += [products[:, -1]] if length % 2 else []
        for step in order.combines:
            sums.append(self._add(sums[step.left], sums[step.right]))
        return sums[-1]

    def _reduce(self, layer: Layer, weight: Array, local: Array, carry: Array | None) -> Array:
        """`weight` @ local + carry as the adder tree sums them, fold by fold."""
        pes = self.design.processing_elements
        total = carry
        for first in range(0, len(local), pes):
            part = slice(first, first + pes)
            products = self._multiply(weight[:, part], local[part])
            total = self._tree(products, total)
        return total

    def _tree(self, products: Array, carry: Array | None) -> Array:
        """One pass of products, shape (results, PEs that count), and what is carried in."""
        sums, first = [], 0
        for size in reduction_blocks(self.design.processing_elements):
            block = products[:, first : first + size]
            first += size
            while block.shape[1] > 1:
                pairs = block.shape[1] // 2 * 2
                added = self._add(block[:, 0:pairs:2], block[:, 1:pairs:2])
                block = np.concatenate([added, block[:, pairs:]], axis=1)
            if block.shape[1]:
                sums.append(block[:, 0])
        for block in reversed(sums):
            carry = block if carry is None else self._add(block, carry)
        return carry

    # Arithmetic.

    def _flushed(self, value: Array) -> Array:
        if not self.flush:
            return value
        small = np.abs(value) < _TINY
        return np.where(small, np.copysign(_ZERO, value), value)

    def _multiply(self, x: Array, y: Array) -> Array:
        return self._flushed(x * y)

    def _add(self, x: Array, y: Array) -> Array:
        return self._flushed(x + y)
