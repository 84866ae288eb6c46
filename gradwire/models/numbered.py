"""Models in numpy's .npz files."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from gradwire import saved
from gradwire.arrays import read_arrays
from gradwire.models.network import (
    MOST_PARAMETERS,
    FileLayer,
    Network,
    by_owner,
    check_count,
    network,
    shown,
)
from hw.design import ACTIVATIONS
from hw.errors import InputError

_NAME = re.compile(r"(weights|biases)([1-9]\d{0,5})")


def read(file: Path) -> Network:
    """The network in an .npz file: a file of weights of ours, or plain arrays.

    Plain arrays are weights1 (outputs, inputs) and biases1 (outputs,) for the layer next to the
    inputs, and so on, or are called as in a state dict of PyTorch; biases may be missing.

    Raises InputError, see gradwire.models.read.
    """
    arrays = read_arrays(file, 8 * MOST_PARAMETERS + (1 << 20))
    state = saved.state(file, arrays.pop(saved.STATE, None))
    check_count(file, (array.size for array in arrays.values()))
    numbered = any(map(_NAME.fullmatch, arrays))
    layers = _numbered(file, arrays) if numbered else by_owner(file, arrays)
    return network(file, layers, _activation(file, state["design"]))


def write(found: Network) -> bytes:
    """The content of an .npz file with the arrays that `read` describes, and nothing else."""
    file = io.BytesIO()
    np.savez(file, **saved.named(found.weights))
    return file.getvalue()


def _numbered(file: Path, arrays: dict[str, np.ndarray]) -> list[FileLayer]:
    layers = []
    left = dict(arrays)
    while (name := f"weights{len(layers) + 1}") in left:
        weights = left.pop(name)
        if weights.ndim != 2:
            raise InputError(f"{file} must hold {name} as (outputs, inputs), not {weights.shape}")
        layers.append(FileLayer(name, weights, left.pop(f"biases{len(layers) + 1}", None)))
    if left:
        raise InputError(f"{file} must hold {name}, or nothing more, not {shown(min(left))}")
    return layers


def _activation(file: Path, design: dict[str, Any]) -> str | None:
    """What a file of ours says of the activation functions."""
    found = design.get("activation")
    if found is not None and not isinstance(found, str):
        raise InputError(f"{file} must say in {saved.STATE} how it was trained, and does not")
    for name in found.split(",") if found is not None else ():
        if name not in ACTIVATIONS:
            raise InputError(f"{file} has activation {shown(name)}: not supported")
    return found
