"""The golden model of several arrays: each group of layers with the weights that its turn finds.

hw.pipelining says which pass is in which slot; here all of them are made in that order, in float32,
each group's as sim.golden makes those of one array.
"""

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterator

from hw.errors import InputError
from hw.groups import GroupedDesign
from sim.golden import Array, Golden, LearningRate, Sample, Weights


class GroupedGolden:
    """Trains as the machine of groups does, bit for bit.

    Parameters
    ----------
    design : of the machine.
    weights : of the whole network, to start from; they are copied.
    learning : learning rate. That of a sample is the one at the start of its batch, as many samples
        on as have entered before it. With fill-drain it is that of a whole batch, as in
        sim.golden.Golden; else of one sample.
    batch : samples of each batch with fill-drain, 1 to the design's largest. With ping-pong the
        pair that enters in one slot is a batch, otherwise each sample, whatever is given.

    Members
    -------
    groups : a Golden of each, with its weights as they are now.

    Raises InputError for a batch that the design cannot take.
    """

    def __init__(
        self, design: GroupedDesign, weights: Weights, learning: LearningRate, batch: int = 1
    ) -> None:
        if not 1 <= batch <= design.batch:
            raise InputError(f"batch must be 1 to {design.batch}, not {batch}")
        self.design = design
        self._pipelining = design.pipelining(batch)
        self._pairs = design.schedule == "ping-pong"
        if self._pairs:
            # Golden gives each sample of a batch its part of the rate.
            batch = 2
            learning = dataclasses.replace(
                learning, rate=2 * learning.rate, floor=2 * learning.floor
            )
        self.groups = tuple(
            Golden(group, part, learning, batch)
            for group, part in zip(design.designs, split_weights(design, weights), strict=True)
        )

    @property
    def weights(self) -> Weights:
        """Of the whole network, as forward passes use them now; not a copy."""
        return join_weights([group.weights for group in self.groups])

    def train(
        self, inputs: Array, labels: Array, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[int, int, Sample, Weights]]:
        """A run, from empty groups to empty groups.

        `inputs` and `labels` have a row for each sample, in the order in which samples enter; with
        ping-pong that of the first pipeline is the first of each pair. After each change of a
        group's weights this yields the group, the sample's number, what it made the group compute,
        and `Golden.made` of the group, which the next change overwrites. They come in the order of
        slots; of each group, in the order of samples.

        When `stop` says so, no sample enters any more, but for those of a batch that has begun.
        """
        count, top = len(inputs), len(self.groups) - 1
        handed = [deque() for _ in self.groups]  # activations, to each group
        kept = [deque() for _ in self.groups]  # of each group's forward passes
        returned = [deque() for _ in self.groups]  # deltas, to each group
        slot = begun = 0
        batch = self.groups[0].batch
        while slot < self._slots(count):
            if stop():
                count = min(count, -(-begun // batch) * batch)
            begun += len(self._entering(slot, count))
            for number, group in enumerate(self.groups):
                for sample in self._entering(slot - number, count):
                    entered = handed[number].popleft() if number else group.entered(inputs[sample])
                    made = group.forward_pass(entered)
                    kept[number].append(made)
                    outputs = made[1][-1]
                    if number < top:
                        handed[number + 1].append(outputs)
                    else:
                        returned[number].append(group.error(outputs, labels[sample]))
                leaving = self._entering(slot - 2 * top + number, count)
                passed = []
                for sample in leaving:
                    sums, activations = kept[number].popleft()
                    deltas = group.backward_pass(activations, returned[number].popleft())
                    if number:
                        returned[number - 1].append(deltas[0])
                    passed.append((sample, sums, activations, deltas))
                for sample, sums, activations, deltas in passed:
                    group.descend(activations, deltas, last=sample == count - 1)
                    if number < top:
                        del deltas[len(activations) - 1]  # is not its own
                    yield number, sample, Sample.of(sums, activations, deltas), group.made
            slot += 1

    def forward(self, inputs: Array, labels: Array) -> tuple[Sample, ...]:
        """What one sample makes each group compute in a run that only infers.

        Of the deltas there are just the outputs', in the last group.
        """
        found = []
        values = self.groups[0].entered(inputs)
        for group in self.groups:
            sums, activations = group.forward_pass(values)
            values = activations[-1]
            deltas = {0: group.error(values, labels)} if group.design.last else {}
            found.append(Sample.of(sums, activations, deltas))
        return tuple(found)

    def infer(self, inputs: Array) -> Array:
        """Outputs for one sample; shape (outputs,)."""
        values = self.groups[0].entered(inputs)
        for group in self.groups:
            values = group.forward_pass(values)[1][-1]
        return values

    def _slots(self, samples: int) -> int:
        """Of a run."""
        if self._pairs and samples:
            return (samples + 1) // 2 + self._pipelining.length - 1
        return self._pipelining.slots(samples)

    def _entering(self, slot: int, samples: int) -> list[int]:
        """Samples of a run of so many that enter in `slot`.

        Those of ping-pong's pairs are numbered one after the other here, not by pipelines.
        """
        found = (2 * slot, 2 * slot + 1) if self._pairs else self._pipelining.entering(slot)
        return [sample for sample in found if 0 <= sample < samples]


def split_weights(design: GroupedDesign, weights: Weights) -> tuple[Weights, ...]:
    """Those of each group; not copies."""
    counts = [len(group.mapping) for group in design.designs]
    ends = list(itertools.accumulate(counts))
    return tuple(
        Weights(weights.weights[end - count : end], weights.biases[end - count : end])
        for count, end in zip(counts, ends, strict=True)
    )


def join_weights(parts: list[Weights]) -> Weights:
    """Those of the whole network, of the groups'; not copies."""
    return Weights(
        tuple(itertools.chain.from_iterable(part.weights for part in parts)),
        tuple(itertools.chain.from_iterable(part.biases for part in parts)),
    )
