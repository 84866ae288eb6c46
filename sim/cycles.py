"""The cycle model: what happens in which clock, equal to the RTL in every clock.

Clocks are counted from the first clock of a run in which the core is busy.
"""

import dataclasses
from collections.abc import Iterable, Iterator

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
    clocks : clock of its iteration in which each happens; it may lie after the interval.
    behind : iterations between the one in which the sample begins and that one.
    """

    clocks: np.ndarray
    behind: np.ndarray

    def at(self, starts: np.ndarray, iterations: np.ndarray) -> np.ndarray:
        """Clocks of the run, shape (samples, events).

        `starts` are the clocks of the iterations' starts, `iterations` those of the samples.
        """
        return starts[iterations[:, None] + self.behind] + self.clocks


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

    @property
    def clocks_per_iteration(self) -> int:
        """From one sample to the next."""
        return self.program.interval

    def phases(self) -> list[Phase]:
        """The phases of training on a sample, in the order of their starts."""
        return [
            Phase(
                name=op.unit,
                layer=op.layer.number,
                operation=op.operation,
                mapping=op.layer.mapping,
                start=op.start,
                clocks=op.clocks,
            )
            for op in sorted(self.program.operations, key=lambda op: op.start)
        ]

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
        """Clock in which each iteration of a run begins.

        Parameters
        ----------
        samples, batch : of the run.
        complete : clock in which the last word of each sample's vector entered the buffer, counted
            like all others, so that it may be negative; None if all are there in time.
        taken : clock in which the last sample of the run before was taken, if there was one.
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
        """Clock in which each iteration of a run begins whose samples come from SDRAM."""
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
        for index in range(begins[-1]):
            start += self.program.interval
            if index in with_sample:
                began = max(next(complete), before)
                released.append(began + words)
                loaded = began + load
                if loaded > start:
                    start = max(loaded, start + max(1, self.program.tail))
                before = start
            yield start

    def stalls(self, starts: np.ndarray) -> int:
        """Clocks for which a run whose iterations began in `starts` has waited for samples."""
        return int(starts[-1]) - (len(starts) - 1) * self.program.interval if len(starts) else 0

    def run_clocks(self, starts: np.ndarray) -> int:
        """Clocks for which the core is busy with a run whose iterations began in `starts`."""
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

    def deltas(self) -> Events:
        """Each delta leaves the backpropagation unit, from the output layer down."""
        lat = self.schedule.latencies
        output = self._of(FORWARD)[-1]
        found = [(output, output.results + lat.activations[-1] + lat.adder)]
        back = reversed(self._of(BACKPROPAGATION))
        return self._events([*found, *((op, op.results + lat.multiplier) for op in back)])

    def updates(self) -> Events:
        """Each word of the weight banks is written, layer by layer."""
        latency = self.schedule.latencies.sum
        return self._events((op, op.slots.ravel() + latency) for op in self._updates())

    def bias_updates(self) -> Events:
        """Each word of the bias bank is written, layer by layer."""
        latency = 1 + self.schedule.latencies.adder
        return self._events(
            (op, op.slots[0] + latency) for op in self._updates() if op.layer.mapping == "column"
        )

    def instructions(self) -> Events:
        """Each instruction is begun, in the order of the program."""
        return self._events((op, np.array([-op.issued])) for op in self.program.operations)

    def _events(self, parts: Iterable[tuple[Operation, np.ndarray]]) -> Events:
        """Of operations and clocks from their first slots."""
        clocks, behind = [np.empty(0, int)], [np.empty(0, int)]
        for op, times in parts:
            clocks.append(op.at(times) - op.behind * self.program.interval)
            behind.append(np.full(len(times), op.behind))
        return Events(np.concatenate(clocks), np.concatenate(behind))

    def _of(self, unit: str) -> list[Operation]:
        found = [op for op in self.program.operations if op.unit == unit]
        return sorted(found, key=lambda op: op.layer.number)

    def _updates(self) -> list[Operation]:
        return self._of(GRADIENT_DESCENT)
