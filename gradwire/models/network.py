"""A network as files of models hold it, checked."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hw.design import MOST_PROCESSING_ELEMENTS, Design
from hw.errors import InputError
from sim.golden import Weights

MOST_PARAMETERS = 1 << 24

_MOST_SHOWN = 40  # characters of a name out of a file
_USUAL_ACTIVATION = "sigmoid"
# The machine has two sigmoids, which are one function in files.
_FUNCTIONS = {"sigmoid-exact": "sigmoid"}


@dataclasses.dataclass(frozen=True)
class Network:
    """Weights, and what the layers do with their sums.

    Members
    -------
    weights : float32, finite.
    activation : activation functions as a Design has them.
    said : whether the file, or who called, named the activation functions; else they are assumed.
    rounded : how many parameters FP32 does not hold exactly.
    """

    weights: Weights
    activation: str
    said: bool
    rounded: int

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes of inputs, hidden layers and outputs."""
        shapes = [w.shape for w in self.weights.weights]
        return (shapes[0][1], *(outputs for outputs, _ in shapes))

    @property
    def parameters(self) -> int:
        """How many weights and biases there are."""
        return sum(a.size for a in (*self.weights.weights, *self.weights.biases))

    @property
    def processing_elements(self) -> int:
        """As many as a machine for it has by default, and at most as many as one can have."""
        return min(max(self.layers[1:]), MOST_PROCESSING_ELEMENTS)

    @property
    def design(self) -> Design:
        """A machine for it, its layers row-mapped. Raises InputError if there is none."""
        return Design(
            layers=self.layers,
            processing_elements=self.processing_elements,
            mapping=("row",) * (len(self.layers) - 1),
            activation=self.activation,
        )

    def with_activation(self, file: Path, given: str | None) -> "Network":
        """The same with the activation functions that are `given`.

        Raises InputError where they are not those of the file, or if no machine has them.
        """
        chosen = self if given is None else dataclasses.replace(self, activation=given, said=True)
        pairs = zip(self.design.activations, chosen.design.activations, strict=True)
        for number, (has, asked) in enumerate(pairs, 1):
            if self.said and _FUNCTIONS.get(has, has) != _FUNCTIONS.get(asked, asked):
                raise InputError(f"{file} has activation {has} in layer {number}, not {asked}")
        return chosen


@dataclasses.dataclass(frozen=True)
class FileLayer:
    """A layer of weights as a file has it, of any type of numbers.

    Members
    -------
    name : what it is called there, fit to be printed.
    weights : shape (outputs, inputs).
    biases : shape (outputs,); None for zeros.
    """

    name: str
    weights: np.ndarray
    biases: np.ndarray | None


def shown(name: str | bytes) -> str:
    """A name out of a file as messages have it: quoted, without control characters, not long.

    Bytes are what was to be text in UTF-8, and is not.
    """
    quoted = repr(name[:_MOST_SHOWN])
    return quoted if len(name) <= _MOST_SHOWN else f"{quoted}..."


def check_count(file: Path, sizes: Iterable[int]) -> None:
    """Raise InputError if arrays of those sizes are more than MOST_PARAMETERS together."""
    if (count := sum(sizes)) > MOST_PARAMETERS:
        raise InputError(f"{file} must have at most {MOST_PARAMETERS} parameters, not {count}")


def by_owner(file: Path, arrays: Mapping[str, np.ndarray]) -> list[FileLayer]:
    """Layers from arrays that are called as in a state dict: OWNER.weight, OWNER.bias.

    They follow one another as in the file. Raises InputError for what is no fully connected layer.
    """
    owners: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        owner, _, part = name.rpartition(".")
        owners.setdefault(owner, {})[part] = array
    return [_owned(file, n, *entry) for n, entry in enumerate(owners.items(), 1)]


def _owned(file: Path, number: int, owner: str, parts: dict[str, np.ndarray]) -> FileLayer:
    where = f"{file}: layer {number}"
    for part, array in parts.items():
        if part == "weight" and array.ndim in (3, 4, 5):
            raise InputError(f"{where} is Conv ({shown(owner)}): not supported")
        if part not in ("weight", "bias") or array.ndim != (2 if part == "weight" else 1):
            name = f"{owner}.{part}" if owner else part
            raise InputError(
                f"{where} must be fully connected: {shown(name)} of shape {array.shape} is not "
                "supported"
            )
    if "weight" not in parts:
        raise InputError(f"{where} ({shown(owner)}) must have a weight, and has a bias alone")
    return FileLayer(shown(owner), parts["weight"], parts.get("bias"))


def network(file: Path, layers: Sequence[FileLayer], activation: str | None) -> Network:
    """The network of `layers`, from the inputs up; `activation` is None if the file has none.

    Raises InputError if they do not fit one another, or have parameters that are not finite.
    """
    if not layers:
        raise InputError(f"{file} must have a layer of weights, and has none")
    for number, (below, layer) in enumerate(itertools.pairwise(layers), 2):
        if layer.weights.shape[1] != len(below.weights):
            raise InputError(
                f"{file}: layer {number} ({layer.name}) must have {len(below.weights)} inputs, the "
                f"outputs of the layer before, not {layer.weights.shape[1]}"
            )
    weights, biases, rounded = [], [], 0
    for number, layer in enumerate(layers, 1):
        outputs = len(layer.weights)
        bias = np.zeros(outputs, np.float32) if layer.biases is None else layer.biases
        if bias.shape != (outputs,):
            raise InputError(
                f"{file}: layer {number} ({layer.name}) must have {outputs} biases, not "
                f"{'x'.join(map(str, bias.shape))}"
            )
        for kept, array, what in ((weights, layer.weights, "weight"), (biases, bias, "bias")):
            single, changed = _single(array, f"{file}: layer {number} ({layer.name}): each {what}")
            kept.append(single)
            rounded += changed
    found = Network(
        Weights(tuple(weights), tuple(biases)),
        activation or _USUAL_ACTIVATION,
        activation is not None,
        rounded,
    )
    check_count(file, [found.parameters])
    return found


def _single(array: np.ndarray, what: str) -> tuple[np.ndarray, int]:
    """`array` in FP32, and how many of its numbers were rounded."""
    if array.dtype.kind not in "fiu":
        raise InputError(f"{what} must be a number, not {array.dtype}")
    with np.errstate(over="ignore"):
        single = np.array(array, np.float32, order="C")
    if not np.isfinite(single).all():
        value = array[~np.isfinite(single)][0]
        raise InputError(f"{what} must be finite in FP32, not {value}")
    return single, int(np.count_nonzero(single != array))
