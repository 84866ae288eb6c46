"""Training data."""

import dataclasses
from pathlib import Path

import numpy as np

from hw.errors import InputError
from sim.idx import find, read_idx

NAMES = ("red", "digits", "idx:FOLDER")

# A pixel is red if its red exceeds the mean of its green and blue by this much, of 256.
RED_MARGIN = 64

# Pixels to test on where no number is asked for.
RED_TESTS = 1000

# Images of scikit-learn's digits, and how many of them are for training.
_DIGITS, _DIGITS_TRAINED = 1797, 1500
_MOST_TESTS = 10_000


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


def idx(folder: Path, layers: tuple[int, ...], samples: int, tests: int, seed: int) -> Dataset:
    """Images and labels from IDX files, such as MNIST's or Fashion-MNIST's: train-... and t10k-...

    An input is a byte / 256, exact in FP32; labels are one-hot. The training samples come in a
    random order, all before any comes again; the tests are the first ones of t10k.
    """
    parts = []
    for part in ("train", "t10k"):
        images, labels = find(folder, part, "images-idx3"), find(folder, part, "labels-idx1")
        parts.append(_classes(read_idx(images, 3), read_idx(labels, 1), layers, folder))
    (images, labels), (test_images, test_labels) = parts
    if tests > len(test_images):
        raise InputError(f"tests must be 1 to {len(test_images)} for {folder}, not {tests}")
    order = _epochs(len(images), samples, seed)
    return Dataset(
        _fractions(images[order], 256),
        labels[order],
        _fractions(test_images[:tests], 256),
        test_labels[:tests],
    )


def digits(layers: tuple[int, ...], samples: int, tests: int, seed: int) -> Dataset:
    """scikit-learn's handwritten digits, 1,797 of 8 x 8 pixels; a value / 16 is an input.

    The last 297 are for tests. Raises InputError if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "data set 'digits' needs scikit-learn: pip install gradwire[digits]"
        ) from None
    found = load_digits()
    images, labels = _classes(found.images.astype(np.uint8), found.target, layers, "digits")
    train, most = _DIGITS_TRAINED, _DIGITS - _DIGITS_TRAINED
    if tests > most:
        raise InputError(f"tests must be 1 to {most} for digits, not {tests}")
    order = _epochs(train, samples, seed)
    return Dataset(
        _fractions(images[order], 16),
        labels[order],
        _fractions(images[train : train + tests], 16),
        labels[train : train + tests],
    )


def _classes(
    images: np.ndarray, labels: np.ndarray, layers: tuple[int, ...], source: object
) -> tuple[np.ndarray, np.ndarray]:
    """Images as rows, labels as one-hot rows, if they fit the network."""
    if len(images) != len(labels) or not len(images):
        raise InputError(
            f"{source} must have a label for each image, not {len(labels)} for {len(images)}"
        )
    rows = images.reshape(len(images), -1)
    if rows.shape[1] != layers[0]:
        raise InputError(f"{source} needs {rows.shape[1]} inputs, not {layers[0]}")
    if labels.max() >= layers[-1]:
        raise InputError(f"{source} needs labels below {layers[-1]} outputs, not {labels.max()}")
    return rows, np.eye(layers[-1], dtype=np.float32)[labels]


def _epochs(available: int, samples: int, seed: int) -> np.ndarray:
    """Indices of `samples` samples: epoch after epoch, each in an order of its own."""
    rng = np.random.default_rng(seed)
    epochs = [rng.permutation(available) for _ in range(-(-samples // available))]
    return np.concatenate(epochs)[:samples]


def _fractions(values: np.ndarray, whole: int) -> np.ndarray:
    return values.astype(np.float32) / np.float32(whole)


def usual_tests(name: str) -> int:
    """Samples to test on where none are asked for: all there are, up to 10,000.

    Raises InputError for an unknown data set or one that cannot be read.
    """
    kind, folder = _kind(name)
    if kind == "idx":
        return min(len(read_idx(find(Path(folder), "t10k", "labels-idx1"), 1)), _MOST_TESTS)
    return {"red": RED_TESTS, "digits": _DIGITS - _DIGITS_TRAINED}[kind]


def _kind(name: str) -> tuple[str, str]:
    """Kind and folder of data set `name`."""
    kind, _, folder = name.partition(":")
    if name not in ("red", "digits") and not (kind == "idx" and folder):
        raise InputError(f"data must be one of {', '.join(NAMES)}, not {name!r}")
    return kind, folder


def load(name: str, layers: tuple[int, ...], samples: int, tests: int, seed: int) -> Dataset:
    """Data set `name`, for a network of those layers: red, digits, or idx:FOLDER.

    Raises InputError for an unknown data set or one that does not fit the network.
    """
    kind, folder = _kind(name)
    if samples < 1:
        raise InputError(f"samples must be 1 or more, not {samples}")
    if kind == "idx":
        return idx(Path(folder), layers, samples, tests, seed)
    if name == "digits":
        return digits(layers, samples, tests, seed)
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
