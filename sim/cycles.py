"""The cycle model: what happens in which clock, equal to the RTL in every clock.

Clocks are counted from the first clock of a run in which the core is busy.
"""

import dataclasses

import numpy as np

from hw.schedule import BACKPROPAGATION, FORWARD, RUN_OVERHEAD, UPDATE, Schedule


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase of an iteration.

    Members
    -------
    name : the unit's, such as "forward".
    layer : number of the layer of weights.
    operation : ACCUMULATE, REDUCE or UPDATE.
    mapping : "row" or "column".
    start : clock of its first issue in the iteration.
    clocks : from the first issue to the last.
    """

    name: str
    layer: int
    operation: str
    mapping: str
    start: int
    clocks: int


class CycleModel:
    """When the machine of a schedule does what, if samples never keep it waiting.

    Parameters
    ----------
    schedule : of the machine.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    @property
    def clocks_per_iteration(self) -> int:
        """From one sample to the next."""
        return self.schedule.clocks_per_iteration

    def phases(self) -> list[Phase]:
        """The phases of an iteration, in the order of their starts."""
        return [
            Phase(
                name=op.unit,
                layer=op.layer.number,
                operation=op.operation,
                mapping=op.layer.mapping,
                start=op.start,
                clocks=op.clocks,
            )
            for op in self.schedule.operations
        ]

    def run_clocks(self, samples: int) -> int:
        """Clocks for which the core is busy with a run."""
        end = self.schedule.overhang + RUN_OVERHEAD
        if not samples:
            return end
        return (samples - 1) * self.clocks_per_iteration + self.schedule.interval + end

    # Clocks of one iteration's events, in the order in which they happen.

    def sums(self) -> np.ndarray:
        """When each weighted sum leaves the array, layer by layer."""
        return np.concatenate([op.at(op.results) for op in self._of(FORWARD)])

    def activations(self) -> np.ndarray:
        """When each activation leaves the forward unit, layer by layer."""
        lat = self.schedule.latencies.activations
        return np.concatenate(
            [op.at(op.results) + lat[op.layer.number - 1] for op in self._of(FORWARD)]
        )

    def deltas(self) -> np.ndarray:
        """When each delta leaves the backpropagation unit, from the output layer down."""
        lat = self.schedule.latencies
        output = self._of(FORWARD)[-1]
        clocks = [output.at(output.results) + lat.activations[-1] + lat.adder]
        clocks += [op.at(op.results) + lat.multiplier for op in self._of(BACKPROPAGATION)]
        return np.concatenate(clocks)

    def updates(self) -> np.ndarray:
        """When each word of the weight banks is written."""
        latency = self.schedule.latencies.sum
        ops = [op for op in self.schedule.operations if op.operation == UPDATE]
        return np.concatenate([op.at(op.slots).ravel() + latency for op in ops])

    def bias_updates(self) -> np.ndarray:
        """When each word of the bias bank is written."""
        latency = 1 + self.schedule.latencies.adder
        ops = [op for op in self.schedule.operations if op.operation == UPDATE]
        clocks = [op.at(op.slots[0]) + latency for op in ops if op.layer.mapping == "column"]
        return np.concatenate(clocks) if clocks else np.empty(0, int)

    def _of(self, unit: str) -> list:
        return [op for op in self.schedule.operations if op.unit == unit]
