"""The RTL against both models."""

import dataclasses
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from hw.core import Core
from hw.design import ACTIVATIONS, SAMPLE_FORMATS, Design
from hw.errors import InputError
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog
from sim.bench.log import Checker, Expected, expect
from sim.bench.run import Run, simulate
from sim.golden import Golden, LearningRate, initial_weights
from sim.initial import seeded_weights

SAMPLES = 20
IN_MAIN_TIER = 30


def random_run(design: Design, samples: int, seed: int, rate: float = 0.3, **options) -> Run:
    rng = np.random.default_rng(seed)
    shape = samples, design.layers[0]
    if design.sample_format == "bytes":
        inputs = (rng.integers(0, 256, shape) / 256).astype(np.float32)
    else:
        inputs = rng.standard_normal(shape).astype(np.float32)
    labels = (rng.random((samples, design.layers[-1])) > 0.5).astype(np.float32)
    return Run(inputs, labels, LearningRate(rate=rate), **options)


def check(design: Design, runs: list[Run], seed: int = 1, **options) -> None:
    found = simulate(
        make_schedule(design), initial_weights(design.layers, seed), runs, optimize=0, **options
    )
    assert found.mismatches == 0, f"{design}, seed {seed}: {found.first}"
    assert found.run_clocks == found.predicted_run_clocks
    assert found.samples == tuple(len(run.inputs) for run in runs)
    assert len(found.outputs) == sum(found.samples)
    assert not found.interrupted
    assert found.every_weight


def random_design(seed: int) -> Design:
    """A network of 1 to 5 layers of weights, sizes 1 to 40, on 1 to 48 PEs, of any kind.

    Every fifth one has one memory for all weights, and fewer PEs: it takes long.
    """
    rng = np.random.default_rng(seed)
    layers = tuple(rng.integers(1, 41, rng.integers(2, 7)).tolist())
    mapping = tuple(rng.choice(["row", "column"], len(layers) - 1).tolist())
    pes = int(rng.integers(1, 49))
    unified = seed % 5 == 1
    design = Design(
        layers=layers,
        processing_elements=min(pes, 1 + pes // 4) if unified else pes,
        mapping=mapping,
        memory="unified" if unified else "distributed",
        activation=",".join(rng.choice(ACTIVATIONS, len(layers) - 1)),
        subnormals=str(rng.choice(["flush", "ieee"])),
        multiplier_stages=int(rng.integers(2, 7)),
        adder_stages=int(rng.integers(2, 9)),
        input_deltas=mapping[0] == "row" and bool(rng.integers(2)),
        table_entries=1 << int(rng.integers(4, 12)),
        table_degree=int(rng.integers(3)),
        buffer_vectors=1 << int(rng.integers(1, 6)),
        batch=int(rng.integers(1, 9)),
        sample_format=str(rng.choice(SAMPLE_FORMATS)),
        broadcast_stages=0 if unified else max(0, int(rng.integers(-3, 4))),
    )
    try:
        with_loss = dataclasses.replace(design, loss=True)
        make_schedule(with_loss)
    except InputError:
        return design  # a sample takes less time than its loss
    return with_loss if seed % 2 else design


def random_runs(design: Design, seed: int) -> list[Run]:
    """Training in batches, some of them short, with a rate that falls; forward passes; training."""
    rng = np.random.default_rng(seed)
    learning = LearningRate(
        rate=0.3,
        halve_every=int(rng.integers(0, 8)),
        floor=float(rng.choice([0, 0.05])),
        age=int(rng.integers(0, 5)),
    )
    sizes = rng.integers(1, design.batch + 1, 2).tolist()
    first, last = (
        dataclasses.replace(random_run(design, SAMPLES // 2, seed + k), batch=size)
        for k, size in enumerate(sizes)
    )
    first = dataclasses.replace(first, learning=learning)
    return [first, random_run(design, SAMPLES // 4, seed, infer=True), last]


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[pytest.mark.slow] if seed >= IN_MAIN_TIER else [])
        for seed in range(200)
    ],
)
def test_random_designs(seed):
    """Every third one with samples that come late, at random moments."""
    design = random_design(seed)
    gap = {}
    if seed % 3 == 0:
        gap = {"gap": 4 * make_schedule(design).clocks_per_iteration // design.record_words + 1}
    check(design, random_runs(design, seed), seed, **gap)


def test_best_mapping_of_the_default_trains_and_infers():
    design = design_for((3, 3, 3, 1))
    train, test = random_run(design, 50, 1), random_run(design, 30, 2, infer=True)
    check(design, [train, test, train])


@pytest.mark.parametrize("mapping", [("row", "column", "row"), ("column", "row", "column")])
def test_a_core_that_makes_its_weights_itself(mapping):
    design = Design(
        layers=(5, 7, 4, 3), processing_elements=3, mapping=mapping, seeded_weights=True
    )
    runs = [random_run(design, SAMPLES, 1)]
    found = simulate(
        make_schedule(design), seeded_weights(design, 9), runs, initialize=9, optimize=0
    )
    assert found.mismatches == 0, found.first
    other = simulate(
        make_schedule(design), seeded_weights(design, 9), runs, initialize=8, optimize=0
    )
    assert other.mismatches > 0


def test_values_that_overflow_and_vanish():
    """Infinities, NaN and subnormals come out as the golden model says."""
    design = design_for((3, 4, 2), 4, subnormals="ieee")
    run = random_run(design, 30, 5, rate=1e30)
    run.inputs[3:6] *= np.float32(1e-39)
    run.inputs[10:] *= np.float32(3e37)
    check(design, [run])


def test_flushed_subnormals():
    design = design_for((3, 4, 2), 4, subnormals="flush")
    run = random_run(design, 20, 5, rate=1e-20)
    run.inputs[::2] *= np.float32(1e-30)
    run.inputs[1::4] *= np.float32(1e-39)
    check(design, [run])


def test_late_samples_with_deltas_of_the_inputs():
    """The derivatives of the inputs are made while the sample before may still end."""
    design = Design(layers=(1, 2), processing_elements=6, mapping=("row",), input_deltas=True)
    run = random_run(design, 100, 1)
    check(design, [run])
    check(design, [run], gap=30)


def test_inputs_that_are_flushed_have_no_slope():
    design = Design(
        layers=(3, 2),
        processing_elements=2,
        mapping=("row",),
        activation="relu",
        input_deltas=True,
    )
    run = random_run(design, 20, 1)
    run.inputs[::2] = np.float32(1e-40)
    check(design, [run])


def test_weights_beyond_what_is_logged_enter_checksums(monkeypatch):
    monkeypatch.setattr("sim.bench.run._MOST_LOGGED", 0)
    train = Golden.train

    def wrong(golden: Golden, *args: object, **options: object) -> object:
        """Wrong in one bit of one weight."""
        sample = train(golden, *args, **options)
        golden.weights.weights[1].view(np.uint32)[1, 2] ^= 1
        return sample

    design = Design(layers=(4, 3, 2), processing_elements=2, mapping=("row", "column"))
    schedule, runs = make_schedule(design), [random_run(design, SAMPLES, 1)]
    weights = initial_weights(design.layers, 1)
    found = simulate(schedule, weights, runs, optimize=0)
    assert (found.mismatches, found.every_weight) == (0, False)
    monkeypatch.setattr(Golden, "train", wrong)
    found = simulate(schedule, weights, runs, optimize=0)
    assert found.first is not None
    assert (found.first.sample, found.first.layer) == (0, 2)
    assert found.first.index == "checksum of the weights"


def interrupting(times: int) -> Callable[..., None]:
    """Callback for progress that presses Ctrl-C when the simulation begins."""

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        if (what, done) == ("simulating the RTL", 0):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return progress


def test_ctrl_c_ends_the_run_after_its_batch():
    design = design_for((3, 3, 3, 1), batch=4)
    run = dataclasses.replace(random_run(design, 4001, 1), batch=3)
    before = signal.getsignal(signal.SIGINT)
    found = simulate(
        make_schedule(design),
        initial_weights(design.layers, 1),
        [run, run],
        progress=interrupting(1),
        optimize=0,
    )
    first, second = found.samples
    assert found.interrupted
    assert 0 < first < 4001
    assert (first % 3, second) == (0, 0)
    assert (found.mismatches, len(found.outputs)) == (0, first)
    assert found.run_clocks == found.predicted_run_clocks
    assert signal.getsignal(signal.SIGINT) is before


def test_second_ctrl_c_interrupts():
    design = design_for((3, 3, 3, 1))
    runs = [random_run(design, 10, 1)]
    weights = initial_weights(design.layers, 1)
    with pytest.raises(KeyboardInterrupt):
        simulate(make_schedule(design), weights, runs, progress=interrupting(2), optimize=0)


def test_progress_says_how_fast():
    design = design_for((3, 3, 3, 1))
    said = []
    simulate(
        make_schedule(design),
        initial_weights(design.layers, 1),
        [random_run(design, 20, 1)] * 2,
        progress=lambda *words, note="": said.append((*words, note)),
        optimize=0,
    )
    assert ("simulating the RTL", 40, 40) in [words[:3] for words in said]


def test_a_netlist_stands_in_for_the_core(tmp_path):
    """The core's own Verilog as if it were one; then with the sign of every sum turned."""
    design = Design(layers=(5, 4, 3), processing_elements=2, batch=3, mapping=("row", "column"))
    schedule = make_schedule(design)
    runs = [random_run(design, 10, 1, batch=3), random_run(design, 4, 2, infer=True)]
    weights = initial_weights(design.layers, 1)
    verilog = to_verilog(Core(schedule))
    sums = ".sum({}),\n    .sum_copy"
    broken = verilog.replace(sums.format("sum"), sums.format("sum ^ 32'h80000000"))
    assert broken != verilog
    for text, exact in ((verilog, True), (broken, False)):
        netlist = tmp_path / "netlist.v"
        netlist.write_text(text, encoding="utf-8")
        found = simulate(schedule, weights, runs, optimize=0, netlist=[netlist])
        assert (found.mismatches == 0) == exact
        assert found.run_clocks == found.predicted_run_clocks
        assert found.clocks_per_iteration == found.predicted_clocks_per_iteration
        assert found.samples == (10, 4)
        assert not found.every_weight


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run's files, and what was expected of it."""
    folder = tmp_path_factory.mktemp("recorded")
    design = design_for((3, 3, 3, 1))
    schedule = make_schedule(design)
    weights, run = initial_weights(design.layers, 1), random_run(design, SAMPLES, 1)
    simulate(schedule, weights, [run], keep=folder, optimize=0)
    golden, expected = Golden(design, weights, run.learning), Expected(schedule, [run])
    list(expect(golden, expected, run, every_weight=True))

    def verdict() -> Checker:
        checker = Checker(expected, folder)
        checker.check(golden.weights)
        return checker

    assert verdict().mismatches == 0
    return folder, verdict


@pytest.mark.parametrize(
    ("name", "word", "index"),
    [
        ("activations.log", 2 * 7 * 4 + 1, "activation[0]"),
        ("activations.log", 2 * 7 * 4, "activation[0]"),
        ("deltas.log", 2 * 7 * 4 + 3, "delta[0]"),
        ("weights.log", 5 * 7 * 4 + 3, "weight[0][1]"),
        ("sums.log", 2 * 7 * 4 + 1, "sum[0]"),
        ("sums.log", 2 * 7 * 4, "sum[0]"),
        ("weights.log", 5 * 7 * 4, "write"),
        ("weights.log", 5 * 7 * 4 + 1, "write"),
        ("biases.log", 3 * 7 * 4, "write"),
        ("biases.log", 3 * 7 * 4 + 1, "write"),
        ("biases.log", 3 * 7 * 4 + 2, "bias[0]"),
        ("instructions.log", 2 * 8 * 4, "start of forward"),
        ("instructions.log", 2 * 8 * 4 + 1, "instruction of forward"),
        ("checksums.log", 2 * 3 * 4, "checksum of the weights"),
        ("checksums.log", 2 * 3 * 4 + 3, "checksum of the weights"),
        ("bias_checksums.log", 2 * 3 * 4, "checksum of the biases"),
        ("bias_checksums.log", 2 * 3 * 4 + 3, "checksum of the biases"),
        ("predictions.log", 2 * 4 + 1, "prediction[0]"),
        ("predictions.log", 2 * 4, "prediction[0]"),
        ("runs.log", 0, "clocks of run 0"),
        ("final.log", 0, "weight[0][0]"),
    ],
)
def test_one_wrong_bit_is_found(recorded, name, word, index):
    folder, verdict = recorded
    path = folder / name
    good = path.read_bytes()
    words = np.frombuffer(good, np.uint32).copy()
    words[word] ^= 1
    try:
        path.write_bytes(words.tobytes())
        found = verdict()
        assert found.mismatches == 1
        assert found.first is not None
        assert name in ("runs.log", "final.log") or found.first.sample == 4
        assert found.first.index.startswith(index.split("[")[0])
        assert found.first.expected != found.first.found
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize(
    "name",
    [
        "sums.log",
        "activations.log",
        "deltas.log",
        "weights.log",
        "biases.log",
        "checksums.log",
        "bias_checksums.log",
        "instructions.log",
        "predictions.log",
        "runs.log",
        "final.log",
    ],
)
def test_missing_results_are_found(recorded, name):
    folder, verdict = recorded
    path = folder / name
    good = path.read_bytes()
    try:
        # Half of them; and all but the last bytes, which end in the middle of a sample.
        for kept in (len(good) // 2, len(good) - 20, len(good) - 1):
            path.write_bytes(good[:kept])
            assert verdict().mismatches > 0
        path.write_bytes(b"")
        assert verdict().mismatches > 0
    finally:
        path.write_bytes(good)
