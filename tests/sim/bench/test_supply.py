"""Training on samples from SDRAM: the RTL against both models, in every bit and every clock."""

import numpy as np
import pytest

from hw.design import SAMPLE_FORMATS, Design
from hw.errors import InputError
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import CHIPS, SdramTiming, find_chip
from sim.bench.run import Run, Simulation, simulate
from sim.cycles import CycleModel
from sim.golden import LearningRate, initial_weights
from sim.order import run_order
from sim.supply import Epochs

IN_MAIN_TIER = 6


def run(design: Design, samples: int, epochs: Epochs, **options) -> Run:
    rng = np.random.default_rng(epochs.first)
    inputs = (rng.integers(0, 256, (epochs.records, design.layers[0])) / 256).astype(np.float32)
    labels = (rng.random((epochs.records, design.layers[-1])) > 0.5).astype(np.float32)
    order = run_order(epochs.records, samples, epochs.seed)
    return Run(inputs[order], labels[order], LearningRate(rate=0.3), epochs=epochs, **options)


def check(design: Design, runs: list[Run], timing: SdramTiming, **options) -> Simulation:
    weights = initial_weights(design.layers, 1)
    found = simulate(make_schedule(design), weights, runs, timing=timing, **options)
    assert found.mismatches == 0, f"{design}, {timing.name}: {found.first}"
    assert found.run_clocks == found.predicted_run_clocks
    assert found.samples == tuple(len(run.inputs) for run in runs)
    return found


def random_design(rng: np.random.Generator) -> Design:
    """Many inputs and few neurons, so that some wait for samples, and others do not."""
    sizes = [rng.integers(1, 60), *rng.integers(1, 9, rng.integers(1, 3))]
    vectors = 1 << int(rng.integers(1, 7))
    return Design(
        layers=tuple(map(int, sizes)),
        processing_elements=int(rng.integers(1, 17)),
        mapping=tuple(rng.choice(["row", "column"], len(sizes) - 1).tolist()),
        buffer_vectors=vectors,
        buffer_parts=min(vectors, 1 << int(rng.integers(0, 4))),
        batch=int(rng.integers(1, 5)),
        sample_format=str(rng.choice(SAMPLE_FORMATS)),
        memory=str(rng.choice(["distributed"] * 4 + ["unified"])),
    )


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[pytest.mark.slow] if seed >= IN_MAIN_TIER else [])
        for seed in range(60)
    ],
)
def test_random_designs_chips_and_orders(seed):
    rng = np.random.default_rng(seed)
    design = random_design(rng)
    chip = find_chip(str(rng.choice(list(CHIPS))))
    timing = SdramTiming(chip, float(rng.choice([25, 50, 66, 100])))
    # The second set lies behind the first, across the ends of rows and banks.
    records = rng.integers(1, 100, 2).tolist()
    seeds = [int(rng.integers(1, 1 << 31)) * int(rng.integers(2)) for _ in range(2)]
    first = run(design, 80, Epochs(records[0], 0, seeds[0]), batch=design.batch)
    infer = run(design, 40, Epochs(records[1], records[0], seeds[1]), infer=True)
    check(design, [first, infer, first], timing, optimize=0)


def test_more_records_than_the_chip_has_room_for():
    design = Design(layers=(3, 1), processing_elements=1, mapping=("row",))
    timing = SdramTiming(find_chip("MT48LC16M16A2-75"), 50)
    runs = [run(design, 1, Epochs(10, first=1 << 21))]
    with pytest.raises(InputError, match="records must be at most 2097152 in MT48LC16M16A2-75"):
        simulate(make_schedule(design), initial_weights((3, 1), 1), runs, timing=timing)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pes", "sample_format", "waits"), [(100, "bytes", False), (210, "fp32", True)]
)
def test_the_papers_buffer_at_the_large_network(pes, sample_format, waits):
    """256 vectors, refilled by quarters: the array waits just as long as the cycle model says."""
    design = design_for((784, 100, 100, 10), pes, sample_format=sample_format)
    timing = SdramTiming(find_chip("MT48LC16M16A2-75"), 50)
    runs = [run(design, 600, Epochs(500, seed=7))]
    found = check(design, runs, timing)
    model = CycleModel(make_schedule(design))
    assert (found.run_clocks[0] > model.run_clocks(model.starts(600))) == waits
