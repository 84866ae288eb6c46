"""What the bench wrote down, and what the models say it should have been."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hw.design import Design
from hw.schedule import UPDATE, Schedule
from sim.cycles import CycleModel
from sim.golden import Golden, Sample, Weights


def flatten(weights: Weights) -> np.ndarray:
    """All weights, layer by layer, then all biases: one float32 vector."""
    return np.concatenate([array.ravel() for array in (*weights.weights, *weights.biases)])


def names(design: Design) -> list[tuple[int, str]]:
    """Layer and index of each element of `flatten`'s vector, for people."""
    found = []
    for layer in design.weight_layers:
        found += [
            (layer.number, f"weight[{n}][{k}]")
            for n in range(layer.outputs)
            for k in range(layer.inputs)
        ]
    for layer in design.weight_layers:
        found += [(layer.number, f"bias[{n}]") for n in range(layer.outputs)]
    return found


def addresses(design: Design) -> list[tuple[int, int]]:
    """Bank and word of each element of `flatten`'s vector."""
    layers = design.weight_layers
    found = [
        layer.weight_address(n, k)
        for layer in layers
        for n in range(layer.outputs)
        for k in range(layer.inputs)
    ]
    return found + [layer.bias_address(n) for layer in layers for n in range(layer.outputs)]


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A value or a clock that differs.

    Members
    -------
    sample : number of the sample, from 0.
    layer : number of the layer; 0 are the inputs.
    index : what it is, such as "weight[2][0]".
    expected, found : the values, FP32 in hex or clocks.
    """

    sample: int
    layer: int
    index: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"sample {self.sample}, layer {self.layer}, {self.index}: "
            f"expected {self.expected}, found {self.found}"
        )


class Expected:
    """What the models say of a sequence of runs, as arrays to be compared with the bench's files.

    Parameters
    ----------
    schedule : of the machine.
    runs : samples of each run.
    """

    def __init__(self, schedule: Schedule, runs: Sequence[int]) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.cycles = CycleModel(schedule)
        self.runs = runs
        sizes = self.design.layers[1:]
        self.neurons = [(layer, n) for layer, size in enumerate(sizes, 1) for n in range(size)]
        bottom = 0 if self.design.input_deltas else 1
        self.delta_neurons = [
            (layer, n)
            for layer in range(len(sizes), bottom - 1, -1)
            for n in range(self.design.layers[layer])
        ]
        #: Clocks in which the samples began, where they came with gaps; otherwise as predicted.
        self.began: np.ndarray | None = None
        self.sums: list[np.ndarray] = []
        self.activations: list[np.ndarray] = []
        self.deltas: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []

    def add(self, sample: Sample, weights: Weights | None) -> None:
        """What the golden model computed for the next sample, and its weights after it."""
        self.sums.append(np.concatenate(sample.sums))
        self.activations.append(np.concatenate(sample.activations))
        self.deltas.append(np.concatenate(sample.deltas[::-1]))
        if weights is not None:
            self.weights.append(flatten(weights))

    def starts(self) -> np.ndarray:
        """First clock of each sample in its run."""
        if self.began is not None:
            return self.began
        every = self.cycles.clocks_per_iteration
        return np.concatenate([np.arange(count) * every for count in self.runs])

    def clocks(self, of_one: np.ndarray) -> np.ndarray:
        """Clocks of events that happen in every sample; shape (samples, events)."""
        return self.starts()[:, None] + of_one

    def addresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Word of each write of the weight banks, and of the bias bank, in a sample."""
        layers = [op.layer for op in self.schedule.operations if op.operation == UPDATE]
        words = [layer.base + np.arange(layer.words) for layer in layers]
        columns = [layer for layer in layers if layer.mapping == "column"]
        biases = [layer.bias_base + np.arange(layer.outputs) for layer in columns]
        return np.concatenate(words), np.concatenate([np.empty(0, int), *biases])

    def written(self) -> np.ndarray:
        """Which element of `flatten`'s vector each PE writes; shape (writes of a sample, PEs).

        -1 where a PE writes what belongs to no neuron and no input.
        """
        banks = np.full((self.design.processing_elements + 1, self.design.bank_words), -1)
        for element, (bank, word) in enumerate(addresses(self.design)):
            if bank < self.design.processing_elements:
                banks[bank, word] = element
        sweeps = [
            banks[:-1, op.layer.base : op.layer.base + op.layer.words].T
            for op in self.schedule.operations
            if op.operation == UPDATE
        ]
        return np.concatenate(sweeps)

    def written_biases(self) -> np.ndarray:
        """Which element of `flatten`'s vector each write of the bias bank changes."""
        first = sum(layer.inputs * layer.outputs for layer in self.design.weight_layers)
        found = []
        offsets = np.cumsum([0, *self.design.layers[1:]])
        for op in self.schedule.operations:
            if op.operation == UPDATE and op.layer.mapping == "column":
                found.append(first + offsets[op.layer.number - 1] + np.arange(op.layer.outputs))
        return np.concatenate(found) if found else np.empty(0, int)


class Checker:
    """Compares the bench's files with what was expected.

    Parameters
    ----------
    expected : by the models.
    folder : with the bench's files.
    """

    def __init__(self, expected: Expected, folder: Path) -> None:
        self.expected = expected
        self.folder = folder
        self.mismatches = 0
        self.first: Mismatch | None = None

    def check(self, final: Weights, *, gaps: bool = False) -> None:
        """Compare everything; the findings are in `mismatches` and `first`.

        With `gaps` the samples came irregularly: clocks are compared within each sample only.
        """
        e = self.expected
        if gaps:
            e.began = self.starts()[: sum(e.runs)]
        self._stream("sums.log", e.sums, e.neurons, "sum", e.cycles.sums())
        self._stream(
            "activations.log", e.activations, e.neurons, "activation", e.cycles.activations()
        )
        self._stream("deltas.log", e.deltas, e.delta_neurons, "delta", e.cycles.deltas())
        if e.weights:
            self._weights()
        self._phases()
        if not gaps:
            self._run_clocks()
        self._final(final)

    def outputs(self) -> np.ndarray:
        """Activations of the output layer, as the RTL computed them; shape (samples, outputs)."""
        words = self._words("activations.log", 2)
        count = len(self.expected.neurons)
        values = words[: len(words) // count * count, 1].view(np.float32).reshape(-1, count)
        return values[:, -self.expected.design.layers[-1] :]

    def starts(self) -> np.ndarray:
        """Clock of its run in which each sample began."""
        every = len(self.expected.cycles.phases())
        return self._words("phases.log", 2)[::every, 0].astype(np.int64)

    def run_clocks(self) -> list[int]:
        """Clocks that each run took."""
        return [int(low) | int(high) << 32 for low, high in self._words("runs.log", 2)]

    def _read(self, name: str) -> np.ndarray:
        return np.fromfile(self.folder / name, "<u4")

    def _words(self, name: str, width: int) -> np.ndarray:
        words = self._read(name)
        return words[: len(words) // width * width].reshape(-1, width)

    def _stream(
        self,
        name: str,
        values: list[np.ndarray],
        neurons: list[tuple[int, int]],
        kind: str,
        clocks: np.ndarray,
    ) -> None:
        found = self._words(name, 2)
        labels = [(layer, f"{kind}[{n}]") for layer, n in neurons]
        self._compare_values(np.array(values), found[:, 1], labels)
        self._compare_clocks(self.expected.clocks(clocks), found[:, 0], labels)

    def _weights(self) -> None:
        e = self.expected
        labels = names(e.design)
        after = np.array(e.weights)
        words, bias_words = e.addresses()
        pes = e.design.processing_elements
        for file, written, width, address, clocks in (
            ("weights.log", e.written(), pes, words, e.cycles.updates()),
            ("biases.log", e.written_biases()[:, None], 1, bias_words, e.cycles.bias_updates()),
        ):
            found = self._words(file, 2 + width)
            there = written >= 0
            if written.size:
                # Of a sample that broke off, no weight is compared: they count as missing.
                whole = len(found) // len(written) * len(written)
                values = found[:whole, 2:].reshape(-1, *written.shape)[:, there]
                kinds = [labels[element] for element in written[there]]
                self._compare_values(after[:, written[there]], values.ravel(), kinds)
            kinds = [(0, f"write {k}") for k in range(len(written))]
            self._compare_clocks(e.clocks(clocks), found[:, 0], kinds)
            addresses = np.tile(address, (len(e.starts()), 1))
            self._compare(addresses, found[:, 1], kinds, "address {}".format)

    def _phases(self) -> None:
        e = self.expected
        found = self._words("phases.log", 2)
        phases = e.cycles.phases()
        labels = [(phase.layer, f"start of {phase.name}") for phase in phases]
        starts = np.array([phase.start for phase in phases])
        self._compare_clocks(e.clocks(starts), found[:, 0], labels)
        order = np.tile(np.arange(len(phases)), (len(e.starts()), 1))
        labels = [(phase.layer, f"instruction of {phase.name}") for phase in phases]
        self._compare_clocks(order, found[:, 1], labels)

    def _run_clocks(self) -> None:
        expected = [self.expected.cycles.run_clocks(count) for count in self.expected.runs]
        labels = [(0, f"clocks of run {index}") for index in range(len(expected))]
        self._compare_clocks(np.array([expected]), np.array(self.run_clocks()), labels)

    def _final(self, final: Weights) -> None:
        e = self.expected
        expected = flatten(final)[None]
        before, self.first = self.first, None
        self._compare_values(expected, self._read("final.log"), names(e.design))
        if self.first:
            self.first = dataclasses.replace(self.first, sample=len(e.starts()) - 1)
        self.first = before or self.first

    # Comparisons: `expected` has a row a sample, `found` is flat and may be short.

    def _compare_values(
        self, expected: np.ndarray, found: np.ndarray, labels: Sequence[tuple[int, str]]
    ) -> None:
        bits = np.ascontiguousarray(expected, np.float32).view(np.uint32)
        # The RTL's NaN is the canonical one; numpy's depends on the processor.
        bits = np.where(np.isnan(expected), np.uint32(0x7FC00000), bits)
        self._compare(bits, found, labels, "{:08x}".format)

    def _compare_clocks(
        self, expected: np.ndarray, found: np.ndarray, labels: Sequence[tuple[int, str]]
    ) -> None:
        self._compare(expected, found, labels, "clock {}".format)

    def _compare(
        self,
        expected: np.ndarray,
        found: np.ndarray,
        labels: Sequence[tuple[int, str]],
        show: object,
    ) -> None:
        due = expected.ravel()
        count = min(len(due), len(found))
        differ = np.flatnonzero(due[:count] != found[:count])
        missing = abs(len(due) - len(found))
        self.mismatches += len(differ) + missing
        places: Iterable[tuple[int, str, str]] = []
        if len(differ):
            at = int(differ[0])
            places = [(at, show(due[at]), show(found[at]))]
        elif missing:
            at = min(count, len(due) - 1)
            places = [(at, f"{len(due)} results", f"{len(found)} results")]
        for at, want, have in places:
            sample, label = divmod(at, len(labels))
            mismatch = Mismatch(sample, *labels[label], want, have)
            if self.first is None or sample < self.first.sample:
                self.first = mismatch


def expect(
    golden: Golden,
    expected: Expected,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    every_weight: bool,
) -> Iterable[int]:
    """Let the golden model train on all samples; yields after each."""
    for index, (x, y) in enumerate(zip(inputs, labels, strict=True)):
        sample = golden.train(x, y)
        expected.add(sample, golden.weights if every_weight else None)
        yield index
