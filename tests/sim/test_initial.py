"""Initial weights from a seed: the generator, and whether its weights are what they should be."""

import itertools

import numpy as np
import pytest

from hw.design import Design
from sim.initial import random_words, seeded_weights

LAYERS = (784, 100, 100, 10)


def design(layers=LAYERS, activation="sigmoid", pes=4, mapping="row", **more):
    return Design(
        layers=layers,
        processing_elements=pes,
        mapping=(mapping,) * (len(layers) - 1),
        activation=activation,
        seeded_weights=True,
        **more,
    )


def uniform(seed, layers=(100, 1000)):
    """Weights of one layer, as parts of the greatest there may be, ascending."""
    weights = seeded_weights(design(layers), seed).weights[0].ravel().astype(np.float64)
    return weights / (2 * np.sqrt(3 / layers[0]))


def test_the_generator_is_marsaglia_s():
    # Of his program with its own fourth word, from implementations of others.
    words = [3701687786, 458299110, 2500872618, 3633119408, 516391518]
    assert list(itertools.islice(random_words(88675123), 5)) == words


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 0x80000000, 0xFFFFFFFF])
def test_weights_are_uniform(seed):
    values = np.sort(uniform(seed))
    count = len(values)
    # Mean and deviation within four standard errors, the deviation's rounding apart.
    assert abs(values.mean()) < 4 * np.sqrt(1 / 3 / count)
    assert values.std() == pytest.approx(np.sqrt(1 / 3), rel=4 * np.sqrt(0.2 / count) + 1 / 63)
    # Kolmogorov and Smirnov: this distance is exceeded once in 1,000 times.
    limit = np.abs(values).max()
    below = (values / limit + 1) / 2
    steps = np.arange(count + 1) / count
    distance = max((steps[1:] - below).max(), (below - steps[:-1]).max())
    assert distance < 1.949 / np.sqrt(count)


def correlation(x, y):
    return abs(np.corrcoef(x, y)[0, 1])


def test_weights_of_one_seed_do_not_follow_from_each_other():
    values = uniform(1)
    for distance in [*range(1, 33), 99, 100, 101, 128]:
        assert correlation(values[distance:], values[:-distance]) < 5 / np.sqrt(len(values))


def test_seeds_that_are_close_give_weights_that_are_not():
    bits = [1 << k for k in range(32)]
    for seed in (0, 12345):
        values = uniform(seed, (50, 40))
        for other in [*(seed ^ bit for bit in bits), *(seed + step for step in range(1, 33))]:
            others = uniform(other, (50, 40))
            assert correlation(values, others) < 5 / np.sqrt(len(values))


def test_one_bit_of_the_seed_changes_half_of_the_bits_of_the_first_weights():
    # Limits of 1, so that sizes times 2**18 are whole numbers: 18 bits, the last one always 1.
    def sizes(seed):
        weights = seeded_weights(design((12, 1)), seed).weights[0][0, :8]
        return np.abs(weights * 2**18).astype(np.int64)

    for seed in (0, 12345):
        for bit in range(32):
            changed = int(np.bitwise_count(sizes(seed) ^ sizes(seed ^ 1 << bit)).sum())
            # Of 8 * 17 bits; at random, within five standard deviations.
            assert abs(changed - 68) < 5 * np.sqrt(8 * 17 / 4)


@pytest.mark.parametrize(("activation", "gain"), [("sigmoid", 2), ("tanh", 2), ("relu", 1.4)])
@pytest.mark.parametrize("inputs", [1, 3, 12, 784, 3000])
def test_deviations(activation, gain, inputs):
    weights = seeded_weights(design((inputs, 30000 // inputs), activation), 5).weights[0]
    assert np.abs(weights).max() == pytest.approx(gain * np.sqrt(3 / inputs), rel=1 / 64)
    assert weights.std() == pytest.approx(gain / np.sqrt(inputs), rel=1 / 64 + 0.01)


def test_each_layer_has_its_own():
    found = seeded_weights(design(activation="relu,relu,sigmoid"), 1)
    gains = [w.std() * np.sqrt(w.shape[1]) for w in found.weights]
    assert gains == pytest.approx([1.4, 1.4, 2], rel=0.06)
    assert [w.shape for w in found.weights] == [(100, 784), (100, 100), (10, 100)]
    assert all(w.dtype == np.float32 for w in (*found.weights, *found.biases))
    assert not any(b.any() for b in found.biases)
    assert all(w.all() for w in found.weights)


def test_weights_do_not_depend_on_where_they_lie():
    one, other = (
        seeded_weights(design(pes=p, mapping=m), 9) for p, m in [(7, "row"), (100, "column")]
    )
    for x, y in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(x, y)
