"""Schedules of groups of layers, in slots: which sample each group has in hand, and when.

A design of several groups works on several samples at once. Its layers, in order, are divided into
G groups of consecutive layers, 0 to G - 1. A *unit* is what passes through them as one: a sample,
or a batch of samples that one pass treats together. In a *slot* each group makes at most one
forward pass, one backward pass and one update for each pipeline; what it hands on, activations up
and deltas down, the next group uses in the next slot. The last group makes forward and backward
pass of a unit in the same slot.

So a unit that enters in slot e has in group g its forward pass in slot e + g and its backward pass
in slot e + 2 (G - 1) - g: it is under way for L = 2 G - 1 slots, the *length* of the pipeline. What
differs from one schedule to the next is when units enter and when weights are updated:

- sequential: a unit enters every L slots, when the one before it has left. Exact SGD.
- fill-drain: the units of a batch enter in successive slots; the first of the next batch when the
  last of this one has left. Each group updates once, after the batch's last backward pass: exact
  mini-batch SGD.
- delayed: a unit enters in every slot, and each group updates after every backward pass. DAPP's
  single pipeline.
- ping-pong: two pipelines over the same weights. Units come in blocks of L, in turn for the first
  and the second pipeline, and block 2 k and block 2 k + 1 enter side by side. DAPP's two pipelines,
  a pipeline length apart.

In each slot, in each group: first the forward passes, then the backward passes, then the updates,
of the first pipeline before those of the second. So all passes of a slot see the weights that the
slot before left. No copy of older weights is kept: a backward pass uses the weights as they are
then, with the activations that its forward pass made.

DAPP: M. A. Naik and J. Singh, "Optimization of Deep Neural Networks Using DAPP (DNN Acceleration
Using Ping-Pong) Approach", IJRASET 11 (1), 2023.
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

from hw.errors import InputError

KINDS = ("sequential", "fill-drain", "delayed", "ping-pong")

Operation = Literal["forward", "backward", "update"]


class Step(NamedTuple):
    """What one group does in one slot.

    Members
    -------
    slot, group : when and who, from 0.
    operation : "forward", "backward" or "update".
    unit : whose pass it is; the last one that the update takes in.
    pipeline : 0, or 1 for the second one of ping-pong.
    """

    slot: int
    group: int
    operation: Operation
    unit: int
    pipeline: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pipelining:
    """A schedule of groups of layers.

    Parameters
    ----------
    kind : "sequential", "fill-drain", "delayed" or "ping-pong".
    groups : of layers, G.
    batch : units to an update; 1 for delayed and ping-pong, which update after each.

    Members
    -------
    length : slots that a unit is under way, 2 G - 1.
    pipelines : 2 for ping-pong, else 1.

    Raises InputError, naming the constraint and the value.
    """

    kind: str
    groups: int
    batch: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"schedule must be one of {', '.join(KINDS)}, not {self.kind!r}")
        for name in ("groups", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} must be 1 or more, not {value!r}")
        if self.batch > 1 and self.kind in ("delayed", "ping-pong"):
            raise InputError(f"batch must be 1 with schedule {self.kind}, not {self.batch}")

    @property
    def length(self) -> int:
        return 2 * self.groups - 1

    @property
    def pipelines(self) -> int:
        return 2 if self.kind == "ping-pong" else 1

    def pipeline(self, unit: int) -> int:
        """The pipeline through which `unit` goes."""
        return unit // self.length % self.pipelines

    def entry(self, unit: int) -> int:
        """The slot in which `unit` enters."""
        if self.kind == "sequential":
            return unit * self.length
        if self.kind == "fill-drain":
            number, place = divmod(unit, self.batch)
            return number * (self.batch + self.length - 1) + place
        if self.kind == "delayed":
            return unit
        pair, place = divmod(unit, 2 * self.length)
        return pair * self.length + place % self.length

    def entering(self, slot: int) -> tuple[int, ...]:
        """The units that enter in `slot`, that of the first pipeline first."""
        if slot < 0:
            return ()
        if self.kind == "sequential":
            return () if slot % self.length else (slot // self.length,)
        if self.kind == "fill-drain":
            number, place = divmod(slot, self.batch + self.length - 1)
            return (number * self.batch + place,) if place < self.batch else ()
        if self.kind == "delayed":
            return (slot,)
        pair, place = divmod(slot, self.length)
        first = 2 * pair * self.length + place
        return (first, first + self.length)

    def steps(self, units: int) -> Iterator[Step]:
        """All steps of a run of `units` units, in order.

        The last batch is short if `units` is no multiple of `batch`.
        """

        def present(slot: int) -> list[int]:
            return [unit for unit in self.entering(slot) if unit < units]

        for slot in range(self.slots(units)):
            for group in range(self.groups):
                forward = present(slot - group)
                backward = present(slot - self.length + 1 + group)
                update = [unit for unit in backward if self._ends_batch(unit, units)]
                for operation, found in zip(
                    ("forward", "backward", "update"), (forward, backward, update), strict=True
                ):
                    for unit in found:
                        yield Step(slot, group, operation, unit, self.pipeline(unit))

    def slots(self, units: int) -> int:
        """From the entry of the first of `units` units to the last update."""
        if units < 1:
            return 0
        entered = self.entry(units - 1) + 1
        if self.pipelines == 2:
            pairs, rest = divmod(units, 2 * self.length)
            entered = pairs * self.length + min(rest, self.length)
        return entered + self.length - 1

    def late(self, operation: Operation, group: int, pipeline: int = 0) -> int:
        """Updates of `group`'s weights that an operation does not see, in the steady state.

        Counted among those that come before the unit's own update. None would be missing in exact
        SGD. At the beginning of a run, and at the end of one of ping-pong, it is fewer.
        """
        if operation == "update" or self.kind in ("sequential", "fill-drain"):
            return 0
        slots = 2 * (self.groups - 1 - group) if operation == "forward" else 0
        return slots * self.pipelines + pipeline

    def under_way(self, group: int) -> int:
        """Units at most whose activations `group` keeps, for their backward passes."""
        span = 2 * (self.groups - 1 - group) + 1
        if self.kind == "sequential":
            return 1
        if self.kind == "fill-drain":
            return min(span, self.batch)
        return span * self.pipelines

    def _ends_batch(self, unit: int, units: int) -> bool:
        return (unit + 1) % self.batch == 0 or unit == units - 1


def dapp_slots(kind: str, batches: int, modules: int) -> float:
    """DAPP's formula for the slots that `batches` batches take in `modules` modules.

    n m, m + n and m + n / 2 for sequential, delayed and ping-pong. A run takes
    `Pipelining.slots`, which is m + n - 1 and m + n / 2 - 1 with the length for m: DAPP counts the
    slot in which the pipeline has just been filled twice.
    """
    if kind == "sequential":
        return batches * modules
    return modules + batches / {"delayed": 1, "ping-pong": 2}[kind]
