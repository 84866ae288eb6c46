"""The golden model against a plain float64 one, which shares nothing with it."""

import numpy as np
import pytest

from hw.design import Design
from sim.golden import Golden, LearningRate, Weights, initial_weights


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


MAPPINGS = [("row",) * 3, ("column",) * 3, ("row", "column", "row"), ("column", "row", "column")]


FUNCTIONS = ["sigmoid", "sigmoid-exact", "tanh", "relu,relu,sigmoid", "tanh,relu,identity"]


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("mapping", MAPPINGS)
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


def test_gradients_are_those_of_autograd():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    design = Design(
        layers=(6, 5, 2), processing_elements=4, mapping=("row", "column"), table_degree=2
    )
    start = initial_weights(design.layers, 1)
    golden = Golden(design, start, LearningRate(rate=1.0))
    x, y = np.linspace(0, 1, 6).astype(np.float32), np.float32([1, 0])
    golden.train(x, y)
    tensors = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in start.weights]
    a = torch.tensor(x.astype(np.float64))
    for w in tensors:
        a = torch.sigmoid(w @ a)
    # Cross-entropy, whose delta at a sigmoid output is a - y.
    torch.nn.functional.binary_cross_entropy(
        a, torch.tensor(y.astype(np.float64)), reduction="sum"
    ).backward()
    for before, after, w in zip(start.weights, golden.weights.weights, tensors, strict=True):
        np.testing.assert_allclose(before - after, w.grad.numpy(), atol=1e-5, rtol=1e-4)


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
