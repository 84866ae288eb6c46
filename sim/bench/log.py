"""What the bench wrote down, and what the models say it should have been."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hw.design import Design, Layer
from hw.schedule import Schedule
from hw.shape import below
from sim import cycles
from sim.bench.checksum import NAN, Checksums
from sim.cycles import CycleModel
from sim.golden import Golden, LearningRate, Sample, Weights, loss
from sim.supply import Epochs, SupplyModel


@dataclasses.dataclass(frozen=True)
class Run:
    """Samples that the core takes one after the other.

    Members
    -------
    inputs, labels : float32, one row a sample.
    learning : learning rate of a batch.
    batch : samples of a batch.
    infer : forward passes alone.
    epochs : of which records in SDRAM these are the samples, in the order in which they come; None
        for those that come through the core's stream.
    """

    inputs: np.ndarray
    labels: np.ndarray
    learning: LearningRate
    batch: int = 1
    infer: bool = False
    epochs: Epochs | None = None


def flatten(weights: Weights) -> np.ndarray:
    """All weights, layer by layer, then all biases: one float32 vector."""
    return np.concatenate([array.ravel() for array in (*weights.weights, *weights.biases)])


def unflatten(design: Design, values: np.ndarray) -> Weights:
    """The weights of which `flatten` makes `values`."""
    shapes = [(layer.outputs, layer.inputs) for layer in design.weight_layers]
    shapes += [(layer.outputs,) for layer in design.weight_layers]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(values, ends[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    count = len(design.weight_layers)
    return Weights(tuple(arrays[:count]), tuple(arrays[count:]))


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


@dataclasses.dataclass(frozen=True)
class Events:
    """Events of all runs in the order of time.

    Members
    -------
    clocks : of the run, for each event.
    samples : number of the sample, in all runs.
    elements : number of the event among those of its sample.
    """

    clocks: np.ndarray
    samples: np.ndarray
    elements: np.ndarray


class Expected:
    """What the models say of a sequence of runs, as arrays to be compared with the bench's files.

    Parameters
    ----------
    schedule : of the machine.
    runs : of it.
    supply : what brings the samples from SDRAM, if anything does.
    starts : machine cycles in which the iterations of each run begin; those of the cycle model by
        default.
    """

    def __init__(
        self,
        schedule: Schedule,
        runs: Sequence[Run],
        supply: SupplyModel | None = None,
        starts: list[np.ndarray] | None = None,
    ) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.runs = runs
        self.models = [CycleModel(schedule, infer=run.infer) for run in runs]
        if starts is None:
            starts = [
                model.supplied_starts(len(run.inputs), run.batch, supply=supply, epochs=run.epochs)
                if run.epochs
                else model.starts(len(run.inputs), run.batch)
                for model, run in zip(self.models, runs, strict=True)
            ]
        self.begin(starts)
        sizes = self.design.layers[1:]
        self.neurons = [(layer, n) for layer, size in enumerate(sizes, 1) for n in range(size)]
        bottom = 0 if self.design.propagates_to_inputs else 1
        top = len(sizes) if self.design.last else len(sizes) - 1
        self.delta_neurons = [
            (layer, n)
            for layer in range(top, bottom - 1, -1)
            for n in range(self.design.layers[layer])
        ]
        self.sums: list[np.ndarray] = []
        self.activations: list[np.ndarray] = []
        self.deltas: list[np.ndarray] = []
        self.losses: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.checksums: list[np.ndarray] = []
        self.bias_checksums: list[np.ndarray] = []
        self._checksums = Checksums(self.design)

    def begin(self, starts: list[np.ndarray]) -> None:
        """`starts` are the machine cycles in which the iterations of each run begin."""
        self.starts = starts
        self.timelines = [
            model.timeline(begun, run.batch)
            for model, begun, run in zip(self.models, starts, self.runs, strict=False)
        ]

    def add(self, sample: Sample) -> None:
        """What the golden model computed for the next sample."""
        self.sums.append(np.concatenate(sample.sums))
        self.activations.append(np.concatenate(sample.activations))
        self.deltas.append(np.concatenate([np.empty(0, np.float32), *sample.deltas[::-1]]))
        if self.design.loss:
            self.losses.append(np.array([loss(self.design, sample)]))

    def add_made(self, made: Weights, *, every_weight: bool) -> None:
        """The weights that the next sample made.

        Their checksums are kept, and the weights themselves if they are to be compared.
        """
        banks, biases = self._checksums.of(made)
        self.checksums.append(banks)
        self.bias_checksums.append(biases)
        if every_weight:
            self.weights.append(flatten(made))

    @property
    def samples(self) -> int:
        """Samples of all runs."""
        return sum(len(run.inputs) for run in self.runs)

    def events(self, kind: Callable[[CycleModel], cycles.Events]) -> Events:
        """Events of one kind, such as CycleModel.sums, of all runs."""
        clocks, samples, elements = [], [], []
        first = 0
        every = zip(self.models, self.runs, self.starts, self.timelines, strict=True)
        for model, run, starts, timeline in every:
            of_one = kind(model)
            iterations = model.iterations(len(run.inputs), run.batch)
            at = timeline.ends(of_one.at(starts, iterations).ravel())
            order = np.argsort(at, kind="stable")
            sample, element = np.divmod(order, max(1, len(of_one.cycles)))
            clocks.append(at[order])
            samples.append(sample + first)
            elements.append(element)
            first += len(run.inputs)
        return Events(*map(np.concatenate, (clocks, samples, elements)))

    def addresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Word of each write of the weight banks, and of the bias bank, of a sample."""
        layers = self.design.weight_layers
        words = [layer.base + np.arange(layer.words) for layer in layers]
        columns = [layer for layer in layers if layer.mapping == "column"]
        biases = [layer.bias_base + np.arange(layer.outputs) for layer in columns]
        return np.concatenate(words), np.concatenate([np.empty(0, int), *biases])

    def in_the_making(self) -> np.ndarray:
        """Whether each sample leaves weights in the making: all but the last of a batch do."""
        found = []
        for run in self.runs:
            count = len(run.inputs)
            number = np.arange(1, count + 1)
            found.append((number % run.batch != 0) & (number != count))
        return np.concatenate(found)

    def written(self) -> np.ndarray:
        """Which element of `flatten`'s vector each PE writes; shape (writes of a sample, PEs).

        -1 where a PE writes what belongs to no neuron and no input.
        """
        banks = np.full((self.design.processing_elements + 1, self.design.bank_words), -1)
        for element, (bank, word) in enumerate(addresses(self.design)):
            if bank < self.design.processing_elements:
                banks[bank, word] = element
        return banks[:-1, self.addresses()[0]].T

    def written_biases(self) -> np.ndarray:
        """Which element of `flatten`'s vector each write of the bias bank changes."""
        first = sum(layer.inputs * layer.outputs for layer in self.design.weight_layers)
        offsets = np.cumsum([0, *self.design.layers[1:]])
        found = [
            first + offsets[layer.number - 1] + np.arange(layer.outputs)
            for layer in self.design.weight_layers
            if layer.mapping == "column"
        ]
        return np.concatenate([np.empty(0, int), *found])


def run_log(folder: Path) -> np.ndarray:
    """Of each run: clocks, clocks of waiting, clock since the bench's start, samples."""
    words = _words(folder / "runs.log", 8).astype(np.uint64)
    return (words[:, ::2] | words[:, 1::2] << np.uint64(32)).astype(np.int64)


def samples_taken(folder: Path) -> list[int]:
    """Samples that the core took of each run."""
    return run_log(folder)[:, 3].tolist()


def _words(path: Path, width: int) -> np.ndarray:
    words = np.fromfile(path, "<u4")
    return words[: len(words) // width * width].reshape(-1, width)


class Checker:
    """Compares the bench's files with what was expected.

    Parameters
    ----------
    expected : by the models.
    folder : with the bench's files.
    outside : the core was a netlist, of which the bench sees the ports alone: predictions, losses,
        runs and the weights at the end.
    """

    def __init__(self, expected: Expected, folder: Path, *, outside: bool = False) -> None:
        self.expected = expected
        self.folder = folder
        self.outside = outside
        self.mismatches = 0
        self.first: Mismatch | None = None

    def check(self, final: Weights, *, gaps: bool = False) -> None:
        """Compare everything; the findings are in `mismatches` and `first`.

        With `gaps` the samples came irregularly: when the machine then waits, the cycle model
        says from the clocks in which they came.
        """
        e = self.expected
        if gaps:
            e.begin(self._late_starts())
        self.check_ports()
        every = list(zip(e.models, e.starts, e.runs, strict=False))
        self.check_runs(
            [model.run_clocks(starts, run.batch) for model, starts, run in every],
            [model.stalls(starts, run.batch) for model, starts, run in every],
        )
        self.check_weights(flatten(final), names(e.design))
        if not self.outside:
            self.check_vectors()
            self.check_banks()

    def check_ports(self) -> None:
        """Compare what leaves the core."""
        e = self.expected
        outputs = range(e.design.layers[-1])
        self._stream(
            "predictions.log",
            [sample[-len(outputs) :] for sample in e.activations],
            [(len(e.design.layers) - 1, n) for n in outputs],
            "prediction",
            CycleModel.predictions,
        )
        if e.design.loss:
            output = len(e.design.layers) - 1
            self._stream("losses.log", e.losses, [(output, 0)], "loss", CycleModel.losses)

    def check_vectors(self) -> None:
        """Compare sums, activations and deltas, and when operations were issued."""
        e = self.expected
        self._stream("sums.log", e.sums, e.neurons, "sum", CycleModel.sums)
        self._stream(
            "activations.log", e.activations, e.neurons, "activation", CycleModel.activations
        )
        self._stream("deltas.log", e.deltas, e.delta_neurons, "delta", CycleModel.deltas)
        self._instructions()

    def check_banks(self) -> None:
        """Compare what is written to the banks of weights and biases."""
        e = self.expected
        if e.weights:
            self._weights()
        self._checksums("checksums.log", e.checksums, CycleModel.updates, e.design.weight_layers)
        columns = [layer for layer in e.design.weight_layers if layer.mapping == "column"]
        self._checksums("bias_checksums.log", e.bias_checksums, CycleModel.bias_updates, columns)

    def outputs(self) -> np.ndarray:
        """Activations of the output layer, as the RTL computed them; shape (samples, outputs)."""
        events = self.expected.events(CycleModel.predictions)
        found = self._words("predictions.log", 2)[:, 1].view(np.float32)
        size = self.expected.design.layers[-1]
        values = np.full((self.expected.samples, size), np.nan, np.float32)
        whole = min(len(found), len(events.clocks))
        values[events.samples[:whole], events.elements[:whole]] = found[:whole]
        return values

    def run_clocks(self) -> list[int]:
        """Clocks that each run took."""
        return [int(clocks) for clocks in run_log(self.folder)[:, 0]]

    def intervals(self) -> np.ndarray:
        """Clocks from one sample of the first run to the next, as measured.

        Without the first samples, if there are more: nothing is under way then of samples before.
        """
        begun = self.begun()
        first = self.expected.models[0].program.behind + 1
        return np.diff(begun[first:] if len(begun) > first + 1 else begun)

    def begun(self) -> np.ndarray:
        """Clock in which each sample of the first run began, but for a clock that is always so."""
        if self.outside:
            begun = self._words("predictions.log", 2)[:: self.expected.design.layers[-1], 0]
        else:
            log = self._words("instructions.log", 2)
            begun = log[log[:, 1] == log[0, 1], 0] if len(log) else np.empty(0, np.uint32)
        return begun[: len(self.expected.runs[0].inputs)].astype(np.int64)

    def _late_starts(self) -> list[np.ndarray]:
        """The cycle model's starts of iterations, from the clocks in which samples came."""
        e, found, first, last = self.expected, [], 0, None
        came = self._words("arrivals.log", 1)[:, 0].astype(np.int64)
        log = zip(e.models, e.runs, run_log(self.folder), strict=False)
        for model, run, (_, _, began, _) in log:
            count = len(run.inputs)
            complete = came[first : first + count] - began
            taken = None if last is None else last - began
            starts = model.starts(count, run.batch, complete=complete, taken=taken)
            found.append(starts)
            first += count
            # After the run, machine cycles are clocks.
            ended = began + model.run_clocks(starts, run.batch)
            last = ended - model.run_cycles(starts) + starts[model.iterations(count, run.batch)[-1]]
        return found

    def _words(self, name: str, width: int) -> np.ndarray:
        return _words(self.folder / name, width)

    def _stream(
        self,
        name: str,
        values: list[np.ndarray],
        neurons: list[tuple[int, int]],
        kind: str,
        events: Callable[[CycleModel], cycles.Events],
    ) -> None:
        found = self._words(name, 2)
        due = self.expected.events(events)
        labels = [(layer, f"{kind}[{n}]") for layer, n in neurons]
        # In a run of forward passes alone, samples have fewer deltas.
        offsets = np.cumsum([0, *map(len, values)])
        rows = np.concatenate(values)[offsets[due.samples] + due.elements]
        self._compare_values(rows, found[:, 1], due, labels)
        self._compare(due.clocks, found[:, 0], due, labels, "clock {}".format)

    def _weights(self) -> None:
        e = self.expected
        labels = names(e.design)
        after = np.array(e.weights)
        rows = self._training_rows()
        words, bias_words = e.addresses()
        for file, written, address, kind in (
            ("weights.log", e.written(), words, CycleModel.updates),
            ("biases.log", e.written_biases()[:, None], bias_words, CycleModel.bias_updates),
        ):
            found, due = self._words(file, 2 + written.shape[1]), e.events(kind)
            # Of a write that is missing, or one too many, no weight is compared: it counts below.
            whole = min(len(found), len(due.clocks))
            elements = written[due.elements[:whole]]
            there = elements >= 0
            writes, _ = np.nonzero(there)
            owner = Events(due.clocks[writes], due.samples[writes], elements[there])
            values = after[rows[owner.samples], owner.elements]
            self._compare_values(values, found[:whole, 2:][there], owner, labels)
            kinds = [(0, f"write {k}") for k in range(len(written))]
            self._compare(due.clocks, found[:, 0], due, kinds, "clock {}".format)
            half = 1 << (len(below(len(address))) - 1).bit_length()
            places = address[due.elements] + half * e.in_the_making()[due.samples]
            self._compare(places, found[:, 1], due, kinds, "address {}".format)

    def _checksums(
        self,
        name: str,
        values: list[np.ndarray],
        events: Callable[[CycleModel], cycles.Events],
        layers: Sequence[Layer],
    ) -> None:
        """Each layer's checksum, which is written with the last word of its update."""
        biases = events is CycleModel.bias_updates
        ends = (
            np.cumsum([layer.outputs if biases else layer.words for layer in layers]).astype(int)
            - 1
        )

        def last_words(model: CycleModel) -> cycles.Events:
            every = events(model)
            # A run of forward passes alone updates nothing.
            picked = ends if len(every.cycles) else np.empty(0, int)
            return cycles.Events(every.cycles[picked], every.behind[picked])

        found, due = self._words(name, 2), self.expected.events(last_words)
        rows = self._training_rows()
        what = "checksum of the biases" if biases else "checksum of the weights"
        labels = [(layer.number, what) for layer in layers]
        table = np.array(values, np.uint32).reshape(len(values), len(layers))
        words = table[rows[due.samples], due.elements]
        self._compare(words, found[:, 1], due, labels, "{:08x}".format)
        self._compare(due.clocks, found[:, 0], due, labels, "clock {}".format)

    def _training_rows(self) -> np.ndarray:
        """Of each sample its number among those that trained."""
        runs = self.expected.runs
        training = np.repeat([not run.infer for run in runs], [len(r.inputs) for r in runs])
        return np.cumsum(training) - 1

    def _instructions(self) -> None:
        e = self.expected
        found, due = self._words("instructions.log", 2), e.events(CycleModel.instructions)
        ops = [*e.schedule.training.operations, *e.schedule.inference.operations]
        first = np.repeat(
            [len(e.schedule.training.operations) * run.infer for run in e.runs],
            [len(run.inputs) for run in e.runs],
        )
        numbers = first[due.samples] + due.elements
        due = dataclasses.replace(due, elements=numbers)
        starts = [(op.layer.number, f"start of {op.name}") for op in ops]
        self._compare(due.clocks, found[:, 0], due, starts, "clock {}".format)
        labels = [(op.layer.number, f"instruction of {op.name}") for op in ops]
        self._compare(numbers, found[:, 1], due, labels, "number {}".format)

    def check_runs(self, clocks: Sequence[int], stalls: Sequence[int]) -> None:
        """Compare the clocks that each run took, those it waited, and its samples."""
        e = self.expected
        log = run_log(self.folder)
        counts = np.array([len(run.inputs) for run in e.runs])
        runs = np.arange(len(e.runs))
        whole = Events(runs, np.maximum(np.cumsum(counts) - 1, 0), runs)
        for due, column, what in (
            (np.array(clocks), 0, "clocks"),
            (np.array(stalls), 1, "stalls"),
            (counts, 3, "samples"),
        ):
            labels = [(0, f"{what} of run {run}") for run in runs]
            self._compare(due, log[:, column], whole, labels, "{}".format)

    def check_weights(self, values: np.ndarray, labels: Sequence[tuple[int, str]]) -> None:
        """Compare all weights at the end; `labels` are layer and index of each."""
        elements = np.arange(len(values))
        owner = Events(elements, np.full(len(values), self.expected.samples - 1), elements)
        self._compare_values(values, self._words("final.log", 1)[:, 0], owner, labels)

    # Comparisons: of what was due and what was found, which may be short.

    def _compare_values(
        self,
        due: np.ndarray,
        found: np.ndarray,
        owner: Events,
        labels: Sequence[tuple[int, str]],
    ) -> None:
        bits = np.ascontiguousarray(due, np.float32).view(np.uint32)
        # The RTL's NaN is the canonical one; numpy's depends on the processor.
        bits = np.where(np.isnan(due), NAN, bits)
        self._compare(bits, found, owner, labels, "{:08x}".format)

    def _compare(
        self,
        due: np.ndarray,
        found: np.ndarray,
        owner: Events,
        labels: Sequence[tuple[int, str]],
        show: Callable[[object], str],
    ) -> None:
        """`owner` says whose each of `due` is: sample and index in `labels`."""
        count = min(len(due), len(found))
        differ = np.flatnonzero(due[:count] != found[:count])
        missing = abs(len(due) - len(found))
        self.mismatches += len(differ) + missing
        if len(differ):
            at = int(differ[np.argmin(owner.samples[differ])])
            want, have = show(due[at]), show(found[at])
        elif missing:
            at = min(count, len(due) - 1)
            want, have = f"{len(due)} results", f"{len(found)} results"
        else:
            return
        sample, label = (int(owner.samples[at]), int(owner.elements[at])) if len(due) else (0, 0)
        if self.first is None or sample < self.first.sample:
            self.first = Mismatch(sample, *labels[label], want, have)


def expect(golden: Golden, expected: Expected, run: Run, *, every_weight: bool) -> Iterator[int]:
    """Let the golden model go through all samples of a run; yields after each."""
    last = len(run.inputs) - 1
    for index, (x, y) in enumerate(zip(run.inputs, run.labels, strict=True)):
        sample = golden.forward(x, y) if run.infer else golden.train(x, y, last=index == last)
        expected.add(sample)
        if not run.infer:
            expected.add_made(golden.made, every_weight=every_weight)
        yield index
