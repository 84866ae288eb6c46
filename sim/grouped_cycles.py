"""The cycle model of a machine of groups: when each group's iterations begin.

Within a group everything goes by its program (sim.cycles). What is added is what an iteration waits
for: a sample's activations from the group below, its deltas from the group above, and room there.
"""

from collections.abc import Iterator

import numpy as np

from hw.pipeline import HANDOVER, GroupedSchedule
from sim.cycles import CycleModel

# From the clock in which an element leaves a group to the first in which the other can begin.
_ARRIVAL = HANDOVER + 1
# From the start of a sample in the group above to the first clock in which there is room for one.
_ROOM = 1
# Samples from whose clocks the steady state is read: whole groups of so many.
_PERIOD = 32


class GroupedCycleModel:
    """When a machine of groups does what.

    Parameters
    ----------
    schedule : of the machine.
    infer : in runs of forward passes alone.

    Members
    -------
    groups : cycle model of each group.
    """

    def __init__(self, schedule: GroupedSchedule, *, infer: bool = False) -> None:
        self.schedule = schedule
        self.infer = infer
        self.groups = [CycleModel(group, infer=infer) for group in schedule.groups]

    def starts(
        self,
        samples: int,
        batch: int = 1,
        *,
        complete: np.ndarray | None = None,
        taken: int | None = None,
    ) -> list[np.ndarray]:
        """Clock in which each iteration of a run begins, for each group; see CycleModel.starts."""
        if not samples:
            return [np.zeros(0, int) for _ in self.groups]
        run = _Run(self, samples, batch, complete, taken)
        return [np.array(starts) for starts in run.starts()]

    def run_clocks(self, starts: list[np.ndarray], batch: int = 1) -> int:
        """Clocks for which a machine is busy whose groups' iterations began in `starts`."""
        return max(
            model.run_clocks(begun, batch) for model, begun in zip(self.groups, starts, strict=True)
        )

    def clocks_per_sample(self, batch: int = 1) -> float:
        """In the steady state, while the buffer has samples; measured over many."""
        size = _PERIOD * batch
        first = self.groups[0].iterations(3 * size + 1, batch)
        starts = self.starts(3 * size + 1, batch)[0][first]
        return float(starts[3 * size] - starts[2 * size]) / size


class _Run:
    """The starts of a run's iterations, each as soon as those are known that it depends on."""

    def __init__(
        self,
        model: GroupedCycleModel,
        samples: int,
        batch: int,
        complete: np.ndarray | None,
        taken: int | None,
    ) -> None:
        self.models = model.groups
        self.schedules = model.schedule.groups
        self.training = not model.infer
        self.complete = complete
        self.taken = taken
        #: Of each group: iteration with which each sample begins; sample of each iteration.
        self.begins = [each.iterations(samples, batch).tolist() for each in self.models]
        self.samples = [{index: n for n, index in enumerate(begins)} for begins in self.begins]
        self.begun: list[list[int]] = [[] for _ in self.models]
        self.outputs = [self._last(each.activations()) for each in self.models]
        self.deltas = [self._last(each.deltas()) for each in self.models]

    @staticmethod
    def _last(events: object) -> tuple[int, int]:
        """Clock in its iteration, and iterations behind the sample's, of the last event."""
        if not len(events.cycles):
            return 0, 0
        return int(events.cycles[-1]), int(events.behind[-1])

    def starts(self) -> list[list[int]]:
        """All of them."""
        lengths = [
            begins[-1] + 1 + model.program.behind
            for begins, model in zip(self.begins, self.models, strict=True)
        ]
        while any(len(begun) < count for begun, count in zip(self.begun, lengths, strict=True)):
            progress = False
            for group, count in enumerate(lengths):
                while len(self.begun[group]) < count and self._begin(group):
                    progress = True
            assert progress, "the groups wait for each other"
        return self.begun

    def _begin(self, group: int) -> bool:
        """The next iteration of `group` begins, if it is known when."""
        begun, program = self.begun[group], self.models[group].program
        due = begun[-1] + program.interval if begun else 0
        conditions = list(self._conditions(group, len(begun)))
        if None in conditions:
            return False
        latest = max(conditions, default=due)
        if latest > due:
            due = max(latest, due + max(1, program.tail))
        begun.append(due)
        return True

    def _conditions(self, group: int, index: int) -> Iterator[int | None]:
        """First clocks in which iteration `index` may begin; None for one that is not known."""
        design = self.schedules[group].design
        sample = self.samples[group].get(index)
        if sample is not None:
            if design.first:
                yield from self._loaded(group, sample)
            else:
                yield self._after(group - 1, sample, self.outputs[group - 1], _ARRIVAL)
            if not design.last:
                limit = self.schedules[group + 1].ahead
                if sample >= limit:
                    yield self._after(group + 1, sample - limit, (0, 0), _ROOM)
        if self.training and not design.last:
            leaving = self.samples[group].get(index - design.lag)
            if leaving is not None:
                yield self._after(group + 1, leaving, self.deltas[group + 1], _ARRIVAL)

    def _after(self, group: int, sample: int, event: tuple[int, int], clocks: int) -> int | None:
        """`clocks` after an event of `sample` in another group."""
        cycle, behind = event
        index = self.begins[group][sample] + behind
        begun = self.begun[group]
        return begun[index] + cycle + clocks if index < len(begun) else None

    def _loaded(self, group: int, sample: int) -> Iterator[int]:
        """When the sample is loaded, if it came late."""
        if self.complete is None:
            return
        before = self.taken
        if sample:
            before = self.begun[group][self.begins[group][sample - 1]]
        came = int(self.complete[sample])
        yield (came if before is None else max(came, before)) + self.schedules[group].load_clocks
