"""Models as graphs of ONNX."""

import sys

import numpy as np
import pytest
from model_examples import (
    LAYERS,
    golden_outputs,
    onnx_outputs,
    random_network,
    random_weights,
    same_weights,
)

from gradwire import models
from hw.errors import InputError

W1, W2 = random_weights().weights
B1, B2 = random_weights().biases
INPUTS = np.random.default_rng(2).random((20, 6), np.float32)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.onnx"


@pytest.fixture
def save(onnx, file):
    """Writes a graph of nodes, each (operator, inputs, output, attributes), with constants."""
    helper = onnx.helper

    def write(nodes, constants=None, shape=("n", 6), output=None, opset=13, **more):
        arrays = {"w1": W1, "w2": W2, "b1": B1, "b2": B2} | (constants or {})
        kind = onnx.TensorProto.FLOAT
        made = [
            helper.make_node(op, inputs.split(), to.split(), **(rest[0] if rest else {}))
            for op, inputs, to, *rest in nodes
        ]
        graph = helper.make_graph(
            made,
            "graph",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info(output or nodes[-1][2].split()[0], kind, ("n", "o"))],
            [
                a if isinstance(a, onnx.TensorProto) else onnx.numpy_helper.from_array(a, name)
                for name, a in arrays.items()
            ],
        )
        opsets = [helper.make_opsetid("", opset)] if opset else []
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)
        file.write_bytes(model.SerializeToString())
        return model

    return write


ONE = [("Gemm", "x w1 b1", "s", {"transB": 1}), ("Relu", "s", "h")]
TWO = [*ONE, ("Gemm", "h w2 b2", "t", {"transB": 1}), ("Sigmoid", "t", "y")]
TURNED = {"v1": W1.T.copy(), "v2": W2.T.copy()}


@pytest.mark.parametrize("change", [
    pytest.param((TWO, {}, {}), id="Gemm"),
    pytest.param((
        [("Gemm", "x v1 b1", "s"), *TWO[1:]], TURNED, {}), id="weights as they are"),
    pytest.param(([
        ("MatMul", "x v1", "s"), ("Add", "b1 s", "s2"), ("Relu", "s2", "h"),
        ("MatMul", "h v2", "t"), ("Add", "t b2", "t2"), ("Sigmoid", "t2", "y"),
    ], TURNED, {}), id="MatMul and Add"),
    pytest.param(([
        ("Transpose", "w1", "v1", {"perm": [1, 0]}), ("Transpose", "w2", "v2"),
        ("Gemm", "x v1 b1", "s"), ("Relu", "s", "h"), ("Gemm", "h v2 b2", "t"),
        ("Sigmoid", "t", "y"),
    ], {}, {}), id="transposed by the graph"),
    pytest.param(([
        ("Flatten", "x", "f"), ("Gemm", "f w1 b1", "s", {"transB": 1}), *TWO[1:],
    ], {}, {"shape": ("n", 1, 2, 3)}), id="Flatten"),
    pytest.param(([
        ("Reshape", "x to", "f", {"allowzero": 1}), ("Gemm", "f w1 b1", "s", {"transB": 1}),
        *TWO[1:],
    ], {"to": np.array([-1, 6])}, {"shape": ("n", 2, 3), "opset": 14}), id="Reshape"),
    pytest.param(([
        ("Reshape", "x to", "f"), ("Gemm", "f w1 b1", "s", {"transB": 1}), *TWO[1:],
    ], {"to": np.array([0, -1])}, {"shape": ("n", 2, 3)}), id="Reshape that copies"),
    pytest.param(([
        ("Identity", "x", "i"), ("Gemm", "i w1 b1", "s", {"transB": 1}), ("Relu", "s", "r"),
        ("Dropout", "r ratio no", "h mask"), *TWO[2:], ("Identity", "y", "z"),
    ], {"ratio": np.array(0.5, np.float32), "no": np.array(False)}, {}), id="Dropout, Identity"),
    pytest.param(([
        *ONE, ("Gemm", "h half twice", "t", {"transB": 1, "alpha": 2.0, "beta": 0.5}),
        ("Sigmoid", "t", "y"),
    ], {"half": W2 / 2, "twice": 2 * B2.reshape(1, 3)}, {}), id="alpha and beta"),
])  # fmt: skip
def test_ways_to_say_the_same(save, file, onnx, change):
    nodes, constants, more = change
    model = save(nodes, constants, **more)
    onnx.checker.check_model(model, full_check=True)
    found = models.read(file)
    same_weights(found.weights, random_weights())
    assert (found.activation, found.said, found.rounded) == ("relu,sigmoid-exact", True, 0)
    inputs = INPUTS.reshape(20, *more["shape"][1:]) if more.get("shape") else INPUTS
    expected = onnx_outputs(file, found, inputs)
    np.testing.assert_allclose(golden_outputs(found, INPUTS), expected, atol=1e-5, rtol=0)


def test_constants_of_nodes(save, file, onnx):
    """And a layer without biases, and one without an activation function."""
    tensor = onnx.numpy_helper.from_array(W1.T.copy(), "anything")
    save([("Constant", "", "v", {"value": tensor}), ("MatMul", "x v", "y")])
    found = models.read(file)
    np.testing.assert_array_equal(found.weights.weights[0], W1)
    np.testing.assert_array_equal(found.weights.biases[0], np.zeros(5))
    assert found.activation == "identity"


@pytest.mark.parametrize("bias", [np.float32(0.5), np.float32([0.5]), np.float32([[0.5]])])
def test_one_bias_for_all(save, file, bias):
    save([("Gemm", "x w1 b", "y", {"transB": 1})], {"b": np.array(bias)})
    np.testing.assert_array_equal(models.read(file).weights.biases[0], np.full(5, 0.5))


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("raw", [False, True])
def test_types_that_fp32_holds(save, file, onnx, kind, raw):
    number = getattr(onnx.TensorProto, kind)
    whole = np.round(8 * W1)
    values = whole.astype(onnx.helper.tensor_dtype_to_np_dtype(number))
    if raw:
        tensor = onnx.helper.make_tensor("w", number, [5, 6], values.tobytes(), raw=True)
    else:
        tensor = onnx.helper.make_tensor("w", number, [5, 6], whole.ravel().tolist())
    save([("Gemm", "x w", "y", {"transB": 1})], {"w": tensor})
    found = models.read(file)
    np.testing.assert_array_equal(found.weights.weights[0], whole)
    assert found.rounded == 0


def test_rounding_is_counted(save, file):
    save([("Gemm", "x w", "y", {"transB": 1, "alpha": 0.1})], {"w": W1})
    assert models.read(file).rounded == 30
    save([("Gemm", "x w", "y", {"transB": 1})], {"w": W1.astype(np.float64) + 1e-13})
    assert models.read(file).rounded == 30


@pytest.mark.parametrize("activation", ["sigmoid-exact,relu", "tanh,identity", "sigmoid"])
def test_there_and_back(onnx, file, activation):
    file.write_bytes(models.write(random_network(activation), "onnx"))
    onnx.checker.check_model(onnx.load(file), full_check=True)
    found = models.read(file)
    same_weights(found.weights, random_weights())
    assert models.read(file, activation).activation == activation
    assert found.design.topology == "6-5-3"


def gemm(**attributes):
    return [("Gemm", "x w1 b1", "y", {"transB": 1} | attributes)]


@pytest.mark.parametrize(
    "nodes, constants, named",
    [
        ([*TWO, ("Conv", "y w1", "z")], {}, "layer 3 is Conv: not supported"),
        ([*TWO, ("Softmax", "y", "z")], {}, "layer 3 is Softmax: not supported"),
        ([("LeakyRelu", "x", "y")], {}, "layer 1 is LeakyRelu: not supported"),
        ([("a\nb\x1b[0m", "x", "y")], {}, r"layer 1 is 'a\\nb\\x1b\[0m': not supported"),
        ([("Relu", "x", "y", {"domain": "com.x"})], {}, "layer 1 is 'com.x.Relu': not supported"),
        ([("Relu", "x", "y")], {}, "Relu must follow a layer of weights"),
        ([*ONE, ("Tanh", "h", "z")], {}, "Tanh must follow a layer of weights"),
        ([*gemm(), ("Add", "y b1", "z")], {}, "Add must follow a MatMul"),
        ([("Add", "x b1", "y")], {}, "Add must follow a MatMul"),
        ([("MatMul", "x v", "s"), ("Add", "s s", "y")], {"v": W1.T}, "'s' must go to one node"),
        ([("MatMul", "x v", "s"), ("Add", "s q", "y")], {"v": W1.T}, "have 'q' as a constant"),
        ([("MatMul", "w1 x", "y")], {}, "MatMul has data where its weights should be"),
        ([("Gemm", "x q", "y")], {}, "Gemm must have 'q' as a constant"),
        (gemm(transA=1), {}, r"layer 1 \(Gemm\) has transA: not supported"),
        (gemm(transB=0), {}, r"layer 1 must have 6 inputs, as the graph, not 5"),
        (gemm(broadcast=1), {}, "Gemm has 'broadcast': not supported"),
        (gemm(transB=1.0), {}, "Gemm must have a number as transB"),
        (gemm(alpha=float("nan")), {}, "each weight must be finite in FP32, not nan"),
        (gemm(beta=1e39), {}, "each bias must be finite in FP32, not .*inf"),
        (gemm(), {"b1": B2}, "biases must be 5 for a layer, not 3"),
        (gemm(), {"b1": np.ones((2, 5), np.float32)}, "biases must be 5 for a layer, not 2x5"),
        (gemm(), {"w1": W1[0]}, r"layer 1 \(Gemm\) must have weights of 2 dimensions"),
        (gemm(), {"w1": np.full_like(W1, np.inf)}, "each weight must be finite in FP32, not inf"),
        (gemm(), {"w1": W1.astype(np.int32)}, "'w1' must be FLOAT or .* not INT32"),
        (
            TWO,
            {"w2": np.ones((3, 4), np.float32)},
            r"layer 2 \(Gemm\) must have 5 inputs, .* not 4",
        ),
        ([*ONE, ("Flatten", "h", "y")], {}, "Flatten must be of axis 1 at the input"),
        ([("Flatten", "x", "f", {"axis": 0})], {}, "Flatten must be of axis 1 at the input"),
        ([("Reshape", "x b1", "f")], {}, "'b1' must be INT64, not FLOAT"),
        ([("Reshape", "x to", "f")], {"to": np.array([6])}, "Reshape must be to 2 dimensions"),
        ([("Reshape", "x to", "f")], {"to": np.array([6, -1])}, r"leave .* not be to \(6, -1\)"),
        ([("Reshape", "x to", "f")], {"to": np.array([-1, -1])}, r"not be to \(-1, -1\)"),
        ([("Reshape", "x to", "f")], {"to": np.array([-1, 3])}, "must have 6 inputs, .* not 3"),
        ([*ONE, ("Dropout", "h b1 yes", "y")], {"yes": np.array(True)}, "Dropout is for training"),
        ([("Identity", "x", "y")], {}, "must have a layer of weights, and has none"),
        ([*TWO[:2], ("Tanh", "s", "z")], {}, "'s' must go to one node, in one chain"),
        ([*TWO, ("Relu", "q", "z")], {}, "'y' must go to one node, in one chain"),
        ([("Relu", "q", "p"), ("Tanh", "p", "q"), *TWO], {}, "all nodes must .* and 2 are not"),
        ([("Identity", "x", "x2"), ("Identity", "x2", "x")], {}, "made by several"),
        ([*ONE, ("Identity", "h", "s")], {}, "made by several"),
        ([*ONE, ("Identity", "h", "w1")], {}, "made by several"),
        ([("Constant", "", "c", {"value_float": 1.0}), *ONE], {}, "must have the attribute value"),
    ],
)
def test_what_is_refused(save, file, nodes, constants, named):
    save(nodes, constants)
    refused(file, named)


def refused(file, named):
    with pytest.raises(InputError, match=named) as raised:
        models.read(file)
    assert str(raised.value).startswith(str(file))
    assert str(raised.value).isprintable()


def test_a_value_that_goes_on_beyond_the_output(save, file):
    save(TWO, output="h")
    refused(file, "'y' must go to one node, in one chain from input to output")


def test_samples_of_several_dimensions(save, file):
    for shape in (("n", 3, 6), (6,)):
        save(TWO, shape=shape)
        refused(file, r"layer 1 \(Gemm\) must have inputs of 2 dimensions")
    save(TWO, shape=None)
    assert models.read(file).layers == LAYERS


def test_versions_and_functions(save, file, onnx):
    for opset, named in ((6, "not 6"), (10_000, "not 10000"), (None, "not none")):
        save(TWO, opset=opset)
        refused(file, rf"must have one opset, 7 to \d+, {named}$")
    function = onnx.helper.make_function("", "Relu", ["a"], ["b"], [], [])
    save(TWO, functions=[function])
    refused(file, "has function 'Relu': not supported")


def test_sizes_that_are_not_so(save, file, onnx):
    kind = onnx.TensorProto.FLOAT
    short = onnx.TensorProto(name="w1", data_type=kind, dims=[5, 6], raw_data=bytes(116))
    for tensor, named in (
        (short, "'w1' must have 120 bytes, not 116"),
        (onnx.TensorProto(name="w1", data_type=kind, dims=[5, 6]), "must have 30 numbers, and has"),
        (onnx.TensorProto(name="w1", data_type=kind, dims=[-5, -6]), "sizes of 0 or more, not -6"),
        (onnx.TensorProto(name="w1", data_type=kind, dims=[2**40, 6]), "at most 16777216 param"),
        (onnx.TensorProto(name="w1", data_type=77, dims=[5, 6]), "not 77"),
    ):
        save(TWO, {"w1": tensor})
        refused(file, named)
    save(TWO, {"again": onnx.numpy_helper.from_array(W1, "w1")})
    refused(file, "'w1' must be one tensor, not several")


def beside(onnx, dims=(5, 6), **entries):
    """A tensor in another file."""
    tensor = onnx.TensorProto(name="w1", data_type=onnx.TensorProto.FLOAT, dims=dims)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_data_in_a_file_beside_it(save, file, onnx):
    (file.parent / "data.bin").write_bytes(b"four" + W1.tobytes())
    save(TWO, {"w1": beside(onnx, location="data.bin", offset="4", length="120")})
    same_weights(models.read(file).weights, random_weights())


def test_data_in_other_files(save, file, onnx, tmp_path):
    (tmp_path / "data.bin").write_bytes(W1.tobytes())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.bin").write_bytes(W1.tobytes())
    (tmp_path / "link.bin").symlink_to(tmp_path / "data.bin")
    for name in ("", ".", "..", "nowhere", "folder", "folder/data.bin", "link.bin", "a\nb", "a\\b",
                 str(tmp_path / "data.bin"), "../" + tmp_path.name + "/data.bin"):  # fmt: skip
        save(TWO, {"w1": beside(onnx, location=name)})
        refused(file, "'w1' must be in a file beside the model's, not in ")
    for entries, named in (
        ({"offset": "-4"}, "must begin at a whole number, not '-4'"),
        ({"offset": "9" * 30}, "must begin at a whole number"),
        ({"offset": "4"}, "must have 120 bytes, not 116"),
        ({"length": "9" * 30}, "must have 120 bytes, not '9"),
    ):
        save(TWO, {"w1": beside(onnx, location="data.bin", **entries)})
        refused(file, named)


def test_onnx_is_missing(monkeypatch, file):
    monkeypatch.setitem(sys.modules, "onnx", None)
    file.touch()
    for act in (lambda: models.read(file), lambda: models.write(random_network("relu"), "onnx")):
        with pytest.raises(InputError, match=r"^ONNX files need the library onnx: .*\[onnx\]$"):
            act()
