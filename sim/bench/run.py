"""Simulate whole runs of a design and compare them with the models."""

import dataclasses
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hw import tool
from hw.core import Core, WeightAddress
from hw.errors import ToolError
from hw.pe import ProcessingElement
from hw.schedule import Schedule
from hw.verilog import port_list, to_verilog
from sim import simulator
from sim.bench.log import Checker, Expected, Mismatch, Run, addresses, expect, flatten
from sim.golden import Golden, Weights

BENCH = Path(__file__).parent
Progress = Callable[[str, int, int], None]

# Weights are compared after every sample up to so many words, beyond only at the end.
_MOST_LOGGED = 50_000_000


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What came of it.

    Members
    -------
    samples : that the RTL took, all runs.
    mismatches : values and clocks that differ from the models.
    first : the first of them.
    run_clocks, predicted_run_clocks : clocks of each run, of the RTL and of the cycle model.
    clocks_per_iteration : of the RTL in the first run; a fraction if they were not all equal.
    predicted_clocks_per_iteration : of the cycle model.
    outputs : of the RTL, for every sample of every run; shape (samples, outputs).
    weights : of the golden model at the end, which the RTL's equal if there is no mismatch.
    clocks_per_second : of simulation.
    every_weight : whether each weight was compared after each sample.
    """

    samples: int
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


def simulate(
    schedule: Schedule,
    weights: Weights,
    runs: Sequence[Run],
    *,
    waves: Path | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    keep: Path | None = None,
    seed: int = 1,
    optimize: int = 1,
    gap: int = 0,
) -> Simulation:
    """Run the RTL of `schedule` and both models over `runs` and compare them.

    Parameters
    ----------
    schedule : of the machine.
    weights : to start from.
    runs : one after the other, each from the weights that the one before left.
    waves : file for the waves (VCD).
    progress : called with what is being done, how much of it is done, and of how much.
    keep : folder for the bench's files; a temporary one by default.
    seed : of uninitialised memories in the simulation.
    optimize : the C++ compiler's level, see sim.simulator.build; 0 suits short runs.

    gap : the words of the stream come with gaps of 0 to so many clocks, at random, and the run
        starts with the first sample. Clocks are then compared within each sample only.

    Raises ToolError when the simulator is missing or fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        progress("building the simulator", 0, 1)
        build = _build(schedule, folder, waves is not None, optimize)
        progress("building the simulator", 1, 1)
        _write_stimulus(schedule, weights, runs, folder)
        total = sum(len(run.inputs) for run in runs)
        every_weight = total * len(flatten(weights)) <= _MOST_LOGGED
        began = time.monotonic()
        _run(schedule, build, runs, folder, every_weight, waves, progress, seed, gap)
        seconds = time.monotonic() - began
        expected, golden = _expect(schedule, weights, runs, every_weight, progress)
        checker = Checker(expected, folder)
        checker.check(golden.weights, gaps=gap > 0)
        return _result(checker, golden, seconds, every_weight)


def _result(checker: Checker, golden: Golden, seconds: float, every_weight: bool) -> Simulation:
    expected = checker.expected
    clocks = checker.run_clocks()
    pairs = zip(expected.models, expected.starts, strict=False)
    predicted = [model.run_clocks(starts) for model, starts in pairs]
    intervals = checker.intervals()
    measured = float(intervals.mean()) if len(intervals) else float(predicted[0])
    return Simulation(
        samples=expected.samples,
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


def _build(schedule: Schedule, folder: Path, waves: bool, optimize: int) -> simulator.Build:
    verilog = folder / "core.v"
    verilog.write_text(to_verilog(Core(schedule)), encoding="utf-8")
    bench = folder / "core_bench.sv"
    # One file: the cache goes by the contents of the sources.
    header = _header(schedule)
    source = (BENCH / "core_bench.sv").read_text(encoding="utf-8")
    bench.write_text(source.replace('`include "core_bench.vh"\n', header), encoding="utf-8")
    pe = ProcessingElement(schedule)
    inputs = [port["name"] for port in port_list(pe) if port["direction"] == "input"]
    return simulator.build(
        [verilog, bench],
        "core_bench",
        public=("finished", "trained", "run"),
        repeated={pe.module_name: inputs},
        waves=waves,
        optimize=optimize,
    )


def _header(schedule: Schedule) -> str:
    """The macros of core_bench.sv."""
    design = schedule.design
    address = WeightAddress(design)
    pes = range(design.processing_elements)
    sums = ", ".join(f"dut.neurons.pe_{index}.sum" for index in reversed(pes))
    lines = [
        f"`define CORE {design.name}",
        f"`define ADDRESS_BITS {address.bank_bits + address.word_bits}",
        f"`define SUMS {{{sums}}}",
    ]
    if design.bias_words:
        latency = 1 + schedule.latencies.adder
        lines.append("`define HAS_BIAS_BANK")
        lines.append(f"`define BIAS_WRITE update_{latency}")
        lines.append(f"`define BIAS_ADDRESS update_address_{latency}")
    if design.input_deltas:
        lines.append("`define HAS_INPUT_DELTAS")
    if design.batch > 1:
        lines.append(f"`define BATCH_BITS {design.batch.bit_length()}")
    lines.append(f"`define RECORD_WORDS {design.record_words}")
    return "\n".join([*lines, ""])


def _write_stimulus(
    schedule: Schedule, weights: Weights, runs: Sequence[Run], folder: Path
) -> None:
    design = schedule.design
    port = WeightAddress(design)
    where = np.array([port.encode(*place) for place in addresses(design)], np.uint32)
    records = np.stack([where, flatten(weights).view(np.uint32)], axis=1)
    # The bench's $fread takes the first byte as the highest.
    (folder / "weights.bin").write_bytes(records.astype(">u4").tobytes())
    (folder / "runs.bin").write_bytes(b"".join(map(_run_words, runs)))
    samples = [np.concatenate([run.inputs, run.labels], axis=1) for run in runs]
    (folder / "samples.bin").write_bytes(np.concatenate(samples).astype(">f4").tobytes())


def _run_words(run: Run) -> bytes:
    """What core_bench.sv reads of a run."""
    learning = run.learning
    step, floor = learning.words(run.batch)
    counts = len(run.inputs), run.infer, run.batch, learning.halve_every, learning.age
    return struct.pack(">5I2f", *counts, step, floor)


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
) -> None:
    counts = [len(run.inputs) for run in runs]
    starved = schedule.design.record_words * gap
    clocks = sum(counts) * (schedule.clocks_per_iteration + starved)
    words = len(addresses(schedule.design)) + schedule.design.record_words * (
        schedule.design.buffer_vectors + 1
    )
    before = [sum(counts[:index]) for index in range(len(counts) + 1)]

    def on_line(line: str) -> None:
        if line.startswith("progress "):
            run, trained = map(int, line.split()[1:])
            done = before[run] + (trained if run < len(counts) else 0)
            progress("simulating the RTL", min(done, before[-1]), before[-1])

    progress("simulating the RTL", 0, before[-1])
    log = folder / "simulation.log"
    try:
        simulator.run(
            build,
            "sim.bench.core_bench",
            log=log,
            plusargs=[f"+gap={gap}", *(["+weights"] if every_weight else [])],
            env={
                # Half as long again as it takes, and time to load and read weights and samples.
                "GRADWIRE_MOST_CLOCKS": str(clocks * 3 // 2 + 3 * words + 10_000),
                "GRADWIRE_PROGRESS_CLOCKS": str(max(1000, clocks // 200)),
            },
            waves=waves,
            seed=seed,
            on_line=on_line,
        )
    except ToolError as error:
        # The folder may be a temporary one: what the tool said shall outlive it.
        kept = tool.cache_dir() / "simulation.log"
        shutil.copy(log, kept)
        raise ToolError(str(error).replace(str(log.absolute()), str(kept))) from None
    progress("simulating the RTL", before[-1], before[-1])


def _expect(
    schedule: Schedule,
    weights: Weights,
    runs: Sequence[Run],
    every_weight: bool,
    progress: Progress,
) -> tuple[Expected, Golden]:
    expected = Expected(schedule, runs)
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
