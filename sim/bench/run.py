"""Simulate whole runs of a design and compare them with the models."""

import contextlib
import dataclasses
import math
import shutil
import signal
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np

from hw import tool
from hw.core import Core, WeightAddress
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.pe import ProcessingElement
from hw.schedule import Schedule
from hw.sdram.chips import SdramChip, SdramTiming
from hw.sdram.controller import SdramController
from hw.supply import SampleSupply, most_records
from hw.verilog import ENABLED, port_list, to_verilog
from sim import simulator
from sim.bench import sdram
from sim.bench.checksum import marks
from sim.bench.log import (
    Checker,
    Expected,
    Mismatch,
    Run,
    addresses,
    expect,
    flatten,
    samples_taken,
)
from sim.bench.observer import bench_source, observer
from sim.golden import Golden, Weights
from sim.order import run_order
from sim.records import pack
from sim.supply import Epochs, SupplyModel

# Weights are logged after every sample up to so many words; beyond only their checksums.
_MOST_LOGGED = 50_000_000

#: Ends the names of modules of the RTL in a netlist: PEs that are not simulated as cells.
RTL = "_rtl"

# Clocks for which a netlist is held in reset: registers of pipelines have no initial values there,
# and some no reset.
_NETLIST_RESET = 100

_CHUNK = 4096  # samples that are converted at once


class Progress(Protocol):
    """Called with what is being done, how much of it is done, of how much, and a note."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show it."""


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What came of it.

    Members
    -------
    samples : that the RTL took, of each run; fewer than it was given if interrupted.
    interrupted : whether Ctrl-C ended the runs early. All that ran has been compared.
    mismatches : values and clocks that differ from the models.
    first : the first of them.
    run_clocks, predicted_run_clocks : clocks of each run, of the RTL and of the cycle model.
    clocks_per_iteration : of the RTL in the first run; a fraction if they were not all equal.
    predicted_clocks_per_iteration : of the cycle model.
    outputs : of the RTL, for every sample of every run; shape (samples, outputs).
    weights : of the golden model at the end, which the RTL's equal if there is no mismatch.
    clocks_per_second : of simulation.
    every_weight : whether each weight was compared after each sample, and not only checksums that
        all of them enter.
    """

    samples: tuple[int, ...]
    interrupted: bool
    mismatches: int
    first: Mismatch | None
    run_clocks: tuple[int, ...]
    predicted_run_clocks: tuple[int, ...]
    clocks_per_iteration: float
    predicted_clocks_per_iteration: int
    outputs: np.ndarray
    weights: Weights
    clocks_per_second: float
    every_weight: bool


@dataclasses.dataclass(frozen=True)
class Counting:
    """When a netlist's toggles are counted, and as whose.

    Members
    -------
    phases : number of the phase in each clock of an iteration.
    first, end : clock of the run from which, and before which, they are counted; `first` is the
        first of an iteration.
    """

    phases: np.ndarray
    first: int
    end: int


def simulate(
    schedule: Schedule,
    weights: Weights,
    runs: Sequence[Run],
    *,
    waves: Path | None = None,
    progress: Progress = lambda *_, **__: None,
    keep: Path | None = None,
    seed: int = 1,
    optimize: int = 2,
    gap: int = 0,
    initialize: int | None = None,
    timing: SdramTiming | None = None,
    netlist: Sequence[Path] = (),
    mapped: str | None = None,
    counting: Counting | None = None,
) -> Simulation:
    """Run the RTL of `schedule` and both models over `runs` and compare them.

    Parameters
    ----------
    schedule : of the machine.
    weights : to start from.
    runs : one after the other, each from the weights that the one before left.
    waves : file for the waves (VCD).
    progress : called with what is being done, how much of it is done, of how much, and a note such
        as "61,000 clocks/s".
    keep : folder for the bench's files; a temporary one by default.
    seed : of uninitialised memories in the simulation.
    optimize : the C++ compiler's level, see sim.simulator.build; 0 suits short runs.
    initialize : seed from which the core makes its weights itself (Design.seeded_weights);
        `weights` are then what it should make, and the core is given none.
    gap : the words of the stream come with gaps of 0 to so many clocks, at random, and the run
        starts with the first sample. Clocks are then compared within each sample only.
    timing : of an SDRAM from which all samples come, in the epochs of each run; by default they
        come through the core's stream.
    netlist : Verilog files, and Verilator control files, that stand in for the core: its module,
        name and ports, made of the cells of a target, whose models are among them. Of it the
        predictions and losses, each with its clock, the clocks of the runs and all weights at the
        end are compared: what the models say of the inside has no names there.
    mapped : Verilog of the core to simulate in place of the RTL: with its modules and ports, and
        with the signals `observed` inside them.
    counting : tells the probes of `mapped` (fpga_flows.gatesim) what to count; they leave files
        named toggles.* in `keep`.

    The first SIGINT (Ctrl-C) while the RTL is being simulated ends the run in progress after its
    sample or batch; what ran is compared. The second one interrupts as usual. Only in Python's main
    thread, where signals arrive.

    Raises ToolError when the simulator is missing or fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        progress("building the simulator", 0, 1)
        build = _build(
            schedule, timing, folder, waves is not None, optimize, netlist, mapped, counting
        )
        progress("building the simulator", 1, 1)
        _write_stimulus(schedule, weights if initialize is None else None, runs, timing, folder)
        total = sum(len(run.inputs) for run in runs)
        every_weight = not netlist and all_logged(total, weights)
        began = time.monotonic()
        stopped = _run(
            schedule,
            build,
            runs,
            folder,
            every_weight,
            waves,
            progress,
            seed,
            gap,
            1 if mapped is None else _NETLIST_RESET,
            initialize,
        )
        seconds = time.monotonic() - began
        taken = ran(runs, folder) if stopped else runs
        supply = SupplyModel(schedule.design, timing) if timing else None
        expected, golden = _expect(schedule, supply, weights, taken, every_weight, progress)
        progress("comparing", 0, 1)
        checker = Checker(expected, folder, outside=bool(netlist))
        checker.check(golden.weights, gaps=gap > 0)
        progress("comparing", 1, 1)
        return _result(checker, golden, runs, seconds, every_weight)


def all_logged(samples: int, weights: Weights) -> bool:
    """Whether the bench writes down each weight after each of so many samples."""
    return samples * len(flatten(weights)) <= _MOST_LOGGED


def ran(runs: Sequence[Run], folder: Path) -> list[Run]:
    """What the core took of the runs, when it was stopped."""
    return [
        dataclasses.replace(run, inputs=run.inputs[:count], labels=run.labels[:count])
        for run, count in zip(runs, samples_taken(folder), strict=False)
    ]


def _result(
    checker: Checker, golden: Golden, runs: Sequence[Run], seconds: float, every_weight: bool
) -> Simulation:
    expected = checker.expected
    clocks = checker.run_clocks()
    every = zip(expected.models, expected.starts, expected.runs, strict=False)
    predicted = [model.run_clocks(starts, run.batch) for model, starts, run in every]
    intervals = checker.intervals()
    measured = float(intervals.mean()) if len(intervals) else float(predicted[0])
    given = [len(run.inputs) for run in runs]
    samples = [len(run.inputs) for run in expected.runs]
    samples += [0] * (len(given) - len(samples))
    return Simulation(
        samples=tuple(samples),
        interrupted=samples != given,
        mismatches=checker.mismatches,
        first=checker.first,
        run_clocks=tuple(clocks),
        predicted_run_clocks=tuple(predicted),
        clocks_per_iteration=int(measured) if measured.is_integer() else measured,
        predicted_clocks_per_iteration=expected.models[0].clocks_per_iteration,
        outputs=checker.outputs(),
        weights=golden.weights,
        clocks_per_second=sum(clocks) / seconds,
        every_weight=every_weight,
    )


def _build(
    schedule: Schedule,
    timing: SdramTiming | None,
    folder: Path,
    waves: bool,
    optimize: int,
    netlist: Sequence[Path],
    mapped: str | None,
    counting: Counting | None,
) -> simulator.Build:
    supply = _supply(schedule, timing) if timing else []
    parts = [*([] if netlist or mapped else [Core(schedule)]), *supply]
    verilog = folder / "core.v"
    verilog.write_text((mapped or "") + "".join(map(to_verilog, parts)), encoding="utf-8")
    bench = folder / "core_bench.sv"
    # One file: the cache goes by the contents of the sources.
    observer = _observer(schedule, in_pe=bool(schedule.design.broadcast_stages or mapped))
    header = _header(schedule)
    if netlist:
        header += "`define OUTSIDE\n"
    if timing:
        header += _sdram_header(timing, *supply)
    if counting:
        header += f"`define PERIOD {len(counting.phases)}\n"
        header += f"`define FIRST {counting.first}\n`define END {counting.end}\n"
        (folder / "phases.bin").write_bytes(counting.phases.astype(">u4").tobytes())
    bench.write_text(bench_source(header, observer), encoding="utf-8")
    pe = ProcessingElement(schedule)
    inputs = [port["name"] for port in port_list(pe) if port["direction"] == "input"]
    repeated = {pe.module_name + _variant(schedule, mapped): inputs}
    return simulator.build(
        [*netlist, verilog, bench, *([sdram.MODEL] if timing else [])],
        "core_bench",
        public=("finished", "trained", "run", "stop"),
        repeated={} if netlist else repeated,
        waves=waves,
        optimize=optimize,
    )


def _variant(schedule: Schedule, mapped: str | None) -> str:
    """What ends the name of the module of most PEs."""
    if mapped and f"_pe{RTL}" in mapped:
        return RTL
    return ENABLED if schedule.design.unified else ""


def _supply(schedule: Schedule, timing: SdramTiming) -> tuple[SampleSupply, SdramController]:
    return SampleSupply(schedule, timing.chip), SdramController(timing)


def _sdram_header(timing: SdramTiming, supply: SampleSupply, controller: SdramController) -> str:
    chip = timing.chip
    lines = [
        f"`define SUPPLY {supply.module_name}",
        f"`define CONTROLLER {controller.module_name}",
        f"`define SDRAM_ADDRESS_BITS {chip.address_bits}",
        f"`define ROW_BITS {chip.row_bits}",
        sdram.chip_macro(chip, timing.frequency_mhz),
    ]
    return "\n".join([*lines, ""])


def _observer(schedule: Schedule, *, in_pe: bool) -> str:
    """What looks into the core."""
    machine, enable = "dut", "1"
    if schedule.design.unified:
        machine, enable = "dut.machine", "dut.weight_memory.enable"
    return observer(schedule, "observer", "", machine, enable, in_pe=in_pe)


def _header(schedule: Schedule) -> str:
    """The macros of core_bench.sv."""
    design = schedule.design
    port = WeightAddress(design)
    lines = [
        f"`define CORE {design.name}",
        f"`define ADDRESS_BITS {port.bank_bits + port.word_bits}",
        f"`define WEIGHT_LATENCY {schedule.latencies.weight_port}",
    ]
    if design.input_deltas:
        lines.append("`define HAS_INPUT_DELTAS")
    if design.loss:
        lines.append("`define HAS_LOSS")
    if design.batch > 1:
        lines.append(f"`define BATCH_BITS {design.batch.bit_length()}")
    lines.append(f"`define RECORD_WORDS {design.record_words}")
    if design.seeded_weights:
        lines.append("`define HAS_INITIALIZER")
    return "\n".join([*lines, ""])


def _write_stimulus(
    schedule: Schedule,
    weights: Weights | None,
    runs: Sequence[Run],
    timing: SdramTiming | None,
    folder: Path,
) -> None:
    """Weights, runs and samples, for the bench to read; NaN where the host has no weights."""
    design = schedule.design
    port = WeightAddress(design)
    where = np.array([port.encode(*place) for place in addresses(design)], np.uint32)
    values = np.full(len(where), np.nan, np.float32) if weights is None else flatten(weights)
    records = np.stack([where, values.view(np.uint32)], axis=1)
    # The bench's $fread takes the first byte as the highest.
    (folder / "weights.bin").write_bytes(records.astype(">u4").tobytes())
    (folder / "runs.bin").write_bytes(b"".join(run_words(run, run.batch) for run in runs))
    write_marks(design, folder)
    if timing:
        _stored(design, runs, timing.chip).astype(">u2").tofile(folder / "samples.bin")
    else:
        write_samples(design, runs, folder)


def write_marks(design: Design, folder: Path) -> None:
    """What core_observer.sv must know of the words of a core's banks."""
    (folder / "marks.bin").write_bytes(np.concatenate(marks(design)).astype(">u4").tobytes())


def write_samples(design: Design, runs: Sequence[Run], folder: Path) -> None:
    """The records of all samples, for the bench to read."""
    with (folder / "samples.bin").open("wb") as file:
        for run in runs:
            for first in range(0, len(run.inputs), _CHUNK):
                part = slice(first, first + _CHUNK)
                words = pack(design, run.inputs[part], run.labels[part])
                file.write(words.astype(">u4").tobytes())


def _stored(design: Design, runs: Sequence[Run], chip: SdramChip) -> np.ndarray:
    """Contents of the SDRAM from its first word on, 16 bits each; zero where no record lies."""
    count = max(run.epochs.first + run.epochs.records for run in runs)
    if count > (most := most_records(design, chip)):
        raise InputError(f"records must be at most {most} in {chip.name}, not {count}")
    found = np.zeros((count, design.record_words), np.uint32)
    for run in runs:
        epochs = run.epochs
        places = run_order(epochs.records, len(run.inputs), epochs.seed)
        found[epochs.first + places] = pack(design, run.inputs, run.labels)
    return found.astype("<u4").view("<u2").ravel()


def run_words(run: Run, shared: int) -> bytes:
    """What core_bench.sv reads of a run; each sample has one of `shared` parts of the rate."""
    learning = run.learning
    step, floor = learning.words(shared)
    counts = len(run.inputs), run.infer, run.batch, learning.halve_every, learning.age
    epochs = run.epochs or Epochs(0)
    return struct.pack(">5I2f3I", *counts, step, floor, epochs.first, epochs.records, epochs.seed)


def _run(
    schedule: Schedule,
    build: simulator.Build,
    runs: Sequence[Run],
    folder: Path,
    every_weight: bool,
    waves: Path | None,
    progress: Progress,
    seed: int,
    gap: int,
    reset: int,
    initialize: int | None,
) -> bool:
    """Simulate; whether it was told to stop."""
    design = schedule.design
    each = max(schedule.training.clocks_per_sample(run.batch) for run in runs)
    clocks = sum(len(run.inputs) for run in runs) * math.ceil(each + design.record_words * gap)
    words = len(addresses(design)) + design.record_words * (design.buffer_vectors + 1)
    plusargs = [f"+gap={gap}", f"+reset={reset}", *(["+weights"] if every_weight else [])]
    if initialize is not None:
        plusargs.append(f"+initialize={initialize}")
    return drive(build, runs, folder, clocks, words, plusargs, waves, progress, seed)


def drive(
    build: simulator.Build,
    runs: Sequence[Run],
    folder: Path,
    clocks: int,
    words: int,
    plusargs: Sequence[str],
    waves: Path | None,
    progress: Progress,
    seed: int,
) -> bool:
    """Let the bench go through `runs`; whether it was told to stop.

    `clocks` are those that they should take, `words` what is loaded before.
    """
    log, stop = folder / "simulation.log", folder / "stop"
    stop.unlink(missing_ok=True)
    counts = [len(run.inputs) for run in runs]
    try:
        with _on_interrupt(stop.touch):
            simulator.run(
                build,
                "sim.bench.core_bench",
                log=log,
                plusargs=plusargs,
                env={
                    # Half as long again as it takes, and time to load and read weights and samples.
                    "GRADWIRE_MOST_CLOCKS": str(clocks * 3 // 2 + 3 * words + 10_000),
                    "GRADWIRE_STOP_FILE": str(stop.absolute()),
                },
                waves=waves,
                seed=seed,
                on_line=_listener(counts, progress),
            )
    except ToolError as error:
        # The folder may be a temporary one: what the tool said shall outlive it.
        kept = tool.cache_dir() / "simulation.log"
        shutil.copy(log, kept)
        raise ToolError(str(error).replace(str(log.absolute()), str(kept))) from None
    return stop.exists()


def _listener(counts: Sequence[int], progress: Progress) -> Callable[[str], None]:
    """What takes the bench's lines, and reports how far it is with runs of `counts` samples."""
    before = [sum(counts[:index]) for index in range(len(counts) + 1)]
    first: list[tuple[float, int]] = []

    def on_line(line: str) -> None:
        if not line.startswith("progress "):
            return
        run, trained, clock = map(int, line.split()[1:])
        now = time.monotonic()
        first[:] = first or [(now, clock)]
        seconds = now - first[0][0]
        note = f"{(clock - first[0][1]) / seconds:,.0f} clocks/s" if seconds else ""
        done = before[run] + (trained if run < len(counts) else 0)
        progress("simulating the RTL", min(done, before[-1]), before[-1], note=note)

    progress("simulating the RTL", 0, before[-1])
    return on_line


@contextlib.contextmanager
def _on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT within the block calls `action`; after that, they do as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        action()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _expect(
    schedule: Schedule,
    supply: SupplyModel | None,
    weights: Weights,
    runs: Sequence[Run],
    every_weight: bool,
    progress: Progress,
) -> tuple[Expected, Golden]:
    expected = Expected(schedule, runs, supply)
    total, done = expected.samples, 0
    latest = weights
    golden = None
    for run in runs:
        golden = Golden(schedule.design, latest, run.learning, run.batch)
        for _ in expect(golden, expected, run, every_weight=every_weight and not run.infer):
            done += 1
            if done % 100 == 0 or done == total:
                progress("running the golden model", done, total)
        latest = golden.weights
    return expected, golden
