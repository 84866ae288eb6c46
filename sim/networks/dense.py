"""Dense layers, and those that only change shapes."""

import dataclasses
import math

import numpy as np

from hw.errors import InputError
from sim.networks.layer import Array, Parameters, normal


@dataclasses.dataclass(frozen=True)
class Dense:
    """y = W x + b over the last dimension, for whatever comes before it: rows of a sequence, say.

    Parameters
    ----------
    inputs, outputs : sizes of that dimension. W has the shape (outputs, inputs), as in PyTorch.
    gain : of the initial weights, whose deviation is gain / sqrt(inputs).
    """

    inputs: int
    outputs: int
    gain: float = 1.0

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if not inputs or inputs[-1] != self.inputs:
            raise InputError(f"Dense needs {self.inputs} inputs, not shape {inputs}")
        return (*inputs[:-1], self.outputs)

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {
            "weights": normal(rng, (self.outputs, self.inputs), self.inputs, self.gain),
            "biases": np.zeros(self.outputs, np.float32),
        }

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Array]:
        return x @ parameters["weights"].T + parameters["biases"], x

    def backward(
        self, parameters: Parameters, kept: Array, delta: Array
    ) -> tuple[Array, Parameters]:
        x, rows = kept.reshape(-1, self.inputs), delta.reshape(-1, self.outputs)
        gradients = {"weights": rows.T @ x, "biases": rows.sum(axis=0)}
        return delta @ parameters["weights"], gradients


@dataclasses.dataclass(frozen=True)
class Flatten:
    """Each sample as one vector."""

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(inputs),)

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {}

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x.reshape(len(x), -1), x.shape

    def backward(
        self, parameters: Parameters, kept: tuple[int, ...], delta: Array
    ) -> tuple[Array, Parameters]:
        return delta.reshape(kept), {}


@dataclasses.dataclass(frozen=True)
class Last:
    """Of a sequence, shape (steps, size), the last step."""

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if len(inputs) < 2:
            raise InputError(f"Last needs a sequence, not shape {inputs}")
        return inputs[1:]

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {}

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x[:, -1], x.shape

    def backward(
        self, parameters: Parameters, kept: tuple[int, ...], delta: Array
    ) -> tuple[Array, Parameters]:
        found = np.zeros(kept, delta.dtype)
        found[:, -1] = delta
        return found, {}
