"""The RTL of machines of groups against both models."""

import dataclasses
import itertools

import numpy as np
import pytest

from hw.design import ACTIVATIONS, SAMPLE_FORMATS
from hw.grouping import grouped_design_for
from hw.groups import GroupedDesign
from hw.pipeline import make_grouped_schedule
from hw.pipelining import KINDS
from hw.schedule import design_for, make_schedule
from sim.bench.grouped import simulate_groups
from sim.bench.log import Run, flatten
from sim.bench.run import Simulation, simulate
from sim.golden import LearningRate, initial_weights
from sim.grouped import GroupedGolden
from sim.grouped_cycles import GroupedCycleModel
from tests.sim.bench.test_run import interrupting, random_run

IN_MAIN_TIER = 10


def check(design: GroupedDesign, runs: list[Run], seed: int = 1, **options) -> Simulation:
    found = simulate_groups(
        make_grouped_schedule(design),
        initial_weights(design.layers, seed),
        runs,
        optimize=0,
        **options,
    )
    assert found.mismatches == 0, f"{design}, seed {seed}: {found.first}"
    assert found.run_clocks == found.predicted_run_clocks
    assert found.samples == tuple(len(run.inputs) for run in runs)
    assert found.every_weight
    return found


def random_groups(seed: int) -> GroupedDesign:
    """A network of 2 to 6 layers of weights in 2 to 5 groups, of any kind."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 7))
    layers = rng.integers(1, 25, count + 1).tolist()
    cuts = np.sort(rng.choice(np.arange(1, count), min(count, int(rng.integers(2, 6))) - 1, False))
    ends = [0, *cuts.tolist(), count]
    parts = ["-".join(map(str, layers[a : b + 1])) for a, b in itertools.pairwise(ends)]
    pes = ",".join(str(rng.integers(1, 17)) for _ in parts)
    return grouped_design_for(
        None,
        f"{'/'.join(parts)}:{pes}",
        # Four of five are delayed or ping-pong.
        KINDS[seed % 2 + 2] if seed % 5 else KINDS[seed % 2],
        activation=",".join(rng.choice(ACTIVATIONS, count)),
        subnormals=str(rng.choice(["flush", "ieee"])),
        multiplier_stages=int(rng.integers(2, 7)),
        adder_stages=int(rng.integers(2, 9)),
        table_entries=1 << int(rng.integers(4, 12)),
        table_degree=int(rng.integers(3)),
        buffer_vectors=1 << int(rng.integers(1, 6)),
        sample_format=str(rng.choice(SAMPLE_FORMATS)),
        broadcast_stages=max(0, int(rng.integers(-3, 4))),
        batch=int(rng.integers(2, 9)) if seed % 10 == 5 else None,
    )


def group_run(design: GroupedDesign, samples: int, seed: int, **options) -> Run:
    rng = np.random.default_rng(seed)
    learning = LearningRate(
        rate=0.3,
        halve_every=int(rng.integers(0, 8)),
        floor=float(rng.choice([0, 0.05])),
        age=int(rng.integers(0, 5)),
    )
    first = dataclasses.replace(design.designs[0], stage=None, lanes=1)
    whole = dataclasses.replace(
        first,
        layers=design.layers,
        mapping=design.mapping,
        activation=",".join(design.activations),
    )
    run = random_run(whole, samples, seed, **options)
    return dataclasses.replace(run, learning=learning, batch=design.batch)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[pytest.mark.slow] if seed >= IN_MAIN_TIER else [])
        for seed in range(80)
    ],
)
def test_random_designs(seed):
    """Most with samples that come late, at random moments."""
    design = random_groups(seed)
    gap = {}
    if seed % 8 != 7:
        clocks = GroupedCycleModel(make_grouped_schedule(design)).clocks_per_sample(design.batch)
        gap = {"gap": int(4 * clocks) // design.designs[0].record_words + 1}
    runs = [
        group_run(design, 13, seed),
        group_run(design, 6, seed + 1, infer=True),
        group_run(design, 8, seed + 2),
    ]
    check(design, runs, seed, **gap)


@pytest.mark.parametrize(
    ("groups", "lanes", "schedule", "options"),
    [
        ("8-6/6-3:6,3", 3, "delayed", {}),
        ("9-6/6-4/4-3:6,3,2", 2, "ping-pong", {"broadcast_stages": 2}),
        # Four inputs at once.
        ("16-20/20-6-3:40,3", 5, "fill-drain", {"sample_format": "bytes", "batch": 3}),
        ("8-6/6-3:8,3", 2, "delayed", {"sample_format": "bytes", "activation": "tanh"}),
    ],
)
@pytest.mark.parametrize("gap", [0, 20])
def test_lanes(groups, lanes, schedule, options, gap):
    design = grouped_design_for(None, groups, schedule, **options)
    first = dataclasses.replace(design.designs[0], lanes=lanes)
    design = dataclasses.replace(design, designs=(first, *design.designs[1:]))
    runs = [group_run(design, 12, 1), group_run(design, 5, 2, infer=True), group_run(design, 7, 3)]
    check(design, runs, gap=gap)


def test_fill_drain_is_the_mini_batch_of_one_array():
    """Bit for bit: with as many PEs in each group as in one array, sums are made alike."""
    mapping = ("row", "column", "column")
    options = {"mapping": mapping, "activation": "tanh,relu,sigmoid", "batch": 16}
    groups = grouped_design_for(None, "9-8-7/7-4:5,5", "fill-drain", **options)
    one = design_for((9, 8, 7, 4), 5, **options)
    run = dataclasses.replace(random_run(one, 50, 1), batch=16)
    weights = initial_weights(one.layers, 1)
    piped, plain = check(groups, [run]), simulate(make_schedule(one), weights, [run], optimize=0)
    assert plain.mismatches == 0
    assert flatten(piped.weights).tobytes() == flatten(plain.weights).tobytes()
    assert piped.outputs.tobytes() == plain.outputs.tobytes()


def test_sequential_groups_train_as_one_array():
    options = {"mapping": ("column",) * 3, "activation": "relu,relu,sigmoid"}
    groups = grouped_design_for(None, "9-8/8-7/7-4:5,5,5", "sequential", **options)
    one = design_for((9, 8, 7, 4), 5, **options)
    run = random_run(one, 20, 1)
    weights = initial_weights(one.layers, 1)
    piped, plain = check(groups, [run]), simulate(make_schedule(one), weights, [run], optimize=0)
    assert flatten(piped.weights).tobytes() == flatten(plain.weights).tobytes()


def test_one_wrong_weight_is_found(monkeypatch):
    train = GroupedGolden.train

    def wrong(golden: GroupedGolden, *args: object) -> object:
        """Wrong in one bit of one weight of the second group, after its first update."""
        for step in train(golden, *args):
            if step[:2] == (1, 2):
                step[3].weights[0].view(np.uint32)[0, 0] ^= 1
            yield step

    monkeypatch.setattr(GroupedGolden, "train", wrong)
    design = grouped_design_for(None, "5-4/4-3:3,3", "delayed")
    found = simulate_groups(
        make_grouped_schedule(design),
        initial_weights(design.layers, 1),
        [group_run(design, 10, 1)],
        optimize=0,
    )
    assert found.mismatches > 0
    assert (found.first.sample, found.first.layer) == (2, 2)
    assert found.first.index.startswith("group 1")


@pytest.mark.parametrize(
    ("schedule", "batch"), [("delayed", None), ("ping-pong", None), ("fill-drain", 3)]
)
def test_ctrl_c_ends_the_run_after_its_batch(schedule, batch):
    design = grouped_design_for(None, "5-4/4-3-3/3-2:3,4,2", schedule, batch=batch)
    run = group_run(design, 4001, 1)
    found = simulate_groups(
        make_grouped_schedule(design),
        initial_weights(design.layers, 1),
        [run, run],
        progress=interrupting(1),
        optimize=0,
    )
    first, second = found.samples
    assert found.interrupted
    assert 0 < first < 4001
    assert (first % design.batch, second) == (0, 0)
    assert (found.mismatches, len(found.outputs)) == (0, first), found.first
    assert found.run_clocks == found.predicted_run_clocks
