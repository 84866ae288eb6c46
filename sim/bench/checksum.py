"""Checksums of all weights that an update writes: what the bench computes, of the golden model.

Where logging every word would take too much, core_bench.sv combines the words of each layer's
update: bank b's word at address a, rotated left by a + b bits, exclusive or. A word that is wrong
in one bit, missing or in another's place shows. The bias bank has checksums of its own, in which b
is 0.
"""

import itertools

import numpy as np

from hw.design import Design
from hw.shape import below
from sim.golden import Weights

NAN = np.uint32(0x7FC00000)
LAST = 1 << 31


def address_bits(design: Design) -> int:
    """Address bits of a word in its bank, without the bit that tells the two halves apart."""
    return max(1, (len(below(design.bank_words)) - 1).bit_length())


def marks(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """For each word of the weight banks how many PEs hold a weight there (the first ones), and
    LAST at a layer's last word; for each word of the bias bank only the latter.
    """
    banks = np.zeros(1 << address_bits(design), np.uint32)
    biases = np.zeros(len(below(design.bias_words)), np.uint32)
    for layer in design.weight_layers:
        banks[layer.base + layer.words - 1] |= LAST
        if layer.mapping == "column":
            biases[layer.bias_base + layer.outputs - 1] |= LAST
        for bank, word in itertools.chain.from_iterable(_addresses(layer)):
            if bank < design.processing_elements:
                banks[word] += 1
    return banks, biases


def _addresses(layer: object) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bank and word of the weights, row by row, and of the biases."""
    weights = [
        layer.weight_address(n, k) for n in range(layer.outputs) for k in range(layer.inputs)
    ]
    return weights, [layer.bias_address(n) for n in range(layer.outputs)]


class Checksums:
    """Computes the checksums of a design's weights.

    Parameters
    ----------
    design : of the machine.
    """

    def __init__(self, design: Design) -> None:
        self._parts = []
        for layer in design.weight_layers:
            row = layer.mapping == "row"
            weights, biases = (np.array(part) for part in _addresses(layer))
            turns = (weights.sum(axis=1) % 32).reshape(layer.outputs, layer.inputs)
            bias_turns = (biases.sum(axis=1) if row else biases[:, 1]) % 32
            # In the order in which the golden model keeps its matrices.
            turns = np.array(turns, np.uint32, order="F" if row else "C")
            self._parts.append((row, turns, bias_turns.astype(np.uint32)))

    def of(self, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        """Of each layer's update of the weight banks, and of the bias bank; uint32."""
        banks, biases = [], []
        for (row, turns, bias_turns), w, b in zip(
            self._parts, weights.weights, weights.biases, strict=True
        ):
            word, bias = _combined(w, turns), _combined(b, bias_turns)
            banks.append(word ^ bias if row else word)
            if not row:
                biases.append(bias)
        return np.array(banks, np.uint32), np.array(biases, np.uint32)


def _combined(values: np.ndarray, turns: np.ndarray) -> np.uint32:
    bits = values.view(np.uint32)
    unordered = np.isnan(values)
    if unordered.any():
        bits = np.where(unordered, NAN, bits)
    turned = (bits << turns) | (bits >> (-turns & np.uint32(31)))
    return np.bitwise_xor.reduce(turned, axis=None)
