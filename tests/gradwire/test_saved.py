"""Files of weights: what is written is read, and what does not fit is told."""

import json

import numpy as np
import pytest

from gradwire.saved import archive, load
from hw.design import Design
from hw.errors import InputError
from sim.golden import initial_weights

DESIGN = Design(layers=(3, 4, 2), processing_elements=2, mapping=("row", "column"))
WEIGHTS = initial_weights(DESIGN.layers, 1)
TASK = {"data": "red", "samples": 300}


def changed(**more):
    return Design(**{**vars_of(DESIGN), **more})


def vars_of(design):
    return {name: getattr(design, name) for name in design.__dataclass_fields__}


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "W.npz"
    file.write_bytes(archive(WEIGHTS, DESIGN, TASK, 120))
    return file


def test_there_and_back(file):
    found = load(file, DESIGN)
    assert (found.file, found.task, found.trained) == (file, TASK, 120)
    for name in ("weights", "biases"):
        for got, was in zip(getattr(found.weights, name), getattr(WEIGHTS, name), strict=True):
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got.view(np.uint32), was.view(np.uint32))


def test_weights_of_other_makers_say_nothing_of_training(tmp_path):
    file = tmp_path / "W.npz"
    np.savez(file, weights1=np.ones((2, 3)), biases1=np.arange(2))
    design = Design(layers=(3, 2), processing_elements=1, mapping=("row",))
    found = load(file, design)
    assert (found.task, found.trained, found.design) == ({}, 0, {})
    assert [b.dtype for b in found.weights.biases] == [np.float32]
    found.check(design, goes_on=True)


def test_an_interrupted_training_wants_its_own_machine(file):
    found = load(file, DESIGN)
    found.check(DESIGN, goes_on=True)
    for name, value, was in (
        ("processing_elements", 3, "processing elements 2, not 3"),
        ("mapping", ("row", "row"), "mapping row,column, not row,row"),
        ("batch", 2, "batch 1, not 2"),
        ("activation", "tanh", "activation sigmoid, not tanh"),
    ):
        with pytest.raises(InputError, match=f"W.npz was trained with {was}"):
            found.check(changed(**{name: value}), goes_on=True)


def test_what_is_learned_goes_into_any_machine_of_the_network(file, tmp_path):
    whole = tmp_path / "whole.npz"
    whole.write_bytes(archive(WEIGHTS, DESIGN, TASK, 300))
    for found in (load(whole, DESIGN), load(file, DESIGN)):
        found.check(changed(processing_elements=3, batch=4), goes_on=found.trained == 300)
        with pytest.raises(InputError, match="subnormals flush, not ieee"):
            found.check(changed(subnormals="ieee"), goes_on=False)


@pytest.mark.parametrize(
    "arrays, named",
    [
        ({}, "must hold weights1 for 3-4-2"),
        ({"weights1": np.ones((3, 4))}, r"weights1 as \(4, 3\) numbers for 3-4-2, not \(3, 4\)"),
        ({"weights1": np.full((4, 3), "x")}, r"weights1 as \(4, 3\) numbers .* of <U1"),
        ({"state": np.array("{")}, "must say in state how"),
        ({"state": np.array('{"task": {}}')}, "must say in state how"),
        ({"state": np.array("3")}, "must say in state how"),
    ],
)
def test_files_that_do_not_fit(tmp_path, arrays, named):
    file = tmp_path / "W.npz"
    np.savez(file, **arrays)
    with pytest.raises(InputError, match=named):
        load(file, DESIGN)


def test_weights_of_more_layers(file):
    deeper = Design(layers=(3, 4), processing_elements=2, mapping=("row",))
    with pytest.raises(InputError, match="weights of 3-4 alone, not biases2"):
        load(file, deeper)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04broken"])
def test_files_of_other_kinds(tmp_path, content):
    file = tmp_path / "W.npz"
    file.write_bytes(content)
    with pytest.raises(InputError, match="must be a file of weights"):
        load(file, DESIGN)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InputError, match="must be a file of weights"):
        load(tmp_path / "one.npy", DESIGN)


def test_the_state_is_json(file):
    with np.load(file) as found:
        state = json.loads(str(found["state"]))
    assert state["trained"] == 120 and state["design"]["layers"] == [3, 4, 2]
