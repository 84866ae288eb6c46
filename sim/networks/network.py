"""Networks: groups of layers, and the loss at their end."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from sim.networks.layer import Array, Layer, Parameters

_AT_ONCE = 500  # samples of an inference, which bounds the memory that it takes


@dataclasses.dataclass(frozen=True)
class Network:
    """Layers in groups, of which a schedule has each work on a sample of its own.

    Parameters
    ----------
    inputs : shape of a sample.
    groups : of consecutive layers, from the inputs to the outputs.

    Raises InputError if a layer does not take what the one before it gives.
    """

    inputs: tuple[int, ...]
    groups: tuple[tuple[Layer, ...], ...]

    def __post_init__(self) -> None:
        shape = self.inputs
        for layer in itertools.chain(*self.groups):
            shape = layer.shape(shape)

    def initial(self, seed: int) -> list[list[Parameters]]:
        """Parameters to start from, by group and layer."""
        rng = np.random.default_rng(seed)
        return [[layer.initial(rng) for layer in group] for group in self.groups]

    def outputs(self, parameters: list[list[Parameters]], inputs: Array) -> Array:
        """Outputs, before the softmax, of samples of any number; shape (samples, outputs)."""
        found = []
        for first in range(0, len(inputs), _AT_ONCE):
            x = inputs[first : first + _AT_ONCE].reshape(-1, *self.inputs)
            for group, of_group in zip(self.groups, parameters, strict=True):
                x, _ = forward(group, of_group, x)
            found.append(x)
        return np.concatenate(found)


def forward(
    layers: tuple[Layer, ...], parameters: list[Parameters], x: Array
) -> tuple[Array, list[Any]]:
    """Forward pass of a group: its outputs, and what each layer wants for its backward pass."""
    kept = []
    for layer, of_layer in zip(layers, parameters, strict=True):
        x, of_pass = layer.forward(of_layer, x)
        kept.append(of_pass)
    return x, kept


def backward(
    layers: tuple[Layer, ...], parameters: list[Parameters], kept: list[Any], delta: Array
) -> tuple[Array, list[Parameters]]:
    """Backward pass of a group: deltas of its inputs, and gradients by layer."""
    gradients = []
    for layer, of_layer, of_pass in zip(
        reversed(layers), reversed(parameters), reversed(kept), strict=True
    ):
        delta, of_weights = layer.backward(of_layer, of_pass, delta)
        gradients.append(of_weights)
    return delta, gradients[::-1]


def cross_entropy(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Cross entropy of the softmax of `outputs`: the loss of each sample, and its deltas.

    `outputs` and `labels` have the shape (samples, classes); each row of labels adds up to 1.
    """
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1, keepdims=True)
    losses = -(labels * (shifted - np.log(totals))).sum(axis=1)
    return losses, powers / totals - labels
