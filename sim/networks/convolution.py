"""Convolution and pooling of images, shape (channels, rows, columns)."""

import dataclasses

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hw.errors import InputError
from sim.networks.layer import Array, Parameters, normal


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Square kernels, moved by one pixel, nowhere beyond the image's edge.

    A product of matrices: each row of one is the piece of an image that a kernel covers (im2col).

    Parameters
    ----------
    inputs, outputs : channels.
    kernel : its edge. Weights have the shape (outputs, inputs, kernel, kernel), as in PyTorch.
    gain : of the initial weights, whose deviation is gain / kernel / sqrt(inputs).
    """

    inputs: int
    outputs: int
    kernel: int
    gain: float = 1.0

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if len(inputs) != 3 or inputs[0] != self.inputs or min(inputs[1:]) < self.kernel:
            raise InputError(
                f"Convolution needs {self.inputs} channels of {self.kernel} x {self.kernel} pixels"
                f" or more, not shape {inputs}"
            )
        return (self.outputs, *(edge - self.kernel + 1 for edge in inputs[1:]))

    def initial(self, rng: np.random.Generator) -> Parameters:
        shape = (self.outputs, self.inputs, self.kernel, self.kernel)
        return {
            "weights": normal(rng, shape, self.inputs * self.kernel**2, self.gain),
            "biases": np.zeros(self.outputs, np.float32),
        }

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Array]:
        windows = sliding_window_view(x, (self.kernel, self.kernel), axis=(2, 3))
        batch, _, rows, columns = windows.shape[:4]
        pieces = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * rows * columns, -1)
        weights = parameters["weights"].reshape(self.outputs, -1)
        y = (pieces @ weights.T + parameters["biases"]).reshape(batch, rows, columns, -1)
        return y.transpose(0, 3, 1, 2), pieces

    def backward(
        self, parameters: Parameters, kept: Array, delta: Array
    ) -> tuple[Array, Parameters]:
        batch, _, rows, columns = delta.shape
        flat = delta.transpose(0, 2, 3, 1).reshape(-1, self.outputs)
        weights = parameters["weights"]
        gradients = {
            "weights": (flat.T @ kept).reshape(weights.shape),
            "biases": flat.sum(axis=0),
        }
        # Each pixel gets the deltas of all pieces that it is in.
        pieces = (flat @ weights.reshape(self.outputs, -1)).reshape(
            batch, rows, columns, self.inputs, self.kernel, self.kernel
        )
        pieces = pieces.transpose(4, 5, 0, 3, 1, 2)
        more = self.kernel - 1
        x = np.zeros((batch, self.inputs, rows + more, columns + more), delta.dtype)
        for row in range(self.kernel):
            for column in range(self.kernel):
                x[:, :, row : row + rows, column : column + columns] += pieces[row, column]
        return x, gradients


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """The largest of each square of pixels; of equal ones the first.

    Parameters
    ----------
    edge : of the squares. Rows and columns of the image are multiples of it.
    """

    edge: int = 2

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if len(inputs) != 3 or inputs[1] % self.edge or inputs[2] % self.edge:
            raise InputError(
                f"MaxPool needs rows and columns in multiples of {self.edge}, not shape {inputs}"
            )
        return (inputs[0], inputs[1] // self.edge, inputs[2] // self.edge)

    def initial(self, rng: np.random.Generator) -> Parameters:
        return {}

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Array]:
        batch, channels, rows, columns = x.shape
        edge = self.edge
        squares = x.reshape(batch, channels, rows // edge, edge, columns // edge, edge)
        squares = squares.transpose(0, 1, 2, 4, 3, 5)
        squares = squares.reshape(*squares.shape[:4], edge * edge)
        places = squares.argmax(axis=-1)[..., None]
        return np.take_along_axis(squares, places, axis=-1)[..., 0], places

    def backward(
        self, parameters: Parameters, kept: Array, delta: Array
    ) -> tuple[Array, Parameters]:
        batch, channels, rows, columns = delta.shape
        edge = self.edge
        squares = np.zeros((*delta.shape, edge * edge), delta.dtype)
        np.put_along_axis(squares, kept, delta[..., None], axis=-1)
        squares = squares.reshape(batch, channels, rows, columns, edge, edge)
        squares = squares.transpose(0, 1, 2, 4, 3, 5)
        return squares.reshape(batch, channels, rows * edge, columns * edge), {}
