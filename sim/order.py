"""The order in which the samples of a run come from SDRAM."""

from collections.abc import Iterator

import numpy as np

from hw.supply import LEFT, RIGHT, ROUNDS, TURN, XORSHIFT

_WORD = 0xFFFFFFFF


def run_order(records: int, samples: int, seed: int) -> np.ndarray:
    """Number of the record that each sample of a run is; shape (samples,), int.

    `records` make an epoch; with a seed of 0 each comes in the stored order, otherwise each in an
    order of its own. Equal to hw.supply.EpochOrder.
    """
    return _run(records, samples, seed)[0]


def run_attempts(records: int, samples: int, seed: int) -> np.ndarray:
    """How often each number of `run_order` was permuted; 0 in the stored order."""
    return _run(records, samples, seed)[1]


def _run(records: int, samples: int, seed: int) -> np.ndarray:
    epochs = -(-samples // records)
    found = [np.empty((2, 0), int)]
    found += [np.stack(_permuted(records, key)) for key in _keys(seed, epochs)]
    return np.concatenate(found, axis=1)[:, :samples]


def _permuted(records: int, key: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.arange(records, dtype=np.uint64)
    tries = np.zeros(records, int)
    outside = np.full(records, key != 0)
    while outside.any():
        numbers[outside] = _permute(numbers[outside], key, records)
        tries += outside
        outside = numbers >= records
    return numbers.astype(int), tries


def _permute(numbers: np.ndarray, key: int, records: int) -> np.ndarray:
    """One to one on the numbers below the next power of two."""
    mask = np.uint64((1 << (records - 1).bit_length()) - 1)
    for number in range(ROUNDS):
        turned = (key << TURN * number | key >> (32 - TURN * number)) & _WORD
        numbers = (numbers + np.uint64(turned)) & mask
        numbers = (numbers + (numbers << np.uint64(LEFT))) & mask
        numbers = numbers ^ (numbers >> np.uint64(RIGHT))
    return numbers


def _keys(seed: int, epochs: int) -> Iterator[int]:
    left, right, again = XORSHIFT
    key = seed
    for _ in range(epochs):
        yield key
        key ^= key << left & _WORD
        key ^= key >> right
        key ^= key << again & _WORD
