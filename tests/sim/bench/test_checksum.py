"""The checksums of weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import Design
from sim.bench.checksum import LAST, Checksums, marks
from sim.golden import Weights, initial_weights

DESIGN = Design(layers=(5, 7, 4, 3), processing_elements=3, mapping=("row", "column", "row"))


def checksums(weights: Weights) -> list[int]:
    return np.concatenate(Checksums(DESIGN).of(weights)).tolist()


@settings(deadline=None)
@given(data=st.data())
def test_every_bit_of_every_weight_counts(data):
    good, bad = initial_weights(DESIGN.layers, 1), initial_weights(DESIGN.layers, 1)
    layer = data.draw(st.integers(0, 2))
    arrays = data.draw(st.sampled_from([bad.weights, bad.biases]))
    element = data.draw(st.integers(0, arrays[layer].size - 1))
    arrays[layer].reshape(-1).view(np.uint32)[element] ^= 1 << data.draw(st.integers(0, 22))
    differ = [a != b for a, b in zip(checksums(good), checksums(bad), strict=True)]
    # The checksum of the layer, or that of the biases of the only column-mapped layer.
    biases = layer == 1 and arrays is bad.biases
    assert differ == [k == (3 if biases else layer) for k in range(4)]


def test_neighbours_that_change_places_count():
    good, bad = initial_weights(DESIGN.layers, 1), initial_weights(DESIGN.layers, 1)
    bad.weights[0][2, 1:3] = bad.weights[0][2, 2:0:-1]
    assert checksums(good) != checksums(bad)


def test_any_nan_is_the_canonical_one():
    weights = initial_weights(DESIGN.layers, 1)
    weights.weights[2][1, 1] = np.nan
    canonical = checksums(weights)
    weights.weights[2].view(np.uint32)[1, 1] = 0xFFC00001
    assert checksums(weights) == canonical


def test_marks_count_every_weight_once():
    banks, biases = marks(DESIGN)
    assert (banks & ~np.uint32(LAST)).sum() == 5 * 7 + 7 * 4 + 4 * 3 + 7 + 3
    assert ((banks & LAST) != 0).sum() == 3
    assert ((biases & LAST) != 0).sum() == 1
