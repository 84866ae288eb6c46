"""What the tests of models share: models as their programs make them, and what those compute."""

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest

from gradwire import models
from gradwire.models import state_dict
from hw.design import Design
from sim.golden import Golden, LearningRate, Weights

LAYERS = (6, 5, 3)


@functools.cache
def random_weights(layers=LAYERS, seed=1):
    """Weights and biases of every layer, none of them zero."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(layers))
    return Weights(
        tuple(rng.normal(0, 1 / np.sqrt(i), (o, i)).astype(np.float32) for i, o in pairs),
        tuple(rng.normal(0, 0.5, o).astype(np.float32) for _, o in pairs),
    )


def random_network(activation, layers=LAYERS, seed=1):
    return models.Network(random_weights(layers, seed), activation, said=True, rounded=0)


def same_weights(found, expected):
    for name in ("weights", "biases"):
        for one, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, other)


def golden_outputs(network, inputs, **more):
    """What the machine computes, for each row of inputs."""
    chosen = {name: getattr(network.design, name) for name in Design.__dataclass_fields__}
    golden = Golden(Design(**chosen | more), network.weights, LearningRate(rate=0))
    return np.array([golden.infer(x) for x in inputs])


def outputs_of(to, file, network, inputs):
    """What PyTorch ("pt") or ONNX Runtime ("onnx") compute with a network that was exported."""
    return (torch_outputs if to == "pt" else onnx_outputs)(file, network, inputs)


def onnx_outputs(file, network, inputs):
    content = Path(file).read_bytes()
    session = library("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    (first,) = session.get_inputs()
    return session.run(None, {first.name: inputs})[0]


def torch_outputs(file, network, inputs):
    """With the module that `gradwire export` prints."""
    torch = library("torch")
    module = eval(state_dict.module(network), {"nn": torch.nn})
    module.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        return module(torch.from_numpy(inputs)).numpy()


def library(name):
    """The package of that name; the test is skipped if it is not installed."""
    called = "PyTorch" if name == "torch" else name
    return pytest.importorskip(name, reason=f"{called} is not installed")
