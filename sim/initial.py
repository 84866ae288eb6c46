"""Initial weights: those that the machine makes from a seed (Design.seeded_weights), in numpy."""

import itertools
from collections.abc import Iterator

import numpy as np

from hw.design import Design
from sim.golden import Weights, initial_weights

_MASK = 0xFFFFFFFF
_SKIPPED = 128


def random_words(seed: int) -> Iterator[int]:
    """32-bit words of xor128 (G. Marsaglia, "Xorshift RNGs", 2003), its fourth word the seed."""
    x, y, z, w = 123456789, 362436069, 521288629, seed
    while True:
        t = (x ^ (x << 11)) & _MASK
        x, y, z, w = y, z, w, w ^ (w >> 19) ^ t ^ (t >> 8)
        yield w


def starting_weights(design: Design, seed: int, gain: float) -> Weights:
    """The machine's own where it makes them, else what the host writes (`initial_weights`)."""
    if design.seeded_weights:
        return seeded_weights(design, seed)
    return initial_weights(design.layers, seed, gain)


def seeded_weights(design: Design, seed: int) -> Weights:
    """Weights of deviation 2 / sqrt(inputs), 1.4 / sqrt(inputs) for relu; biases of zero.

    They are uniform, and depend on layers, activations and seed (32 bits) alone. The deviation is
    rounded, with the limits, to 6 significant bits.
    """
    words = itertools.islice(random_words(seed), _SKIPPED - 1, None)
    weights, biases = [], []
    for (inputs, outputs), name in zip(
        itertools.pairwise(design.layers), design.activations, strict=True
    ):
        count = outputs * (inputs + 1)
        drawn = np.fromiter(words, np.int64, count).reshape(outputs, inputs + 1)[:, 1:]
        sizes = ((drawn >> 14) % 2**17 * 2 + 1) / 2**18
        signs = np.where(drawn >> 31, -1, 1)
        weights.append((signs * sizes * _limit(inputs, name)).astype(np.float32))
        biases.append(np.zeros(outputs, np.float32))
    return Weights(tuple(weights), tuple(biases))


def _limit(inputs: int, activation: str) -> float:
    """Root of 3 times the deviation, to 6 significant bits."""
    limit = (1.4 if activation == "relu" else 2) * np.sqrt(3 / inputs)
    unit = 2.0 ** (np.floor(np.log2(limit)) - 5)
    return float(np.round(limit / unit) * unit)
