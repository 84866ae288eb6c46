"""Layers by themselves: shapes, differences of the loss, and nothing kept inside."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.errors import InputError
from sim.networks.activation import FUNCTIONS, Activation
from sim.networks.convolution import Convolution, MaxPool
from sim.networks.dense import Dense, Flatten, Last
from sim.networks.network import Network, cross_entropy
from sim.networks.recurrent import LSTM, Recurrent

# A layer and the shape of a sample that it takes, from three sizes.
KINDS = {
    "Dense": lambda a, b, c: (Dense(a, b), (a,)),
    "Dense of each step": lambda a, b, c: (Dense(a, b), (c, a)),
    "Flatten": lambda a, b, c: (Flatten(), (a, b, c)),
    "Last": lambda a, b, c: (Last(), (a, b)),
    "Convolution": lambda a, b, c: (Convolution(a, b, c), (a, c + b, c + a - 1)),
    "MaxPool": lambda a, b, c: (MaxPool(c), (a, b * c, a * c)),
    "Recurrent": lambda a, b, c: (Recurrent(a), (b, a)),
    "LSTM": lambda a, b, c: (LSTM(a), (b, 4 * a)),
    **{name: lambda a, b, c, name=name: (Activation(name), (a, b)) for name in FUNCTIONS},
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
SIZES = st.tuples(*[st.integers(1, 5)] * 3)
few = settings(max_examples=15)


def double(parameters):
    return {name: value.astype(np.float64) for name, value in parameters.items()}


@EVERY_KIND
@few
@given(SIZES, st.integers(1, 4), st.integers(0, 99))
def test_shapes_and_types(kind, sizes, batch, seed):
    layer, inputs = KINDS[kind](*sizes)
    rng = np.random.default_rng(seed)
    parameters = layer.initial(rng)
    x = rng.standard_normal((batch, *inputs)).astype(np.float32)
    before = copy.deepcopy((parameters, x))
    y, kept = layer.forward(parameters, x)
    assert y.shape == (batch, *layer.shape(inputs)) and y.dtype == np.float32
    back, gradients = layer.backward(parameters, kept, np.ones_like(y))
    assert back.shape == x.shape and back.dtype == np.float32
    assert {name: (g.shape, g.dtype) for name, g in gradients.items()} == {
        name: (p.shape, p.dtype) for name, p in parameters.items()
    }
    np.testing.assert_equal((parameters, x), before)


@EVERY_KIND
@few
@given(SIZES, st.integers(1, 3), st.integers(0, 99))
def test_gradients_are_slopes(kind, sizes, batch, seed):
    """Along a random direction, in float64, by a central difference."""
    layer, inputs = KINDS[kind](*sizes)
    rng = np.random.default_rng(seed)
    parameters = double(layer.initial(rng))
    x = rng.standard_normal((batch, *inputs))
    y, kept = layer.forward(parameters, x)
    delta = rng.standard_normal(y.shape)
    back, gradients = layer.backward(parameters, kept, delta)
    ways = {name: rng.standard_normal(value.shape) for name, value in parameters.items()}
    way = rng.standard_normal(x.shape)

    def loss(step):
        moved = {name: value + step * ways[name] for name, value in parameters.items()}
        return (layer.forward(moved, x + step * way)[0] * delta).sum()

    step = 1e-6
    slope = (loss(step) - loss(-step)) / (2 * step)
    expected = (back * way).sum() + sum((gradients[n] * ways[n]).sum() for n in ways)
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-5)


@EVERY_KIND
@few
@given(SIZES, st.integers(0, 99))
def test_samples_of_a_batch_do_not_meet(kind, sizes, seed):
    """Outputs and deltas of a sample do not depend on the batch, whose gradients are sums."""
    layer, inputs = KINDS[kind](*sizes)
    rng = np.random.default_rng(seed)
    parameters = double(layer.initial(rng))
    x = rng.standard_normal((3, *inputs))
    y, kept = layer.forward(parameters, x)
    delta = rng.standard_normal(y.shape)
    back, gradients = layer.backward(parameters, kept, delta)
    sums = {name: np.zeros_like(value) for name, value in parameters.items()}
    # All forward passes before the backward passes: a layer that remembered would be wrong.
    passes = [layer.forward(parameters, x[n : n + 1]) for n in range(3)]
    for n, (one, of_one) in enumerate(passes):
        np.testing.assert_allclose(one, y[n : n + 1], atol=1e-12)
        single, more = layer.backward(parameters, of_one, delta[n : n + 1])
        np.testing.assert_allclose(single, back[n : n + 1], atol=1e-12)
        for name, value in more.items():
            sums[name] += value
    for name, value in sums.items():
        np.testing.assert_allclose(value, gradients[name], atol=1e-12)


@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 99))
def test_cross_entropy(batch, classes, seed):
    rng = np.random.default_rng(seed)
    outputs = rng.standard_normal((batch, classes)) * 5
    labels = np.eye(classes)[rng.integers(classes, size=batch)]
    losses, deltas = cross_entropy(outputs, labels)
    assert losses.shape == (batch,) and (losses > 0).all()
    way, step = rng.standard_normal(outputs.shape), 1e-6
    more, less = (cross_entropy(outputs + s * way, labels)[0].sum() for s in (step, -step))
    assert (more - less) / (2 * step) == pytest.approx((deltas * way).sum(), rel=1e-5, abs=1e-7)


def test_large_outputs_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        losses, deltas = cross_entropy(np.float32([[1000, -1000]]), np.float32([[0, 1]]))
        Activation("sigmoid").forward({}, np.float32([-1000, 1000]))
    assert losses[0] == 2000
    np.testing.assert_array_equal(deltas, [[1, -1]])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(3, 2), (4,), r"Dense needs 3 inputs, not shape \(4,\)"),
        (Last(), (4,), r"Last needs a sequence, not shape \(4,\)"),
        (Convolution(1, 2, 5), (1, 4, 9), r"1 channels of 5 x 5 pixels or more, not .*\(1, 4, 9\)"),
        (MaxPool(2), (1, 4, 5), r"in multiples of 2, not shape \(1, 4, 5\)"),
        (Recurrent(3), (5, 4), r"Recurrent needs a sequence of 3 elements a step, not .*\(5, 4\)"),
        (LSTM(3), (5, 3), r"LSTM needs a sequence of 12 elements a step, not shape \(5, 3\)"),
    ],
)
def test_a_network_refuses_what_does_not_fit(layer, shape, message):
    with pytest.raises(InputError, match=message):
        Network(shape, ((layer,),))


def test_unknown_activation():
    with pytest.raises(InputError, match="activation must be one of sigmoid, tanh, relu, not 'x'"):
        Activation("x")
