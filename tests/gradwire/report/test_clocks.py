"""The schedule that a report tells is the cycle model's."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradwire.report.clocks import clocks, shares
from hw.design import MAPPINGS, MEMORIES, Design
from hw.schedule import design_for, make_schedule
from sim.cycles import CycleModel


@st.composite
def designs(draw):
    layers = tuple(draw(st.lists(st.integers(1, 20), min_size=2, max_size=4)))
    count = len(layers) - 1
    return Design(
        layers=layers,
        processing_elements=draw(st.integers(1, 8)),
        mapping=tuple(draw(st.lists(st.sampled_from(MAPPINGS), min_size=count, max_size=count))),
        memory=draw(st.sampled_from(MEMORIES)),
    )


@settings(max_examples=30)
@given(designs())
def test_busy_shares_are_those_of_the_iteration(design):
    schedule = make_schedule(design)
    found = shares(schedule)
    assert len(found) == min(160, schedule.clocks_per_iteration)
    assert found.mean() == pytest.approx(schedule.multiply_add_busy)
    assert found.min() >= 0 and found.max() <= 1 + 1e-9


@settings(max_examples=30)
@given(designs())
def test_bars_are_the_phases(design):
    schedule = make_schedule(design)
    found = clocks(schedule, "gradwire clocks")
    phases = CycleModel(schedule).phases()
    assert [(b.unit, b.layer, b.start, b.issued - b.start) for b in found.bars] == [
        (p.name, p.layer, p.start, p.clocks) for p in phases
    ]
    assert all(bar.end > bar.start for bar in found.bars)
    assert sum(bar.multiply_adds for bar in found.bars) == design.useful_multiply_adds


def test_figures_of_the_small_network():
    found = clocks(make_schedule(design_for((3, 3, 3, 1))), "gradwire clocks 3-3-3-1")
    assert (found.per_iteration, found.per_sample, found.paper) == (70, 70, 442)
    assert found.multiply_adds == 54 and found.limit == 18


def test_batches_overlap():
    design = design_for((4, 8, 3), 8, batch=8)
    schedule = make_schedule(design)
    found = clocks(schedule, "")
    assert found.per_sample > found.per_iteration
    # Within a batch, the array is busier than between batches.
    busy = design.useful_multiply_adds / (8 * schedule.clocks_per_iteration)
    assert shares(schedule).mean() == pytest.approx(busy)
    exact = make_schedule(dataclasses.replace(design, batch=1))
    assert exact.clocks_per_iteration > found.per_iteration
