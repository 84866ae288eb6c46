"""The cycle model: what happens in which clock, equal to the RTL in every clock.

Clocks are counted from the first clock of a run in which the core is busy. The machine's program
counts machine cycles (hw.operation), each of a clock, or of several where one memory holds all
weights: `Timeline` says in which clocks they lie.
"""

import dataclasses
from collections.abc import Container, Iterable, Iterator

import numpy as np

from hw.operation import BACKPROPAGATION, FORWARD, GRADIENT_DESCENT, Operation
from hw.program import Program
from hw.schedule import RUN_OVERHEAD, Schedule
from sim.supply import Epochs, SupplyModel


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase of training on a sample.

    Members
    -------
    name : the unit's, such as "forward".
    layer : number of the layer of weights.
    operation : ACCUMULATE, REDUCE or UPDATE.
    mapping : "row" or "column".
    start : clock of its first issue, from the start of the sample.
    clocks : from the first issue to the last.
    """

    name: str
    layer: int
    operation: str
    mapping: str
    start: int
    clocks: int


@dataclasses.dataclass(frozen=True)
class Events:
    """Events that happen once for each sample, in some order.

    Members
    -------
    cycles : machine cycle of its iteration in which each happens; it may lie after the interval.
    behind : iterations between the one in which the sample begins and that one.
    """

    cycles: np.ndarray
    behind: np.ndarray

    def at(self, starts: np.ndarray, iterations: np.ndarray) -> np.ndarray:
        """Machine cycles of the run, shape (samples, events).

        `starts` are the cycles of the iterations' starts, `iterations` those of the samples.
        """
        return starts[iterations[:, None] + self.behind] + self.cycles


class Timeline:
    """In which clocks the machine cycles of a run lie.

    A cycle takes a clock, if nothing holds it up. Before the run, cycles and clocks are the same.
    """

    def __init__(self) -> None:
        self._clocks = np.ones(0, int)
        self._ends = np.zeros(0, int)  # last clock of each cycle, as far as it is known
        self._known = 0

    @property
    def _held(self) -> bool:
        """Whether anything is: otherwise a long run needs no word for each of its clocks."""
        return len(self._clocks) > 0

    def hold(self, cycles: np.ndarray, clocks: np.ndarray) -> None:
        """Each of `cycles` takes so many clocks, if nothing else makes it take more."""
        if len(cycles):
            self._reserve(int(cycles.max()) + 1)
            np.maximum.at(self._clocks, cycles, clocks)
            self._known = min(self._known, int(cycles.min()))

    def ends(self, cycles: np.ndarray) -> np.ndarray:
        """Last clock of each of `cycles`, the one in which what happens in it is seen outside."""
        if not len(cycles) or not self._held:
            return cycles
        self._know(max(1, int(cycles.max()) + 1))
        return np.where(cycles < 0, cycles, self._ends[np.maximum(cycles, 0)])

    def end(self, cycle: int) -> int:
        """Last clock of a cycle."""
        return int(self.ends(np.array([cycle]))[0])

    def begin(self, cycle: int) -> int:
        """First clock of a cycle."""
        return self.end(cycle - 1) + 1

    def cycle(self, clock: int) -> int:
        """The last cycle that has ended with `clock`."""
        if clock < 0 or not self._held:
            return clock
        while not self._known or self._ends[self._known - 1] < clock:
            self._know(2 * self._known + 1000)
        return int(np.searchsorted(self._ends[: self._known], clock, side="right")) - 1

    def _know(self, cycles: int) -> None:
        if cycles > self._known:
            self._reserve(cycles)
            first = self._known
            before = self._ends[first - 1] if first else -1
            self._ends[first:cycles] = before + np.cumsum(self._clocks[first:cycles])
            self._known = cycles

    def _reserve(self, cycles: int) -> None:
        more = cycles - len(self._clocks)
        if more > 0:
            more = max(more, len(self._clocks))
            self._clocks = np.concatenate([self._clocks, np.ones(more, int)])
            self._ends = np.concatenate([self._ends, np.zeros(more, int)])


class CycleModel:
    """When the machine of a schedule does what.

    Parameters
    ----------
    schedule : of the machine.
    infer : in runs of forward passes alone.
    """

    def __init__(self, schedule: Schedule, *, infer: bool = False) -> None:
        self.schedule = schedule
        self.infer = infer
        self.program: Program = schedule.inference if infer else schedule.training
        self._waits = [op for op in self.program.operations if len(op.waits[0])]

    @property
    def clocks_per_iteration(self) -> int:
        """From one sample to the next."""
        return self.program.clocks

    def phases(self) -> list[Phase]:
        """The phases of training on a sample, in the order of their starts."""
        return [self._phase(op) for op in sorted(self.program.operations, key=lambda op: op.start)]

    def _phase(self, op: Operation) -> Phase:
        start = self.program.clocks_until(op.start)
        return Phase(
            name=op.unit,
            layer=op.layer.number,
            operation=op.operation,
            mapping=op.layer.mapping,
            start=start,
            clocks=self.program.clocks_until(op.start + op.clocks) - start,
        )

    # A run: a list of iterations, most of which begin with a sample.

    def iterations(self, samples: int, batch: int = 1) -> np.ndarray:
        """Number of the iteration with which each sample of a run begins."""
        drain = 0 if self.infer else self.program.drain
        sample = np.arange(samples)
        return sample + sample // batch * drain

    def starts(
        self,
        samples: int,
        batch: int = 1,
        *,
        complete: np.ndarray | None = None,
        taken: int | None = None,
    ) -> np.ndarray:
        """Machine cycle in which each iteration of a run begins.

        Parameters
        ----------
        samples, batch : of the run.
        complete : clock in which the last word of each sample's vector entered the buffer, counted
            like all others, so that it may be negative; None if all are there in time.
        taken : machine cycle in which the last sample of the run before was taken, if there was
            one; negative.
        """
        if not samples:
            return np.zeros(0, int)
        begins = self._begins(samples, batch)
        if complete is None:
            return np.arange(begins[-1]) * self.program.interval
        return np.array(list(self._waiting(iter(complete.tolist()), begins, taken, [])))

    def supplied_starts(
        self, samples: int, batch: int = 1, *, supply: SupplyModel, epochs: Epochs
    ) -> np.ndarray:
        """Machine cycle in which each iteration of a run begins whose samples come from SDRAM."""
        if not samples:
            return np.zeros(0, int)
        released: list[int] = []
        arrivals = self._arrivals(supply, epochs, samples, released)
        return np.array(list(self._waiting(arrivals, self._begins(samples, batch), None, released)))

    def _arrivals(
        self, supply: SupplyModel, epochs: Epochs, samples: int, released: list[int]
    ) -> Iterator[int]:
        """Clocks in which samples have come; `released` grows from one to the next."""
        places: list[int] = []
        origin = None
        for entered in supply.arrivals(epochs, samples, places):
            if origin is None:
                # The core starts when the first sample is loaded.
                origin = entered + self.schedule.load_clocks + 1
            yield entered - origin
            places.append(released[-1] + origin)

    def _begins(self, samples: int, batch: int) -> list[int]:
        """Numbers of the iterations that begin with a sample; how many iterations there are."""
        iterations = self.iterations(samples, batch).tolist()
        return [*iterations, iterations[-1] + 1 + self.program.behind]

    def _waiting(
        self, complete: Iterator[int], begins: list[int], taken: int | None, released: list[int]
    ) -> Iterable[int]:
        """Starts of iterations; `released` gets the clocks in which places become free."""
        load, words = self.schedule.load_clocks, self.schedule.design.sample_words
        with_sample = set(begins)
        start = -self.program.interval
        before = -(1 << 62) if taken is None else taken
        timeline = Timeline()
        for index in range(begins[-1]):
            start += self.program.interval
            if index in with_sample:
                began = max(timeline.cycle(next(complete)), before)
                released.append(timeline.end(began + words))
                loaded = began + load
                if loaded > start:
                    start = max(loaded, start + max(1, self.program.tail))
                before = start
            self._hold(timeline, index, start, with_sample)
            yield start

    def timeline(self, starts: np.ndarray, batch: int = 1) -> Timeline:
        """The clocks of a run whose iterations began in the machine cycles `starts`."""
        iterations = self.iterations(len(starts), batch).tolist()
        with_sample = {index for index in iterations if index < len(starts) - self.program.behind}
        found = Timeline()
        for index, start in enumerate(starts.tolist()):
            self._hold(found, index, start, with_sample)
        return found

    def _hold(
        self, timeline: Timeline, index: int, start: int, with_sample: Container[int]
    ) -> None:
        """What holds the machine up in iteration `index`, which begins in the cycle `start`."""
        for op in self._waits:
            if index - op.behind in with_sample:
                cycles, clocks = op.waits
                timeline.hold(op.at(cycles) + (start - op.behind * self.program.interval), clocks)

    def stalls(self, starts: np.ndarray, batch: int = 1) -> int:
        """Clocks for which a run whose iterations began in `starts` has waited for samples."""
        timeline, due, found = self.timeline(starts, batch), 0, 0
        for start in starts.tolist():
            if start > due:
                found += timeline.begin(start) - timeline.begin(due)
            due = start + self.program.interval
        return found

    def run_clocks(self, starts: np.ndarray, batch: int = 1) -> int:
        """Clocks for which the core is busy with a run whose iterations began in `starts`."""
        return self.timeline(starts, batch).begin(self.run_cycles(starts))

    def run_cycles(self, starts: np.ndarray) -> int:
        """Machine cycles of such a run."""
        end = self.schedule.overhang + RUN_OVERHEAD
        return int(starts[-1]) + self.program.interval + end if len(starts) else end

    # What happens for each sample.

    def sums(self) -> Events:
        """Each weighted sum leaves the array, layer by layer."""
        return self._events((op, op.results) for op in self._of(FORWARD))

    def activations(self) -> Events:
        """Each activation leaves the forward unit, layer by layer."""
        lat = self.schedule.latencies.activations
        return self._events((op, op.results + lat[op.layer.number - 1]) for op in self._of(FORWARD))

    def predictions(self) -> Events:
        """Each activation of the output layer leaves the core."""
        op, latency = self._of(FORWARD)[-1], self.schedule.latencies.activations[-1]
        return self._events([(op, op.results + latency)])

    def deltas(self) -> Events:
        """Each delta leaves the backpropagation unit, from the output layer down."""
        lat = self.schedule.latencies
        found = []
        if self.schedule.design.last:
            output = self._of(FORWARD)[-1]
            found.append((output, output.results + lat.activations[-1] + lat.adder))
        back = reversed(self._of(BACKPROPAGATION))
        return self._events([*found, *((op, op.results + lat.multiplier) for op in back)])

    def losses(self) -> Events:
        """The loss is out, if the design has one."""
        output = self._of(FORWARD)[-1]
        lat = self.schedule.latencies
        last = int(output.results.max()) + lat.activations[-1] + lat.adder
        return self._events([(output, np.array([last + self.schedule.loss_latency]))])

    def updates(self) -> Events:
        """Each word of the weight banks is written, layer by layer."""
        latency = self.schedule.latencies.broadcast + self.schedule.latencies.sum
        return self._events((op, op.slots.ravel() + latency) for op in self._updates())

    def bias_updates(self) -> Events:
        """Each word of the bias bank is written, layer by layer."""
        latency = self.schedule.latencies.broadcast + 1 + self.schedule.latencies.adder
        return self._events(
            (op, op.slots[0] + latency) for op in self._updates() if op.layer.mapping == "column"
        )

    def instructions(self) -> Events:
        """Each instruction is begun, in the order of the program."""
        return self._events((op, np.array([-op.issued])) for op in self.program.operations)

    def _events(self, parts: Iterable[tuple[Operation, np.ndarray]]) -> Events:
        """Of operations and machine cycles from their first slots."""
        cycles, behind = [np.empty(0, int)], [np.empty(0, int)]
        for op, times in parts:
            cycles.append(op.at(times) - op.behind * self.program.interval)
            behind.append(np.full(len(times), op.behind))
        return Events(np.concatenate(cycles), np.concatenate(behind))

    def _of(self, unit: str) -> list[Operation]:
        found = [op for op in self.program.operations if op.unit == unit]
        return sorted(found, key=lambda op: op.layer.number)

    def _updates(self) -> list[Operation]:
        return self._of(GRADIENT_DESCENT)
