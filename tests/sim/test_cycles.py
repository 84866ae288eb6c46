"""The clocks of machine cycles; that the RTL has them is shown in tests/sim/bench."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import Design
from hw.schedule import make_schedule
from sim.cycles import CycleModel, Timeline


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), max_size=10), max_size=5)
)
def test_a_timeline_counts_the_clocks_of_each_cycle(held):
    timeline, clocks = Timeline(), np.ones(100, int)
    for pairs in held:
        cycles, lasting = np.array(pairs, int).reshape(-1, 2).T
        timeline.hold(cycles, lasting)
        for cycle, count in pairs:
            clocks[cycle] = max(clocks[cycle], count)
        # Whatever has been asked before, what holds a cycle up later counts.
        ends = np.cumsum(clocks) - 1
        assert (timeline.ends(np.arange(-3, 100)) == [-3, -2, -1, *ends]).all()
        for clock in range(ends[-1]):
            assert timeline.cycle(clock) == np.flatnonzero(ends <= clock).max(initial=-1)
        assert timeline.cycle(-7) == -7
        assert timeline.begin(70) == ends[69] + 1


@st.composite
def schedules(draw):
    layers = tuple(draw(st.lists(st.integers(1, 12), min_size=2, max_size=4)))
    return make_schedule(
        Design(
            layers=layers,
            processing_elements=draw(st.integers(1, 8)),
            mapping=tuple(draw(st.sampled_from(["row", "column"])) for _ in layers[1:]),
            batch=draw(st.sampled_from([1, 4, 20])),
            memory="unified",
        )
    )


@settings(max_examples=60)
@given(schedules(), st.booleans())
def test_clocks_of_an_iteration_are_those_of_long_runs(schedule, infer):
    model = CycleModel(schedule, infer=infer)
    program, batch = model.program, schedule.design.batch
    starts = model.starts(60 * batch if batch < 20 else 200, batch)
    timeline = model.timeline(starts, batch)
    begins = [timeline.begin(start) for start in starts.tolist()]
    if infer or not program.drain:
        steady = np.diff(begins)[program.behind + 1 : -program.behind - 2]
        assert set(steady) == {model.clocks_per_iteration}
    of_batch = batch + (0 if infer else program.drain)
    whole = begins[5 * of_batch] - begins[4 * of_batch]
    assert whole == pytest.approx(program.clocks_per_sample(batch) * batch)
    assert program.clocks >= program.interval


def test_late_samples_hold_up_a_machine_with_one_memory():
    """A word comes in the middle of a cycle: its sample has come with the cycle before."""
    design = Design(layers=(6, 5), processing_elements=5, mapping=("row",), memory="unified")
    schedule = make_schedule(design)
    model = CycleModel(schedule)
    regular = model.starts(3)
    timeline = model.timeline(regular)
    due = regular[2] - schedule.load_clocks
    in_time = timeline.end(due)
    for late in range(1, 40):
        complete = np.array([-50, -50, in_time + late])
        starts = model.starts(3, complete=complete)
        waited = model.stalls(starts)
        if timeline.cycle(in_time + late) == due:
            assert waited == 0
        else:
            assert waited > 0
            assert starts[2] >= regular[2] + max(1, schedule.training.tail)
    assert model.stalls(regular) == 0
