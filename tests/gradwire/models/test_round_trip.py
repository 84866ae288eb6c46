"""Models of others go in, are trained, come out, and compute what the machine does."""

import gzip
import json
import shlex
import struct

import numpy as np
import pytest
from model_examples import (
    LAYERS,
    golden_outputs,
    library,
    onnx_outputs,
    outputs_of,
    random_network,
    random_weights,
)

from gradwire import models
from hw.activation import table

INPUTS = np.random.default_rng(3).random((200, 6), np.float32)
CLOSE = 1e-5


TO = pytest.mark.parametrize("to", ["pt", "onnx"])


def exported(network, folder, to):
    """A file of it."""
    library("torch" if to == "pt" else to)
    file = folder / f"model.{to}"
    file.write_bytes(models.write(network, to))
    return file


@TO
@pytest.mark.parametrize("pes, mapping", [(5, ("row", "row")), (3, ("column", "row"))])
@pytest.mark.parametrize(
    "activation, degree",
    [
        ("identity", 0),
        ("relu", 0),
        ("relu,identity", 0),
        ("sigmoid-exact", 0),
        ("relu,sigmoid-exact", 0),
        *[(name, degree) for name in ("sigmoid", "tanh", "tanh,sigmoid") for degree in (1, 2)],
    ],
)
def test_others_compute_the_same(tmp_path, to, activation, degree, pes, mapping):
    network = random_network(activation)
    ours = golden_outputs(
        network, INPUTS, table_degree=degree, processing_elements=pes, mapping=mapping
    )
    theirs = outputs_of(to, exported(network, tmp_path, to), network, INPUTS)
    np.testing.assert_allclose(ours, theirs, atol=CLOSE, rtol=0)


@TO
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("entries", [2048, 65536])
def test_tables_err_as_they_say(tmp_path, to, activation, entries):
    """Without interpolation, by more than the others' bound, up to that of the table."""
    network = random_network(activation, (6, 40))
    ours = golden_outputs(network, INPUTS, table_entries=entries)
    theirs = outputs_of(to, exported(network, tmp_path, to), network, INPUTS)
    assert CLOSE < np.abs(ours - theirs).max() < table.error_bound(activation, entries) + CLOSE


@pytest.fixture
def data(folder):
    """A data set of 6 inputs and 3 classes."""
    rng = np.random.default_rng(4)
    place = folder / "data"
    place.mkdir()
    for part in ("train", "t10k"):
        images = rng.integers(0, 256, (120, 2, 3), np.uint8)
        labels = images.reshape(120, 3, 2).sum(axis=2).argmax(axis=1).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">{array.ndim + 1}I", 0x800 | array.ndim, *array.shape)
            path = place / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    return f"idx:{place}"


def save_module(path):
    """A network as PyTorch makes it; returns what PyTorch computes with it."""
    torch = library("torch")
    torch.manual_seed(5)
    nn = torch.nn
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.Sigmoid())
    torch.save(module.state_dict(), path)
    with torch.no_grad():
        return module(torch.from_numpy(INPUTS)).numpy()


def save_graph(path):
    """A network as other programs write it: MatMul, Add, weights as (inputs, outputs).

    Returns what ONNX Runtime computes with it.
    """
    onnx = library("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = random_weights(LAYERS, 5)
    arrays = {f"w{n}": w.T.copy() for n, w in enumerate(weights.weights, 1)}
    arrays |= {f"b{n}": b for n, b in enumerate(weights.biases, 1)}
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["x"]),
        helper.make_node("MatMul", ["x", "w1"], ["p"]),
        helper.make_node("Add", ["p", "b1"], ["q"]),
        helper.make_node("Relu", ["q"], ["h"]),
        helper.make_node("MatMul", ["h", "w2"], ["r"]),
        helper.make_node("Add", ["r", "b2"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("pixels", kind, ["n", 2, 3])],
        [helper.make_tensor_value_info("y", kind, ["n", 3])],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return onnx_outputs(path, None, INPUTS.reshape(-1, 2, 3))


@pytest.mark.parametrize("kind", ["pt", "onnx"])
@TO
def test_trained_at_rtl_between(run_json, folder, data, kind, to):
    """In, 100 samples on the RTL, bit for bit the golden model's, and out again."""
    library("torch" if to == "pt" else to)
    before = (save_module if kind == "pt" else save_graph)(folder / f"mlp.{kind}")
    named = ("--activation", "relu,sigmoid-exact") if kind == "pt" else ()
    found = run_json("import", f"mlp.{kind}", *named, "-o", "W.npz")
    assert (found["topology"], found["activation"]) == ("6-5-3", "relu,sigmoid-exact")
    ours = golden_outputs(models.read(folder / "W.npz"), INPUTS)
    np.testing.assert_allclose(ours, before, atol=CLOSE, rtol=0)

    name, *line = found["commands"][1].replace("idx:FOLDER", data).split()
    assert (name, line[0]) == ("gradwire", "simulate")
    more = ("--samples", "100", "--tests", "20", "--rate", "0.5", "-o", "T.npz")
    simulated = run_json(*line, *more)
    assert (simulated["samples"], simulated["bit_exact"]) == (100, True)

    trained = models.read(folder / "T.npz")
    assert trained.activation == "relu,sigmoid-exact"
    ours = golden_outputs(trained, INPUTS)
    assert np.abs(ours - before).max() > 0.01  # it has learned
    told = run_json("export", "T.npz", "--to", to, "-o", f"out.{to}")
    assert ("module" in told) == (to == "pt")
    theirs = outputs_of(to, folder / f"out.{to}", trained, INPUTS)
    np.testing.assert_allclose(ours, theirs, atol=CLOSE, rtol=0)


def test_commands_that_are_printed(run, run_json, folder):
    """They are accepted as they are, for networks of the data sets that come along."""
    (folder / "a model.npz").write_bytes(
        models.write(random_network("tanh,sigmoid", (3, 4, 1)), "npz")
    )
    found = run_json("import", "a model.npz", "--activation", "tanh,sigmoid")
    assert found["weights"] == "build/a model.npz"
    assert [line.split()[:2] for line in found["commands"]] == [
        ["gradwire", name] for name in ("train", "simulate", "generate")
    ]
    for line in (found["commands"][0], found["commands"][2]):
        words = shlex.split(line)[1:]
        more = ["--samples", "10", "--tests", "1"] if words[0] == "train" else []
        result = run(*words, *more)
        assert result.exit_code == 0, result.output
    assert json.loads(run("import", "a model.npz", "--json").stdout)["activation_assumed"]


def test_what_is_assumed_stays_open(run, run_json, folder):
    (folder / "m.npz").write_bytes(models.write(random_network("relu", (3, 4, 1)), "npz"))
    told = run("import", "m.npz")
    assert "sigmoid (assumed: the file names none; --activation does)" in told.stdout
    for name in ("relu", "tanh,sigmoid"):
        words = ("train", "3-4-1", "--resume", "build/m.npz", "--activation", name)
        assert run(*words, "--samples", "10", "--tests", "1").exit_code == 0
    run_json("import", "m.npz", "--activation", "relu")
    words = ("train", "3-4-1", "--resume", "build/m.npz", "--activation", "tanh")
    result = run(*words)
    assert "was trained with activation relu, not tanh" in result.stderr


def test_places(fails, run_json, folder):
    (folder / "build").mkdir()
    (folder / "build" / "W.npz").write_bytes(models.write(random_network("relu"), "npz"))
    line = fails("export", "build/W.npz", "--to", "npz")
    assert "output file build/W.npz must be another one than the model: -o names it" in line
    assert "to must be one of onnx, pt, npz, not 'h5'" in fails(
        "export", "build/W.npz", "--to", "h5"
    )
    assert "output file build cannot be written: it is a folder" in fails(
        "export", "build/W.npz", "--to", "npz", "-o", "build"
    )
    found = run_json("export", "build/W.npz", "--to", "npz", "-o", "out.npz")
    assert (found["file"], found["to"], found["parameters"]) == ("out.npz", "npz", 53)
    np.testing.assert_array_equal(
        models.read(folder / "out.npz").weights.weights[0], random_weights(LAYERS).weights[0]
    )
