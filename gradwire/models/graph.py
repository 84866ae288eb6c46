"""Models in ONNX files: one chain of fully connected layers, from the graph's input to its output.

What is not understood is refused, to the last attribute: nothing in a graph is passed over.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradwire.models.network import FileLayer, Network, network, shown
from gradwire.models.tensors import Constants, library
from hw.errors import InputError

_OLDEST_OPSET = 7  # operators were others before
_WRITTEN_OPSET, _WRITTEN_IR = 13, 7  # what readers have known since 2020

# The operators, with the attributes that each may have.
_ATTRIBUTES = {
    "Gemm": {"alpha", "beta", "transA", "transB"},
    "MatMul": set(),
    "Add": set(),
    "Relu": set(),
    "Sigmoid": set(),
    "Tanh": set(),
    "Identity": set(),
    "Dropout": {"ratio", "seed"},
    "Flatten": {"axis"},
    "Reshape": {"allowzero"},
}
# The sigmoid of a graph is exact.
_ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid-exact", "Tanh": "tanh"}
_OPERATORS = {
    "sigmoid": "Sigmoid",
    "sigmoid-exact": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "identity": "Identity",
}


def read(file: Path) -> Network:
    """The network in an ONNX file, with the activation functions of its graph.

    Raises InputError, see gradwire.models.read.
    """
    onnx = library()
    content = file.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # whatever protobuf raises is about the file
        raise InputError(f"{file} must be an ONNX file, and is not") from None
    versions = [x.version for x in model.opset_import if x.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not _OLDEST_OPSET <= versions[0] <= newest:
        found = ", ".join(map(str, versions)) or "none"
        raise InputError(f"{file} must have one opset, {_OLDEST_OPSET} to {newest}, not {found}")
    for function in model.functions:
        raise InputError(f"{file} has function {shown(function.name)}: not supported")
    layers = _Chain(file, model.graph).layers()
    return network(
        file,
        [FileLayer(layer.name, layer.weights, layer.biases) for layer in layers],
        ",".join(layer.activation or "identity" for layer in layers),
    )


def write(found: Network) -> bytes:
    """The content of an ONNX file: float32 inputs (samples, inputs), outputs (samples, outputs).

    Raises InputError if the library is missing.
    """
    onnx = library()
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes, parameters = [], []
    value, weights = "inputs", found.weights
    layers = zip(weights.weights, weights.biases, found.design.activations, strict=True)
    for n, (w, b, name) in enumerate(layers, 1):
        parameters.append(onnx.numpy_helper.from_array(np.ascontiguousarray(w), f"weights{n}"))
        parameters.append(onnx.numpy_helper.from_array(b, f"biases{n}"))
        inputs, sums = [value, f"weights{n}", f"biases{n}"], f"sums{n}"
        value = f"activations{n}" if n < len(weights.weights) else "outputs"
        nodes.append(helper.make_node("Gemm", inputs, [sums], transB=1))
        nodes.append(helper.make_node(_OPERATORS[name], [sums], [value]))
    graph = helper.make_graph(
        nodes,
        "gradwire",
        [helper.make_tensor_value_info("inputs", kind, ["samples", found.layers[0]])],
        [helper.make_tensor_value_info("outputs", kind, ["samples", found.layers[-1]])],
        parameters,
    )
    model = helper.make_model(
        graph,
        producer_name="gradwire",
        ir_version=_WRITTEN_IR,
        opset_imports=[helper.make_opsetid("", _WRITTEN_OPSET)],
    )
    return model.SerializeToString(deterministic=True)


@dataclasses.dataclass
class _Layer:
    """A layer while its nodes come, one after the other."""

    name: str
    weights: np.ndarray  # (outputs, inputs)
    biases: np.ndarray | None
    activation: str | None = None


class _Chain:
    """The nodes between a graph's input and its output, one after the other.

    Parameters
    ----------
    file : of the model.
    graph : of the model.
    """

    def __init__(self, file: Path, graph: Any) -> None:
        self._file = file
        self._graph = graph
        self._constants = Constants(file, graph)
        self._layers: list[_Layer] = []
        self._inputs: list[int] | None = None  # the shape of the graph's input; unknown sizes are 0
        self._is_matrix = True  # whether a sample is one row, as far as the graph tells

    def layers(self) -> list[_Layer]:
        """The layers from the inputs up. Raises InputError for anything else in the graph."""
        for node, value in self._nodes():
            kind = node.op_type
            self._check(node, value)
            if kind in ("Gemm", "MatMul"):
                self._add_layer(node)
            elif kind == "Add":
                self._add_biases(node, value)
            elif kind == "Flatten":
                self._flatten(node)
            elif kind == "Reshape":
                self._reshape(node)
            elif kind == "Dropout":
                self._check_dropout(node)
            elif kind in _ACTIVATIONS:
                self._activate(kind)
        return self._layers

    def _refusal(self, text: str) -> InputError:
        return InputError(f"{self._file}: {text}")

    def _nodes(self) -> Iterator[tuple[Any, str]]:
        """The nodes in the order of the data, each once, with the value that they are given."""
        value, end = self._ends()
        left = self._constants.others
        made = [value, *(name for node in left for name in node.output if name)]
        if len(set(made)) < len(made) or any(name in self._constants for name in made):
            raise self._refusal("each value must be made by one node, and one is made by several")
        users: dict[str, list[Any]] = {}
        for node in left:
            for name in node.input:
                users.setdefault(name, []).append(node)
        count = 0
        while value != end or value in users:
            if len(users.get(value, [])) != 1 or count == len(left):
                raise self._refusal(
                    f"{shown(value)} must go to one node, in one chain from input to output"
                )
            (node,) = users[value]
            yield node, value
            value = node.output[0]
            count += 1
        if count < len(left):
            raise self._refusal(
                f"all nodes must be between input and output, and {len(left) - count} are not"
            )

    def _ends(self) -> tuple[str, str]:
        """The graph's input and its output."""
        inputs = [x for x in self._graph.input if x.name not in self._constants]
        outputs = self._graph.output
        if len(inputs) != 1 or len(outputs) != 1:
            raise self._refusal(
                f"there must be one input and one output, not {len(inputs)} and {len(outputs)}"
            )
        kind = inputs[0].type.tensor_type
        if kind.HasField("shape"):
            self._inputs = [max(0, size.dim_value) for size in kind.shape.dim]
            self._is_matrix = len(self._inputs) == 2
        return inputs[0].name, outputs[0].name

    def _check(self, node: Any, value: str) -> None:
        """Whether it is an operator that can be, on the data."""
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        if kind not in _ATTRIBUTES:
            name = kind if kind.isascii() and kind.isidentifier() else shown(kind)
            raise self._refusal(f"layer {len(self._layers) + 1} is {name}: not supported")
        for attribute in node.attribute:
            if attribute.name not in _ATTRIBUTES[kind] or attribute.ref_attr_name:
                raise self._refusal(f"{kind} has {shown(attribute.name)}: not supported")
        if not node.output or not node.output[0]:
            raise self._refusal(f"{kind} must have an output, and has none")
        if kind != "Add" and node.input[0] != value:
            raise self._refusal(f"{kind} has data where its weights should be: not supported")

    def _constant(self, node: Any, place: int, *kinds: tuple[str, ...]) -> np.ndarray | None:
        """The constant that is a node's input number `place`; None if there is none."""
        name = node.input[place] if place < len(node.input) else ""
        if not name:
            return None
        if name not in self._constants:
            raise self._refusal(f"{node.op_type} must have {shown(name)} as a constant")
        return self._constants.array(name, *kinds)

    def _number(self, node: Any, name: str, usual: float) -> float:
        """A node's attribute, of the type of its usual value."""
        for attribute in node.attribute:
            if attribute.name == name:
                kinds = attribute.INT, attribute.FLOAT
                if attribute.type != kinds[isinstance(usual, float)]:
                    raise self._refusal(f"{node.op_type} must have a number as {name}")
                return attribute.f if isinstance(usual, float) else attribute.i
        return usual

    def _add_layer(self, node: Any) -> None:
        kind, number = node.op_type, len(self._layers) + 1
        weights, biases = self._constant(node, 1), self._constant(node, 2)
        if weights is None or weights.ndim != 2:
            raise self._refusal(f"layer {number} ({kind}) must have weights of 2 dimensions")
        if not self._is_matrix:
            raise self._refusal(f"layer {number} ({kind}) must have inputs of 2 dimensions")
        if self._number(node, "transA", 0):
            raise self._refusal(f"layer {number} (Gemm) has transA: not supported")
        if not self._number(node, "transB", 0):
            weights = weights.T
        self._check_inputs(weights.shape[1])
        weights = _scaled(weights, self._number(node, "alpha", 1.0))
        if biases is not None:
            biases = _scaled(self._biases(biases, len(weights)), self._number(node, "beta", 1.0))
        self._layers.append(_Layer(kind, weights, biases))

    def _check_inputs(self, count: int) -> None:
        """Whether the first layer takes what the graph's input has."""
        features = math.prod((self._inputs or [])[1:]) if len(self._inputs or []) > 1 else 0
        if not self._layers and features not in (0, count):
            raise self._refusal(f"layer 1 must have {features} inputs, as the graph, not {count}")

    def _biases(self, found: np.ndarray, outputs: int) -> np.ndarray:
        """In the form (outputs,)."""
        if found.shape in ((), (1,), (1, 1)):
            return np.full(outputs, found.reshape(-1)[0])
        if found.shape not in ((outputs,), (1, outputs)):
            shape = "x".join(map(str, found.shape))
            raise self._refusal(f"biases must be {outputs} for a layer, not {shape}")
        return found.reshape(outputs)

    def _add_biases(self, node: Any, value: str) -> None:
        layer = self._layers[-1] if self._layers else None
        if len(node.input) != 2 or not layer or layer.activation or layer.biases is not None:
            raise self._refusal("Add must follow a MatMul: not supported elsewhere")
        found = self._constant(node, 1 if node.input[0] == value else 0)
        if found is None:
            raise self._refusal("Add must have biases, and has none")
        layer.biases = self._biases(found, len(layer.weights))

    def _activate(self, kind: str) -> None:
        if not self._layers or self._layers[-1].activation:
            raise self._refusal(f"{kind} must follow a layer of weights: not supported elsewhere")
        self._layers[-1].activation = _ACTIVATIONS[kind]

    def _flatten(self, node: Any) -> None:
        if self._layers or self._number(node, "axis", 1) != 1:
            raise self._refusal("Flatten must be of axis 1 at the input: not supported elsewhere")
        self._is_matrix = True

    def _reshape(self, node: Any) -> None:
        """To (samples, inputs), whatever the number of samples."""
        shape = self._constant(node, 1, ("INT64",))
        if self._layers or shape is None or shape.shape != (2,):
            raise self._refusal("Reshape must be to 2 dimensions at the input")
        samples, features = map(int, shape)
        known = [-1, *(size for size in (self._inputs or [])[:1] if size)]
        if not self._number(node, "allowzero", 0):
            known.append(0)
        if samples not in known or features < -1 or features == 0 or samples == features == -1:
            raise self._refusal(f"Reshape must leave samples apart, not be to {samples, features}")
        if features > 0:
            self._check_inputs(features)
            self._inputs = [0, features]
        self._is_matrix = True

    def _check_dropout(self, node: Any) -> None:
        training = self._constant(node, 2, ("BOOL",))
        if training is not None and training.any():
            raise self._refusal("Dropout is for training: not supported")


def _scaled(array: np.ndarray, factor: float) -> np.ndarray:
    """`array` times `factor`, without rounding to FP32."""
    if factor == 1:
        return array
    with np.errstate(all="ignore"):
        return array.astype(np.float64) * factor
