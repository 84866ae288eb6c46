"""The schedule of an iteration, and how busy it keeps the array."""

import numpy as np

from gradwire import gantt, paper
from gradwire.report.model import Bar, Clocks
from hw.operation import BACKPROPAGATION, Operation
from hw.schedule import Schedule

# Stretches of an iteration whose busy shares are told, at most.
_STRETCHES = 160
# Machine cycles at which clocks are looked up where a cycle takes several.
_EDGES = 2000


def clocks(schedule: Schedule, command: str) -> Clocks:
    """What `gradwire clocks` says, and the share of PEs that are busy in the course of time."""
    design = schedule.design
    return Clocks(
        per_iteration=schedule.clocks_per_iteration,
        per_sample=schedule.clocks_per_sample,
        inference=schedule.inference_clocks,
        limit=design.limit_clocks,
        multiply_adds=design.useful_multiply_adds,
        busy=schedule.multiply_add_busy,
        bars=tuple(_bars(schedule)),
        shares=tuple(round(float(share), 4) for share in shares(schedule)),
        paper=paper.ITERATION_CLOCKS.get(design.topology),
        command=command,
    )


def _bars(schedule: Schedule) -> list[Bar]:
    until = schedule.training.clocks_until
    return [
        Bar(
            unit=op.unit,
            layer=op.layer.number,
            operation=op.operation,
            mapping=op.layer.mapping,
            start=until(op.start),
            issued=until(op.start + op.clocks),
            end=gantt.end(schedule, op),
            multiply_adds=op.layer.inputs * op.layer.outputs,
        )
        for op in sorted(schedule.operations, key=lambda op: op.start)
    ]


def shares(schedule: Schedule) -> np.ndarray:
    """Share of the PEs that begin a useful multiply-add, in equal stretches of an iteration.

    Samples that overlap with it count. The mean is the busy share of iterations without what
    passes between batches.
    """
    program = schedule.training
    begun = np.zeros(program.interval)
    for op in program.operations:
        np.add.at(begun, op.at(_slots(op)).ravel() % program.interval, _words(op).ravel())
    if schedule.design.unified:
        edges = np.unique(np.linspace(0, program.interval, _EDGES).astype(int))
        ends = np.array([program.clocks_until(edge) for edge in edges.tolist()])
    else:
        edges = ends = np.arange(program.interval + 1)
    done = np.concatenate([[0], np.cumsum(begun)])[edges]
    total = program.clocks
    stretches = np.linspace(0, total, min(_STRETCHES, total) + 1)
    capacity = schedule.design.processing_elements * np.diff(stretches)
    return np.diff(np.interp(stretches, ends, done)) / capacity


def _slots(op: Operation) -> np.ndarray:
    """Slots of weights: a row-mapped layer's folds begin with a bias, which passes back skip."""
    biased = op.layer.mapping == "row" and op.unit != BACKPROPAGATION
    return op.slots[:, 1:] if biased else op.slots


def _words(op: Operation) -> np.ndarray:
    """Weights that are used in each slot."""
    slots = _slots(op)
    words = np.full(slots.shape, op.layer.processing_elements)
    words[-1] = op.layer.last_active
    return words
