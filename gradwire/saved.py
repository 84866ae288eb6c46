"""Weights in files, numpy's .npz, with all that it takes to train on from there."""

import dataclasses
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from gradwire.arrays import read_arrays
from gradwire.grouped import AnyDesign, parameters
from hw.errors import InputError
from sim.golden import Weights

STATE = "state"
_MOST_STATE = 1 << 20  # bytes beside the numbers, of which the widest have 16
# What weights mean. The other parameters of a design change the order of additions at most.
_NETWORK = ("layers", "activation", "subnormals", "table_entries", "table_degree")


@dataclasses.dataclass(frozen=True)
class Saved:
    """Weights from a file, and how they came about; nothing of that is known of others' files.

    Members
    -------
    file : where they were.
    weights : float32.
    design : gradwire.grouped.parameters of the machine that they were trained for; may be empty.
    task : parameters of gradwire.training.Task, samples being those of the whole training; may be
        empty.
    trained : samples that they have been trained on, from the first one.
    """

    file: Path
    weights: Weights
    design: dict[str, Any]
    task: dict[str, Any]
    trained: int

    def check(self, design: AnyDesign, *, goes_on: bool) -> None:
        """Raise InputError if the weights are not for the network of `design`.

        A training that was interrupted and `goes_on` must have the very same design, or its result
        would not be that of an uninterrupted one.
        """
        interrupted = self.trained < self.task.get("samples", 0)
        mine = parameters(design)
        for name in mine if interrupted and goes_on else _NETWORK:
            if name in self.design and self.design[name] != mine[name]:
                was, now = (_text(found[name]) for found in (self.design, mine))
                raise InputError(
                    f"{self.file} was trained with {name.replace('_', ' ')} {was}, not {now}"
                )


def archive(weights: Weights, design: AnyDesign, task: dict[str, Any], trained: int) -> bytes:
    """The content of a file: weights1, biases1 for the layer next to the inputs, and so on.

    What else `load` returns stands in `state`, as JSON.
    """
    return _archive(weights, {"design": parameters(design), "task": task, "trained": trained})


def beginning(weights: Weights, design: dict[str, Any]) -> bytes:
    """The content of a file to begin a training with; `design` are the parameters that are known.

    What a file does not say, `Saved.check` leaves open.
    """
    return _archive(weights, {"design": design, "task": {}, "trained": 0})


def named(weights: Weights) -> dict[str, np.ndarray]:
    """The arrays by their names in a file."""
    arrays = {}
    for number, (w, b) in enumerate(zip(weights.weights, weights.biases, strict=True), 1):
        arrays |= {f"weights{number}": np.ascontiguousarray(w), f"biases{number}": b}
    return arrays


def _archive(weights: Weights, state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{STATE: np.array(json.dumps(state))}, **named(weights))
    return file.getvalue()


def load(file: Path, design: AnyDesign) -> Saved:
    """Read what `archive` made, or any .npz with weights and biases of those names.

    Raises InputError if it is no such file, or not for the layers of `design`; OSError if it
    cannot be read.
    """
    shapes = {}
    for number, (inputs, outputs) in enumerate(itertools.pairwise(design.layers), 1):
        shapes |= {f"weights{number}": (outputs, inputs), f"biases{number}": (outputs,)}
    arrays = read_arrays(file, 16 * sum(map(math.prod, shapes.values())) + _MOST_STATE)
    told = state(file, arrays.pop(STATE, None))
    for name, shape in shapes.items():
        if name not in arrays:
            raise InputError(f"{file} must hold {name} for {design.topology}, and does not")
        if arrays[name].shape != shape or arrays[name].dtype.kind not in "fiu":
            found = f"{arrays[name].shape} of {arrays[name].dtype}"
            raise InputError(
                f"{file} must hold {name} as {shape} numbers for {design.topology}, not {found}"
            )
    if more := sorted(arrays.keys() - shapes):
        raise InputError(f"{file} must hold weights of {design.topology} alone, not {more[0]}")
    values = [arrays[name].astype(np.float32) for name in shapes]
    return Saved(file, Weights(tuple(values[::2]), tuple(values[1::2])), **told)


def state(file: Path, text: np.ndarray | None) -> dict[str, Any]:
    """What a file says of how its weights came about, from the array of that name, if it has it.

    Raises InputError if it is no such text.
    """
    if text is None:
        return {"design": {}, "task": {}, "trained": 0}
    try:
        found = json.loads(str(text))
        told = {name: found[name] for name in ("design", "task", "trained")}
    except (ValueError, TypeError, KeyError, RecursionError):
        told = {}
    if list(map(type, told.values())) != [dict, dict, int]:
        raise InputError(f"{file} must say in {STATE} how it was trained, and does not")
    return told


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
