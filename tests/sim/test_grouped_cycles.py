"""When the groups' iterations begin; that the RTL's do is shown in tests/sim/bench."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import MAPPINGS
from hw.grouping import clocks_of_groups, grouped_design_for
from hw.pipeline import make_grouped_schedule
from hw.pipelining import KINDS
from hw.schedule import design_for, make_schedule
from sim.cycles import CycleModel
from sim.grouped_cycles import GroupedCycleModel

SAMPLES = 23  # of a run


@st.composite
def machines(draw, kinds=KINDS):
    """Schedules of 1 to 4 groups."""
    count = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 9), min_size=count + 1, max_size=count + 1))
    cuts = draw(st.sets(st.integers(1, count - 1), max_size=3)) if count > 1 else set()
    ends = [0, *sorted(cuts), count]
    parts = [sizes[a : b + 1] for a, b in itertools.pairwise(ends)]
    pes = [draw(st.integers(1, 6)) for _ in parts]
    kind = draw(st.sampled_from(kinds))
    text = "/".join("-".join(map(str, part)) for part in parts)
    mapping = [draw(st.sampled_from(MAPPINGS)) for _ in range(count)]
    for end in sorted(cuts):
        mapping[end - 1] = "column"
    design = grouped_design_for(
        None,
        f"{text}:{','.join(map(str, pes))}",
        kind,
        batch=draw(st.integers(1, 5)) if kind == "fill-drain" else None,
        mapping=tuple(mapping),
        multiplier_stages=2,
        adder_stages=draw(st.integers(2, 5)),
    )
    return make_grouped_schedule(design)


def begun(model, starts, group, batch):
    """Clocks in which each sample begins in a group."""
    return starts[group][model.groups[group].iterations(SAMPLES, batch)]


@settings(max_examples=40, deadline=None)
@given(machines(), st.booleans(), st.integers(0, 3))
def test_nothing_is_used_before_it_is_there(schedule, infer, seed):
    """Samples, activations, deltas, and room; and no iteration cuts the one before short."""
    model = GroupedCycleModel(schedule, infer=infer)
    batch = schedule.design.batch
    rng = np.random.default_rng(seed)
    late = np.cumsum(rng.integers(0, 400, SAMPLES)) if seed else None
    starts = model.starts(SAMPLES, batch, complete=late)
    at = [begun(model, starts, group, batch) for group in range(len(starts))]
    for group, each in enumerate(model.groups):
        assert (np.diff(starts[group]) >= each.program.interval).all()
        iterations = each.iterations(SAMPLES, batch)
        if late is not None and group == 0:
            assert (at[0] >= late + schedule.groups[0].load_clocks).all()
        if group + 1 == len(starts):
            continue
        above, upper = schedule.groups[group + 1], model.groups[group + 1]
        made = each.activations().at(starts[group], iterations)[:, -1]
        assert (at[group + 1] > made).all()
        # At most so many samples have begun here and not yet above, this one included.
        for sample in range(above.ahead, SAMPLES):
            assert at[group][sample] > at[group + 1][sample - above.ahead]
        if not infer:
            came = upper.deltas().at(starts[group + 1], upper.iterations(SAMPLES, batch))[:, -1]
            lag = schedule.design.designs[group].lag
            assert (starts[group][iterations + lag] > came).all()


@settings(max_examples=10, deadline=None)
@given(
    layers=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    pes=st.integers(1, 6),
    infer=st.booleans(),
    samples=st.integers(0, 30),
    gaps=st.booleans(),
)
def test_one_group_is_one_array(layers, pes, infer, samples, gaps):
    text = f"{'-'.join(map(str, layers))}:{pes}"
    grouped = make_grouped_schedule(grouped_design_for(None, text, "sequential"))
    late = {}
    if gaps:
        complete = np.cumsum(np.random.default_rng(samples).integers(0, 99, samples))
        late = {"complete": complete, "taken": -5}
    model = GroupedCycleModel(grouped, infer=infer)
    alone = CycleModel(make_schedule(design_for(tuple(layers), pes)), infer=infer)
    (found,) = model.starts(samples, **late)
    assert found.tolist() == alone.starts(samples, **late).tolist()
    assert model.run_clocks([found]) == alone.run_clocks(found)


@settings(max_examples=15, deadline=None)
@given(machines(("delayed",)))
def test_in_the_steady_state_the_slowest_group_sets_the_pace(schedule):
    """All others wait for it, and it for no other."""
    slowest = max(group.clocks_per_iteration for group in schedule.groups)
    assert GroupedCycleModel(schedule).clocks_per_sample() == slowest


def test_clocks_per_sample_are_those_of_a_long_run():
    for kind, batch in (("sequential", None), ("fill-drain", 4), ("ping-pong", None)):
        design = grouped_design_for(None, "5-6/6-4/4-2:3,2,2", kind, batch=batch)
        model = GroupedCycleModel(make_grouped_schedule(design))
        few, many = (
            model.run_clocks(model.starts(count, design.batch), design.batch)
            for count in (400, 1200)
        )
        assert model.clocks_per_sample(design.batch) == pytest.approx((many - few) / 800, rel=1e-3)


def test_schedules_are_faster_the_less_they_wait():
    found = {}
    for kind in KINDS:
        batch = 4 if kind == "fill-drain" else None
        design = grouped_design_for(None, "12-12/12-12/12-4:6,6,4", kind, batch=batch)
        model = GroupedCycleModel(make_grouped_schedule(design))
        found[kind] = model.clocks_per_sample(design.batch)
        assert found[kind] >= max(clocks_of_groups(design))
    assert found["sequential"] > found["fill-drain"] > found["delayed"] == found["ping-pong"]


def test_a_run_of_no_samples():
    schedule = make_grouped_schedule(grouped_design_for(None, "3-2/2-1:1,1", "delayed"))
    assert [len(each) for each in GroupedCycleModel(schedule).starts(0)] == [0, 0]


@pytest.mark.parametrize(
    "groups, kind, batch, mapping, multiplier, adder",
    [
        # In the group above deltas took so many iterations that they came too late.
        ("6-5/5-4/4-2-1:3,2,2", "fill-drain", 3, "c c c r", 2, 3),
        ("10-10/10-2-4-4:2,12", "fill-drain", 5, "c r r c", 4, 6),
        # Activations of the second group did.
        ("12-3/3-1-5-9/9-11:9,6,6", "sequential", None, "c c r c c", 4, 8),
        # In runs that only infer, for want of room in the group above.
        ("8-3-4-10-8/8-11:4,2", "fill-drain", 5, "c c c c c", 5, 8),
    ],
)
def test_groups_that_would_wait_for_each_other(groups, kind, batch, mapping, multiplier, adder):
    design = grouped_design_for(
        None,
        groups,
        kind,
        batch=batch,
        mapping=tuple({"c": "column", "r": "row"}[each] for each in mapping.split()),
        multiplier_stages=multiplier,
        adder_stages=adder,
    )
    schedule = make_grouped_schedule(design)
    for infer in (False, True):
        starts = GroupedCycleModel(schedule, infer=infer).starts(20, design.batch)
        assert all(len(each) >= 20 for each in starts)
