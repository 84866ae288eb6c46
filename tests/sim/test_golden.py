"""The golden model against a plain float64 one, which shares nothing with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import MAPPINGS, Design
from hw.errors import InputError
from sim.golden import Golden, LearningRate, Sample, Weights, initial_weights, loss


def reference(weights, biases, inputs, labels, rate, names):
    """One step of stochastic gradient descent in float64: outputs, deltas, new weights."""
    curves = [curve(name) for name in names]
    activations = [inputs.astype(np.float64)]
    for w, b, (function, _) in zip(weights, biases, curves, strict=True):
        activations.append(function(w @ activations[-1] + b))
    deltas = [activations[-1] - labels]
    slopes = [curves[0][1], *(slope for _, slope in curves[:-1])]
    for w, a, slope in reversed(list(zip(weights, activations, slopes, strict=False))):
        deltas.append((w.T @ deltas[-1]) * slope(a))
    deltas = deltas[::-1]
    layers = list(zip(weights, biases, deltas[1:], activations, strict=False))
    new = [w - rate * np.outer(d, a) for w, _, d, a in layers]
    return activations, deltas, new, [b - rate * d for _, b, d, _ in layers]


def curve(name):
    """An activation function and its derivative from the activation, in float64."""
    return {
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
        "tanh": (np.tanh, lambda a: 1 - a * a),
        "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
        "identity": (lambda z: z, np.ones_like),
    }[name.removesuffix("-exact")]


MIXED = [("row",) * 3, ("column",) * 3, ("row", "column", "row"), ("column", "row", "column")]


FUNCTIONS = ["sigmoid", "sigmoid-exact", "tanh", "relu,relu,sigmoid", "tanh,relu,identity"]


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("mapping", MIXED)
@pytest.mark.parametrize("pes", [1, 3, 8])
def test_gradients_are_those_of_the_loss(mapping, pes, activation):
    design = Design(
        layers=(9, 7, 5, 3),
        processing_elements=pes,
        mapping=mapping,
        activation=activation,
        table_entries=4096,
        table_degree=2,
        input_deltas=mapping[0] == "row",
    )
    rng = np.random.default_rng(pes)
    start = initial_weights(design.layers, 3)
    golden = Golden(design, start, LearningRate(rate=0.25))
    weights = [w.astype(np.float64) for w in start.weights]
    biases = [b.astype(np.float64) for b in start.biases]
    for _ in range(5):
        x = rng.random(9).astype(np.float32)
        y = rng.integers(0, 2, 3).astype(np.float32)
        sample = golden.train(x, y)
        activations, deltas, weights, biases = reference(
            weights, biases, x, y, 0.25, design.activations
        )
        for found, exact in zip(sample.activations, activations[1:], strict=True):
            np.testing.assert_allclose(found, exact, atol=1e-5, rtol=1e-4)
        first = 0 if design.input_deltas else 1
        for found, exact in zip(sample.deltas, deltas[first:], strict=True):
            np.testing.assert_allclose(found, exact, atol=1e-5, rtol=1e-4)
        for found, exact in zip(golden.weights.weights, weights, strict=True):
            np.testing.assert_allclose(found, exact, atol=1e-5, rtol=1e-4)
        for found, exact in zip(golden.weights.biases, biases, strict=True):
            np.testing.assert_allclose(found, exact, atol=1e-5, rtol=1e-4)
        assert all(array.dtype == np.float32 for array in golden.weights.weights)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 40), stages=st.integers(2, 8))
def test_loss_is_the_sum_of_squared_errors(seed, size, stages):
    design = Design(
        layers=(1, size), processing_elements=1, mapping=("row",), adder_stages=stages, loss=True
    )
    errors = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    found = loss(design, Sample(sums=(), activations=(), deltas=(errors,)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.sum(errors.astype(np.float64) ** 2), rtol=1e-6)


def close(found, exact):
    """Whether arrays, one for each layer, are equal within what float32 and the tables cost."""
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-4)


@given(
    seed=st.integers(0, 2**32 - 1),
    layers=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    pes=st.integers(1, 9),
    batch=st.integers(1, 6),
    data=st.data(),
)
def test_a_batch_changes_the_weights_by_the_mean_of_its_gradients(seed, layers, pes, batch, data):
    each = st.sampled_from(MAPPINGS)
    mapping = data.draw(st.tuples(*[each] * (len(layers) - 1)), "mapping")
    design = Design(
        layers=tuple(layers),
        processing_elements=pes,
        mapping=mapping,
        activation="sigmoid-exact",
        batch=8,
    )
    rng = np.random.default_rng(seed)
    start = initial_weights(design.layers, seed)
    golden = Golden(design, start, LearningRate(rate=0.5), batch)
    weights = [w.astype(np.float64) for w in start.weights]
    biases = [b.astype(np.float64) for b in start.biases]
    for size in (batch, batch, 1 + batch // 2):  # the last batch is a short one
        steps = []
        before = golden.weights.copy()
        for index in range(size):
            x = rng.random(layers[0]).astype(np.float32)
            y = rng.integers(0, 2, layers[-1]).astype(np.float32)
            for unchanged, now in zip(before.weights, golden.weights.weights, strict=True):
                np.testing.assert_array_equal(unchanged, now)
            golden.train(x, y, last=index == size - 1)
            steps.append(reference(weights, biases, x, y, 0.5 / batch, design.activations)[2:])
        weights = [w + sum(new[n] - w for new, _ in steps) for n, w in enumerate(weights)]
        biases = [b + sum(new[n] - b for _, new in steps) for n, b in enumerate(biases)]
        close(golden.weights.weights, weights)
        close(golden.weights.biases, biases)
        assert golden.made is golden.weights


@pytest.mark.parametrize("mapping", MIXED)
def test_the_weights_in_the_making(mapping):
    """They are those before, plus the change of each sample so far."""
    design = Design(layers=(4, 3, 5, 2), processing_elements=2, mapping=mapping, batch=3)
    start = initial_weights(design.layers, 1)
    golden = Golden(design, start, LearningRate(rate=0.5), 3)
    rng = np.random.default_rng(1)
    samples = [(rng.random(4, np.float32), rng.random(2, np.float32)) for _ in range(3)]
    for done, (x, y) in enumerate(samples, 1):
        golden.train(x, y)
        # A batch that is short is the same sum, at the same rate.
        short = Golden(design, start, LearningRate(rate=0.5), 3)
        for index, sample in enumerate(samples[:done], 1):
            short.train(*sample, last=index == done)
        for found, expected in zip(golden.made.weights, short.weights.weights, strict=True):
            np.testing.assert_array_equal(found, expected)
        assert (golden.made is golden.weights) == (done == 3)


ONE = Design(
    layers=(1, 1),
    processing_elements=1,
    mapping=("row",),
    activation="identity",
    subnormals="ieee",
    batch=8,
)


def steps(learning, batch, samples):
    """The learning rate of each sample, as a change of a bias by one shows it."""
    golden = Golden(ONE, initial_weights((1, 1), 1), learning, batch)
    zero, found = np.zeros(1, np.float32), []
    for _ in range(samples):
        for weights in (golden.weights, golden.made):
            weights.biases[0][:] = 0
        golden.train(zero, np.ones(1, np.float32))
        found.append(golden.made.biases[0][0])
    return found


@given(
    batch=st.integers(1, 8),
    every=st.integers(8, 20),
    age=st.integers(0, 7),
    rate=st.floats(2.0**-60, 2.0**60, width=32),
    floor=st.floats(0, 1),
)
def test_the_rate_is_halved_after_every_so_many_samples(batch, every, age, rate, floor):
    learning = LearningRate(rate=rate, halve_every=every, floor=floor * rate, age=age)
    count = 40 * batch
    ages = [age + index // batch * batch for index in range(count)]  # when its batch began
    step, least = learning.words(batch)
    expected = [max(step / np.float32(2.0 ** (age // every)), least) for age in ages]
    assert steps(learning, batch, count) == expected


def test_a_rate_without_a_period_stays():
    assert steps(LearningRate(rate=0.3), 1, 100) == [np.float32(0.3)] * 100


def test_a_rate_that_vanishes():
    """Half of what is below twice the smallest normal number is 0; the floor holds."""
    tiny = float(np.finfo(np.float32).tiny)
    assert steps(LearningRate(rate=3 * tiny, halve_every=1), 1, 3) == [3 * tiny, 1.5 * tiny, 0]
    assert steps(LearningRate(rate=2 * tiny, halve_every=1), 1, 3) == [2 * tiny, tiny, 0]
    learning = LearningRate(rate=2 * tiny, halve_every=1, floor=tiny)
    assert steps(learning, 1, 3) == [2 * tiny, tiny, tiny]


def test_a_run_that_goes_on_halves_when_it_would_have():
    whole = steps(LearningRate(rate=0.3, halve_every=5), 1, 20)
    for done in range(1, 5):
        rest = steps(LearningRate(rate=0.3, halve_every=5, age=done), 1, 20 - done)
        assert rest == whole[done:]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": -1.0}, r"^rate must be 0 or more and finite in FP32, not -1\.0$"),
        ({"rate": float("nan")}, "^rate must be 0 or more and finite in FP32, not nan$"),
        ({"rate": 1e39}, r"^rate must be 0 or more and finite in FP32, not 1e\+39$"),
        ({"rate": 0.1, "floor": 0.2}, r"^floor must be 0 to the rate, 0\.1, not 0\.2$"),
        ({"rate": 0.1, "floor": -0.2}, r"^floor must be 0 to the rate, 0\.1, not -0\.2$"),
        ({"rate": 0.1, "halve_every": -1}, "^halve every must be 0 or more samples, not -1$"),
        ({"rate": 0.1, "age": 1.5}, r"^age must be 0 or more samples, not 1\.5$"),
    ],
)
def test_bad_learning_rates(values, message):
    with pytest.raises(InputError, match=message):
        LearningRate(**values)


@pytest.mark.parametrize("batch", [0, 9])
def test_bad_batches(batch):
    with pytest.raises(InputError, match=f"^batch must be 1 to 8, not {batch}$"):
        Golden(ONE, initial_weights((1, 1), 1), LearningRate(rate=0.1), batch)


def test_inference_is_the_forward_half_and_changes_nothing():
    design = Design(layers=(5, 4, 3), processing_elements=2, mapping=("row", "column"))
    golden = Golden(design, initial_weights(design.layers, 1), LearningRate(rate=0.1))
    rng = np.random.default_rng(1)
    x, y = rng.random(5, np.float32), rng.random(3, np.float32)
    before = golden.weights.copy()
    forward, outputs = golden.forward(x, y), golden.infer(x)
    for one, other in zip(before.weights, golden.weights.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    trained = golden.train(x, y)
    for one, other in zip(forward.sums, trained.sums, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(forward.activations, trained.activations, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(outputs, trained.activations[-1])
    (delta,) = forward.deltas
    np.testing.assert_array_equal(delta, trained.deltas[-1])


def test_initial_weights_have_the_deviation_asked_for():
    for gain in (1.4, 2.0):
        (weights,) = initial_weights((400, 300), 1, gain).weights
        assert np.std(weights) == pytest.approx(gain / 20, rel=0.01)


def test_the_weights_given_are_left_alone():
    design = Design(layers=(2, 2), processing_elements=2, mapping=("row",))
    start = initial_weights(design.layers, 1)
    kept = start.copy()
    golden = Golden(design, start, LearningRate(rate=0.5))
    golden.train(np.ones(2, np.float32), np.zeros(2, np.float32))
    np.testing.assert_array_equal(start.weights[0], kept.weights[0])


def test_a_rate_of_zero_only_infers():
    design = Design(layers=(3, 2), processing_elements=2, mapping=("column",))
    golden = Golden(design, initial_weights(design.layers, 1), LearningRate(rate=0))
    x = np.float32([0.5, 0.25, 1])
    outputs = golden.infer(x)
    sample = golden.train(x, np.ones(2, np.float32))
    np.testing.assert_array_equal(sample.activations[-1], outputs)
    np.testing.assert_array_equal(golden.infer(x), outputs)


def test_subnormals_are_flushed_only_on_request():
    tiny = np.float32(1e-39)
    weights = Weights((np.float32([[tiny]]),), (np.float32([0]),))
    for subnormals, kept in (("ieee", True), ("flush", False)):
        design = Design(
            layers=(1, 1), processing_elements=1, mapping=("row",), subnormals=subnormals
        )
        golden = Golden(design, weights, LearningRate(rate=0))
        assert bool(golden.weights.weights[0].any()) == kept
