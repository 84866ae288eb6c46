"""Simulate whole runs of a machine of groups and compare them with the models."""

import dataclasses
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw.design import Design
from hw.pe import ProcessingElement
from hw.pipeline import GroupedSchedule, GroupedWeightAddress, Pipeline
from hw.schedule import Schedule
from hw.verilog import port_list, to_verilog
from sim import simulator
from sim.bench.log import Checker, Expected, Mismatch, Run, addresses, flatten, names, run_log
from sim.bench.observer import bench_source, observer
from sim.bench.run import (
    Progress,
    Simulation,
    all_logged,
    drive,
    ran,
    run_words,
    write_marks,
    write_samples,
)
from sim.golden import Sample, Weights
from sim.grouped import GroupedGolden, split_weights
from sim.grouped_cycles import GroupedCycleModel


def simulate_groups(
    schedule: GroupedSchedule,
    weights: Weights,
    runs: Sequence[Run],
    *,
    progress: Progress = lambda *_, **__: None,
    keep: Path | None = None,
    seed: int = 1,
    optimize: int = 2,
    gap: int = 0,
) -> Simulation:
    """Run the RTL of `schedule` and both models over `runs` and compare them.

    Of every group: sums, activations, deltas, weights, and the clocks of all of them. Parameters
    and errors are those of sim.bench.run.simulate; `clocks_per_iteration` are those from one sample
    to the next in the steady state.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        progress("building the simulator", 0, 1)
        build = _build(schedule, folder, optimize)
        progress("building the simulator", 1, 1)
        _write_stimulus(schedule, weights, runs, folder)
        total = sum(len(run.inputs) for run in runs)
        every_weight = all_logged(total, weights)
        began = time.monotonic()
        stopped = _drive(schedule, build, runs, folder, every_weight, progress, seed, gap)
        seconds = time.monotonic() - began
        taken = ran(runs, folder) if stopped else runs
        models = _models(schedule, taken, folder, gaps=gap > 0)
        comparison = _Comparison(schedule, taken, models)
        final = comparison.expect(weights, every_weight, progress)
        progress("comparing", 0, 1)
        comparison.check(folder, final)
        progress("comparing", 1, 1)
        return comparison.result(folder, runs, final, seconds, every_weight)


def _build(schedule: GroupedSchedule, folder: Path, optimize: int) -> simulator.Build:
    verilog, bench = folder / "core.v", folder / "core_bench.sv"
    verilog.write_text(to_verilog(Pipeline(schedule)), encoding="utf-8")
    port = GroupedWeightAddress(schedule.design)
    first = schedule.design.designs[0]
    header = [
        f"`define CORE {schedule.design.name}",
        f"`define ADDRESS_BITS {port.inner_bits + port.group_bits}",
        f"`define WEIGHT_LATENCY {schedule.weight_port}",
        f"`define RECORD_WORDS {first.record_words}",
    ]
    if first.batch > 1:
        header.append(f"`define BATCH_BITS {first.batch.bit_length()}")
    observers, repeated = [], {}
    for number, group in enumerate(schedule.groups):
        for seen in _seen(group, number):
            in_pe = bool(group.design.broadcast_stages)
            name = f"observer_{len(observers)}"
            source = observer(
                seen.schedule, name, f"{seen.folder}/", seen.machine, in_pe=in_pe, of=seen.of
            )
            observers.append(source)
        pe = ProcessingElement(_seen(group, number)[-1].schedule)
        inputs = [each["name"] for each in port_list(pe) if each["direction"] == "input"]
        repeated[pe.module_name] = inputs
    source = bench_source("\n".join([*header, ""]), "".join(observers))
    bench.write_text(source, encoding="utf-8")
    return simulator.build(
        [verilog, bench],
        "core_bench",
        public=("finished", "trained", "run", "stop"),
        repeated=repeated,
        optimize=optimize,
    )


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What an observer looks at: a group's core, or the array of a lane.

    Members
    -------
    schedule : of the group, or as if the lane were one.
    group, lane : numbers; None for a whole group.
    of : "core", "vectors" (the same without weights) or "weights".
    """

    schedule: Schedule
    group: int
    lane: int | None
    of: str

    @property
    def folder(self) -> str:
        """Of its files."""
        name = f"group_{self.group}"
        return name if self.lane is None else f"{name}_lane_{self.lane}"

    @property
    def machine(self) -> str:
        """The instance."""
        name = f"dut.group_{self.group}"
        return name if self.lane is None else f"{name}.neurons.lane_{self.lane}"


def _seen(schedule: Schedule, number: int) -> list[_Seen]:
    """What there is to see of a group."""
    design = schedule.design
    if design.lanes == 1:
        return [_Seen(schedule, number, None, "core")]
    lane = dataclasses.replace(schedule, design=design.lane)
    lanes = [_Seen(lane, number, index, "weights") for index in range(design.lanes)]
    return [_Seen(schedule, number, None, "vectors"), *lanes]


def _of_lane(weights: Weights, design: Design, lane: int) -> Weights:
    """The weights of a lane's neurons."""
    each = design.layers[-1] // design.lanes
    own = slice(lane * each, (lane + 1) * each)
    return Weights(
        tuple(matrix[own] for matrix in weights.weights),
        tuple(biases[own] for biases in weights.biases),
    )


def _write_stimulus(
    schedule: GroupedSchedule,
    weights: Weights,
    runs: Sequence[Run],
    folder: Path,
) -> None:
    design = schedule.design
    port = GroupedWeightAddress(design)
    records = []
    parts = split_weights(design, weights)
    for number, (group, part) in enumerate(zip(design.designs, parts, strict=True)):
        where = [port.encode(number, *place) for place in addresses(group)]
        records.append(np.stack([np.array(where, np.uint32), flatten(part).view(np.uint32)], 1))
        for seen in _seen(schedule.groups[number], number):
            (folder / seen.folder).mkdir(parents=True, exist_ok=True)
            if seen.of != "vectors":
                write_marks(seen.schedule.design, folder / seen.folder)
    (folder / "weights.bin").write_bytes(np.concatenate(records).astype(">u4").tobytes())
    words = (run_words(run, _shared(schedule, run)) for run in runs)
    (folder / "runs.bin").write_bytes(b"".join(words))
    write_samples(design.designs[0], runs, folder)


def _shared(schedule: GroupedSchedule, run: Run) -> int:
    """Samples among which the rate is divided: those of a batch, but each of a pair has it all."""
    return 1 if schedule.design.schedule == "ping-pong" else run.batch


def _drive(
    schedule: GroupedSchedule,
    build: simulator.Build,
    runs: Sequence[Run],
    folder: Path,
    every_weight: bool,
    progress: Progress,
    seed: int,
    gap: int,
) -> bool:
    first = schedule.design.designs[0]
    clocks = sum(
        len(run.inputs) * math.ceil(model.clocks_per_sample(run.batch) + first.record_words * gap)
        + sum(group.training.finish for group in schedule.groups)
        for run in runs
        for model in [GroupedCycleModel(schedule)]
    )
    words = sum(len(addresses(group)) for group in schedule.design.designs)
    words += first.record_words * (first.buffer_vectors + 1)
    plusargs = [f"+gap={gap}", "+reset=1", *(["+weights"] if every_weight else [])]
    return drive(build, runs, folder, clocks, words, plusargs, None, progress, seed)


@dataclasses.dataclass(frozen=True)
class _Timed:
    """A run, and when its iterations began in each group, by the cycle model."""

    model: GroupedCycleModel
    starts: list[np.ndarray]


def _models(
    schedule: GroupedSchedule, runs: Sequence[Run], folder: Path, *, gaps: bool
) -> list[_Timed]:
    """The cycle model of each run; with `gaps` by the clocks in which samples came."""
    found, first, last = [], 0, None
    came = np.fromfile(folder / "arrivals.log", "<u4").astype(np.int64)
    for run, (_, _, began, _) in zip(runs, run_log(folder), strict=False):
        model = GroupedCycleModel(schedule, infer=run.infer)
        count = len(run.inputs)
        late = {}
        if gaps:
            late["complete"] = came[first : first + count] - began
            late["taken"] = None if last is None else last - began
        starts = model.starts(count, run.batch, **late)
        found.append(_Timed(model, starts))
        first += count
        last = began + starts[0][model.groups[0].iterations(count, run.batch)[-1]]
    return found


class _Comparison:
    """What the models say of all groups, and how the bench's files differ from it."""

    def __init__(
        self, schedule: GroupedSchedule, runs: Sequence[Run], timed: Sequence[_Timed]
    ) -> None:
        self.schedule = schedule
        self.runs = runs
        self.timed = timed
        self.seen = [
            seen for number, group in enumerate(schedule.groups) for seen in _seen(group, number)
        ]
        self.expected = [
            Expected(seen.schedule, runs, starts=[each.starts[seen.group] for each in timed])
            for seen in self.seen
        ]
        self.mismatches = 0
        self.first: Mismatch | None = None

    def expect(self, weights: Weights, every_weight: bool, progress: Progress) -> Weights:
        """Let the golden model go through all runs; the weights at the end."""
        total = sum(len(run.inputs) for run in self.runs)
        done, latest = 0, weights
        for run in self.runs:
            golden = GroupedGolden(self.schedule.design, latest, run.learning, run.batch)
            if run.infer:
                for row, label in zip(run.inputs, run.labels, strict=True):
                    for group, sample in enumerate(golden.forward(row, label)):
                        self._add(group, sample, None, every_weight)
                done += len(run.inputs)
                continue
            for group, _, sample, made in golden.train(run.inputs, run.labels):
                self._add(group, sample, made, every_weight)
                done += group == len(self.schedule.groups) - 1
                if done % 100 == 0 or done == total:
                    progress("running the golden model", done, total)
            latest = golden.weights
        return latest

    def _add(self, group: int, sample: Sample, made: Weights | None, every_weight: bool) -> None:
        """What the golden model computed for the next sample of a group."""
        design = self.schedule.groups[group].design
        for seen, expected in zip(self.seen, self.expected, strict=True):
            if seen.group != group:
                continue
            if seen.of != "weights":
                expected.add(sample)
            if made is not None and seen.of != "vectors":
                own = made if seen.lane is None else _of_lane(made, design, seen.lane)
                expected.add_made(own, every_weight=every_weight)

    def check(self, folder: Path, final: Weights) -> None:
        """Compare everything."""
        checkers = []
        for seen, expected in zip(self.seen, self.expected, strict=True):
            checkers.append(Checker(expected, folder / seen.folder))
            if seen.of != "weights":
                checkers[-1].check_vectors()
            if seen.of != "vectors":
                checkers[-1].check_banks()
        outside = Checker(self.expected[-1], folder, outside=True)
        outside.check_ports()
        clocks = [each.model.run_clocks(each.starts, run.batch) for each, run in self._each()]
        stalls = [
            each.model.groups[0].stalls(each.starts[0], run.batch) for each, run in self._each()
        ]
        outside.check_runs(clocks, stalls)
        values = [flatten(part) for part in split_weights(self.schedule.design, final)]
        outside.check_weights(np.concatenate(values), self._names())
        for checker, seen in zip((*checkers, outside), (*self.seen, None), strict=True):
            self.mismatches += checker.mismatches
            self._earlier(checker.first, seen)

    def _each(self) -> list[tuple[_Timed, Run]]:
        return list(zip(self.timed, self.runs, strict=True))

    def _names(self) -> list[tuple[int, str]]:
        """Layer and index of each weight of all groups."""
        found = []
        for number, design in enumerate(self.schedule.design.designs):
            below = self._below(number)
            found += [(layer + below, index) for layer, index in names(design)]
        return found

    def _below(self, number: int) -> int:
        """Layers of weights below group `number`."""
        return sum(len(design.mapping) for design in self.schedule.design.designs[:number])

    def _earlier(self, found: Mismatch | None, seen: _Seen | None) -> None:
        if found is None or (self.first is not None and self.first.sample <= found.sample):
            return
        if seen:
            layer = found.layer + self._below(seen.group)
            place = f"group {seen.group}" + ("" if seen.lane is None else f", lane {seen.lane}")
            found = dataclasses.replace(found, layer=layer, index=f"{place}, {found.index}")
        self.first = found

    def result(
        self,
        folder: Path,
        runs: Sequence[Run],
        final: Weights,
        seconds: float,
        every_weight: bool,
    ) -> Simulation:
        clocks = [int(each) for each in run_log(folder)[:, 0]]
        given, samples = [len(run.inputs) for run in runs], [len(run.inputs) for run in self.runs]
        samples += [0] * (len(given) - len(samples))
        first, run = self.timed[0], self.runs[0]
        begun = Checker(self.expected[0], folder / self.seen[0].folder).begun()
        predicted = first.starts[0][first.model.groups[0].iterations(len(run.inputs), run.batch)]
        return Simulation(
            samples=tuple(samples),
            interrupted=samples != given,
            mismatches=self.mismatches,
            first=self.first,
            run_clocks=tuple(clocks),
            predicted_run_clocks=tuple(
                each.model.run_clocks(each.starts, run.batch) for each, run in self._each()
            ),
            clocks_per_iteration=_steady(begun),
            predicted_clocks_per_iteration=_steady(predicted),
            outputs=Checker(self.expected[-1], folder).outputs(),
            weights=final,
            clocks_per_second=sum(clocks) / seconds,
            every_weight=every_weight,
        )


def _steady(begun: np.ndarray) -> float:
    """Clocks from one sample to the next in the second half of a run."""
    half = len(begun) // 2
    if len(begun) < 2:
        return float("nan")
    found = float(begun[-1] - begun[half]) / (len(begun) - 1 - half)
    return int(found) if found.is_integer() else found
