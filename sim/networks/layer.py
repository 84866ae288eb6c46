"""What every layer is."""

from typing import Any, Protocol

import numpy as np

Array = np.ndarray
Parameters = dict[str, Array]


class Layer(Protocol):
    """One layer: its sizes, and nothing that changes.

    Parameters, activations and gradients are passed in and out, so that a schedule may have any
    number of samples under way, and decide which parameters a pass sees. All arrays have the batch
    first and one floating-point type, float32 unless someone hands in another.
    """

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what one sample of shape `inputs` becomes.

        Raises InputError if the layer does not take such samples.
        """

    def initial(self, rng: np.random.Generator) -> Parameters:
        """Parameters to start from, float32, by name; none for a layer that learns nothing."""

    def forward(self, parameters: Parameters, x: Array) -> tuple[Array, Any]:
        """Outputs for the inputs `x`, and what `backward` wants to be given of this pass."""

    def backward(self, parameters: Parameters, kept: Any, delta: Array) -> tuple[Array, Parameters]:
        """Deltas of the inputs, and gradients of the parameters summed over the batch.

        `delta` is the gradient of the loss by the outputs; `kept` is of the pass of these samples.
        `parameters` need not be those of the forward pass.
        """


def normal(rng: np.random.Generator, shape: tuple[int, ...], inputs: int, gain: float) -> Array:
    """Normal weights of deviation gain / sqrt(inputs)."""
    return (rng.standard_normal(shape) * (gain / np.sqrt(inputs))).astype(np.float32)
