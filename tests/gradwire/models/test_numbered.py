"""Models as arrays of numpy."""

import json

import numpy as np
import pytest
from model_examples import LAYERS, random_network, random_weights, same_weights

from gradwire import models, saved
from hw.design import Design
from hw.errors import InputError
from sim.golden import Weights

DESIGN = Design(
    layers=LAYERS, processing_elements=5, mapping=("row", "row"), activation="relu,sigmoid"
)


def arrays():
    return saved.named(random_weights())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.npz"


def test_our_own_files_say_their_activations(file):
    file.write_bytes(saved.archive(random_weights(), DESIGN, {}, 0))
    found = models.read(file)
    same_weights(found.weights, random_weights())
    assert (found.layers, found.activation, found.said) == (LAYERS, "relu,sigmoid", True)
    assert (found.parameters, found.rounded) == (53, 0)


def test_there_and_back(file):
    file.write_bytes(models.write(random_network("tanh"), "npz"))
    with np.load(file) as content:
        assert sorted(content) == ["biases1", "biases2", "weights1", "weights2"]
    found = models.read(file)
    same_weights(found.weights, random_weights())
    assert (found.activation, found.said) == ("sigmoid", False)
    assert models.read(file, "tanh").activation == "tanh"


def test_names_of_a_state_dict(file):
    w, b = random_weights().weights, random_weights().biases
    np.savez(file, **{"in.weight": w[0], "in.bias": b[0], "out.bias": b[1], "out.weight": w[1]})
    same_weights(models.read(file).weights, random_weights())


def test_layers_without_biases(file):
    named = arrays()
    del named["biases1"]
    np.savez(file, **named)
    found = models.read(file).weights
    np.testing.assert_array_equal(found.biases[0], np.zeros(5))
    np.testing.assert_array_equal(found.biases[1], random_weights().biases[1])


@pytest.mark.parametrize("kind", [np.float16, ">f4", np.float64, np.int8])
def test_types_that_fp32_holds(file, kind):
    whole = [np.round(8 * array) for array in arrays().values()]
    np.savez(file, **{n: a.astype(kind) for n, a in zip(arrays(), whole, strict=True)})
    found = models.read(file)
    same_weights(found.weights, Weights(tuple(whole[::2]), tuple(whole[1::2])))
    assert found.rounded == 0


def test_rounding_is_counted(file):
    fine = {name: array.astype(np.float64) for name, array in arrays().items()}
    fine["weights2"][0, :2] += 1e-12
    np.savez(file, **fine)
    found = models.read(file)
    assert found.rounded == 2
    same_weights(found.weights, random_weights())


def bad(value):
    named = {name: array.copy() for name, array in arrays().items()}
    named["weights2"][1, 2] = value
    return named


@pytest.mark.parametrize(
    "content, named",
    [
        ({}, "must have a layer of weights, and has none"),
        ({"weights2": np.ones((2, 2))}, "must hold weights1, or nothing more, not 'weights2'"),
        ({"weights1": np.ones(3)}, r"must hold weights1 as \(outputs, inputs\), not \(3,\)"),
        ({"weights1": np.ones((2, 0))}, "a layer size must be 1 or more, not 0"),
        ({"weights1": np.full((1, 1), "x")}, "each weight must be a number, not <U1"),
        ({"weights1": np.ones((1, 1), complex)}, "each weight must be a number, not complex128"),
        (
            {"weights1": np.ones((1, 1)), "arr_0": np.ones(3)},
            "must hold weights2, or nothing more, not 'arr_0'",
        ),
        (arrays() | {"biases2": np.ones(2)}, r"layer 2 \(weights2\) must have 3 biases, not 2"),
        (arrays() | {"weights2": np.ones((3, 4))}, r"layer 2 .* must have 5 inputs, .* not 4"),
        (bad(np.nan), r"layer 2 \(weights2\): each weight must be finite in FP32, not nan"),
        (bad(-np.inf), r"layer 2 \(weights2\): each weight must be finite in FP32, not -inf"),
        (arrays() | {"biases1": np.full(5, 1e39)}, r"each bias must be finite in FP32, not 1e\+39"),
        ({"a\n.weight": np.ones((2, 2, 3, 3))}, r"layer 1 is Conv \('a\\n'\): not supported"),
        ({"arr_0": np.ones(2)}, r"layer 1 must be fully connected: 'arr_0' of shape \(2,\) is"),
        ({"a.weight": np.ones(2)}, r"layer 1 must be fully connected: 'a.weight' of shape \(2,\)"),
        ({"a.weight": np.ones((2, 2)), "a.g": np.ones(2)}, r"layer 1 must .*: 'a.g' of shape"),
        ({"a.bias": np.ones(2)}, r"layer 1 \('a'\) must have a weight, and has a bias alone"),
        ({"state": np.array("{}")}, "must say in state how it was trained"),
        ({"state": np.array("[" * 100_000)}, "must say in state how it was trained"),
    ],
)
def test_what_is_refused(file, content, named):
    np.savez(file, **content)
    with pytest.raises(InputError, match=named):
        models.read(file)


def test_a_state_of_another_kind(file):
    for design, named in (
        ({"activation": 3}, "must say in state how it was trained"),
        ([], "must say in state how it was trained"),
        ({"activation": "relu,\n"}, r"has activation '\\n': not supported"),
    ):
        state = {"design": design, "task": {}, "trained": 0}
        np.savez(file, state=np.array(json.dumps(state)), **arrays())
        with pytest.raises(InputError, match=named):
            models.read(file)


def test_activations_that_are_not_the_files(file):
    file.write_bytes(saved.archive(random_weights(), DESIGN, {}, 0))
    assert models.read(file, "relu,sigmoid-exact").activation == "relu,sigmoid-exact"
    with pytest.raises(InputError, match=r"has activation relu in layer 1, not tanh$"):
        models.read(file, "tanh,sigmoid")
    with pytest.raises(InputError, match="an activation is needed for each of 2 layers"):
        models.read(file, "relu,relu,sigmoid")
    with pytest.raises(InputError, match=r"activation must be one of .* not 'cube'"):
        models.read(file, "cube")


def test_other_names_and_formats(tmp_path):
    with pytest.raises(InputError, match=r"must be a file \*\.npz, .* not 'model\.h5'"):
        models.read(tmp_path / "model.h5")
    with pytest.raises(FileNotFoundError):
        models.read(tmp_path / "model.npz")
    with pytest.raises(InputError, match=r"^to must be one of onnx, pt, npz, not 'h5'$"):
        models.write(random_network("relu"), "h5")
