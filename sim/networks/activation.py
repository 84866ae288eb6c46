"""Activation functions as layers: numpy's own, not the tables of the hardware."""

import dataclasses

import numpy as np

from hw.errors import InputError
from sim.networks.layer import Array, Parameters

FUNCTIONS = ("sigmoid", "tanh", "relu")


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


@dataclasses.dataclass(frozen=True)
class Activation:
    """An activation function of every element.

    Parameters
    ----------
    name : "sigmoid", "tanh" or "relu".

    Raises InputError for another name.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            raise InputError(f"activation must be one of {', '.join(FUNCTIONS)}, not {self.name!r}")

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return inputs

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {}

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Array]:
        if self.name == "relu":
            y = np.maximum(x, 0)
        else:
            y = np.tanh(x) if self.name == "tanh" else sigmoid(x)
        return y, y

    def backward(
        self, parameters: Parameters, kept: Array, delta: Array
    ) -> tuple[Array, Parameters]:
        """The derivative is that of the activation, as in the machine: a (1 - a), 1 - a^2."""
        if self.name == "relu":
            return delta * (kept > 0), {}
        if self.name == "tanh":
            return delta * (1 - kept * kept), {}
        return delta * (kept * (1 - kept)), {}
