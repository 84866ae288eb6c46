"""Recurrent layers over sequences, shape (steps, size).

Each is the recurrence alone: what the inputs bring to every step comes out of a Dense layer before
it, which needs no recurrence and can be in a group of its own. The state before the first step is
zero. Backward passes go back through all steps.
"""

import dataclasses

import numpy as np

from hw.errors import InputError
from sim.networks.layer import Array, Parameters, normal


def _check(layer: object, inputs: tuple[int, ...], size: int) -> None:
    if len(inputs) != 2 or inputs[1] != size:
        name = type(layer).__name__
        raise InputError(f"{name} needs a sequence of {size} elements a step, not shape {inputs}")


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """Vanilla recurrence: h = tanh(x + W h'), h' being the h of the step before.

    Parameters
    ----------
    size : of x and h. W has the shape (size, size); it begins as the identity, by which states
        neither grow nor fade (Q. V. Le et al., "A Simple Way to Initialize Recurrent Networks of
        Rectified Linear Units", 2015).
    """

    size: int

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        _check(self, inputs, self.size)
        return inputs

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {"weights": np.eye(self.size, dtype=np.float32)}

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Array]:
        weights = parameters["weights"].T
        states = np.empty_like(x)
        state = np.zeros_like(x[:, 0])
        for step in range(x.shape[1]):
            state = np.tanh(x[:, step] + state @ weights)
            states[:, step] = state
        return states, states

    def backward(
        self, parameters: Parameters, kept: Array, delta: Array
    ) -> tuple[Array, Parameters]:
        weights, found = parameters["weights"], np.empty_like(delta)
        back = np.zeros_like(delta[:, 0])
        for step in reversed(range(delta.shape[1])):
            state = kept[:, step]
            found[:, step] = (delta[:, step] + back) * (1 - state * state)
            back = found[:, step] @ weights
        return found, {"weights": _of_states(found, kept)}


@dataclasses.dataclass(frozen=True)
class LSTM:
    """Long short-term memory, its gates in PyTorch's order i, f, g, o.

    (i, f, g, o) = x + W h' + b, g through tanh and the others through the sigmoid;
    c = f c' + i g; h = o tanh(c).

    Parameters
    ----------
    size : of h and c; x has 4 size elements. W has the shape (4 size, size). The biases of f begin
        at 1, by which c is not forgotten at first (F. A. Gers et al., "Learning to Forget", 2000).
    """

    size: int

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        _check(self, inputs, 4 * self.size)
        return (inputs[0], self.size)

    def initial(self, rng: np.random.Generator) -> Parameters:
        biases = np.zeros(4 * self.size, np.float32)
        biases[self.size : 2 * self.size] = 1
        return {
            "weights": normal(rng, (4 * self.size, self.size), self.size, 1.0),
            "biases": biases,
        }

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        weights, (batch, steps, _) = parameters["weights"].T, x.shape
        # The sigmoid of z is tanh(z / 2) / 2 + 1 / 2, so one tanh does for all gates.
        scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], x.dtype), self.size)
        sums, gates = x + parameters["biases"], np.empty_like(x)
        states, cells = (np.empty((batch, steps, self.size), x.dtype) for _ in range(2))
        state = cell = np.zeros((batch, self.size), x.dtype)
        for step in range(steps):
            squashed = np.tanh((sums[:, step] + state @ weights) * scale)
            gates[:, step] = squashed * scale + (1 - scale)
            i, f, g, o = np.split(gates[:, step], 4, axis=1)
            cell = f * cell + i * g
            state = o * np.tanh(cell)
            states[:, step], cells[:, step] = state, cell
        return states, (gates, states, cells)

    def backward(
        self, parameters: Parameters, kept: tuple[Array, Array, Array], delta: Array
    ) -> tuple[Array, Parameters]:
        gates, states, cells = kept
        weights, found = parameters["weights"], np.empty_like(gates)
        # What needs no step's deltas is made for all steps at once.
        i, f, g, o = np.split(gates, 4, axis=2)
        squashed = np.tanh(cells)
        by_state = o * (1 - squashed * squashed)
        before = np.zeros_like(cells)
        before[:, 1:] = cells[:, :-1]
        slopes = [g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)]
        slopes = np.concatenate(slopes, axis=2)
        of_state = of_cell = np.zeros_like(cells[:, 0])
        for step in reversed(range(delta.shape[1])):
            of_state = of_state + delta[:, step]
            of_cell = of_cell + of_state * by_state[:, step]
            sources = np.concatenate([of_cell, of_cell, of_cell, of_state], axis=1)
            found[:, step] = sources * slopes[:, step]
            of_cell = of_cell * f[:, step]
            of_state = found[:, step] @ weights
        return found, {"weights": _of_states(found, states), "biases": found.sum(axis=(0, 1))}


def _of_states(delta: Array, states: Array) -> Array:
    """Gradient of the weights: each step's deltas with the states of the step before."""
    rows = delta[:, 1:].reshape(-1, delta.shape[2])
    return rows.T @ states[:, :-1].reshape(-1, states.shape[2])
