"""Training data."""

import dataclasses

import numpy as np

from hw.errors import InputError

NAMES = ("red",)

# A pixel is red if its red exceeds the mean of its green and blue by this much, of 256.
RED_MARGIN = 64


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Samples and labels, float32; one row a sample.

    Members
    -------
    train_inputs, train_labels : to train on.
    test_inputs, test_labels : to test on.
    """

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


def red(samples: int, tests: int, seed: int) -> Dataset:
    """Pixels with random bytes for red, green and blue; the label is 1 for red ones.

    The paper's small network learns the same: whether a pixel is red, judged by its red and the
    mean of the other two. An input is a byte / 256, exact in FP32.
    """
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (samples + tests, 3))
    others = (pixels[:, 1] + pixels[:, 2]) / 2
    labels = (pixels[:, 0] > others + RED_MARGIN)[:, None].astype(np.float32)
    inputs = (pixels / 256).astype(np.float32)
    return Dataset(inputs[:samples], labels[:samples], inputs[samples:], labels[samples:])


def load(name: str, layers: tuple[int, ...], samples: int, tests: int, seed: int) -> Dataset:
    """Data set `name`, for a network of those layers.

    Raises InputError for an unknown data set or one that does not fit the network.
    """
    if name not in NAMES:
        raise InputError(f"data must be one of {', '.join(NAMES)}, not {name!r}")
    if samples < 1:
        raise InputError(f"samples must be 1 or more, not {samples}")
    if (layers[0], layers[-1]) != (3, 1):
        raise InputError(
            f"data set 'red' needs 3 inputs and 1 output, not {layers[0]} and {layers[-1]}"
        )
    return red(samples, tests, seed)


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of the rows in which the network decides as the label does.

    One output decides by being above one half, several by which is largest.
    """
    if labels.shape[1] == 1:
        return float(np.mean((outputs > 0.5) == (labels > 0.5)))
    return float(np.mean(outputs.argmax(axis=1) == labels.argmax(axis=1)))
