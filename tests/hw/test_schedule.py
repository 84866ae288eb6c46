import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import Design
from hw.errors import InputError
from hw.schedule import (
    FORWARD,
    GRADIENT_DESCENT,
    UPDATE,
    Latencies,
    design_for,
    make_schedule,
)


@st.composite
def schedules(draw):
    count = draw(st.integers(1, 4))
    layers = tuple(draw(st.lists(st.integers(1, 20), min_size=count + 1, max_size=count + 1)))
    mapping = tuple(
        draw(st.lists(st.sampled_from(["row", "column"]), min_size=count, max_size=count))
    )
    design = Design(
        layers=layers,
        processing_elements=draw(st.integers(1, 20)),
        mapping=mapping,
        multiplier_stages=draw(st.integers(2, 6)),
        adder_stages=draw(st.integers(2, 8)),
        input_deltas=mapping[0] == "row" and draw(st.booleans()),
    )
    return make_schedule(design)


@settings(max_examples=150)
@given(schedules())
def test_a_slot_a_clock_even_across_samples(schedule):
    """No two operations share an issue or a slot, in one iteration or with the next."""
    issues = np.concatenate([op.start + np.arange(op.clocks) for op in schedule.operations])
    slots = np.concatenate([op.at(op.slots).ravel() for op in schedule.operations])
    for clocks in (issues, slots % schedule.interval):
        assert len(np.unique(clocks)) == len(clocks)
    assert issues.min() == 0
    assert issues.max() < schedule.interval


@settings(max_examples=150)
@given(schedules())
def test_weights_are_written_before_the_next_sample_reads_them(schedule):
    ops = {(op.unit, op.layer.number): op for op in schedule.operations}
    for layer in schedule.design.weight_layers:
        read = ops[FORWARD, layer.number]
        update = ops[GRADIENT_DESCENT, layer.number]
        written = update.at(update.slots) + schedule.latencies.sum
        assert (read.at(read.slots) + schedule.interval > written).all()
        back = ops.get(("backpropagation", layer.number))
        if back is not None:
            old = written[:, back.skip :]
            assert (back.at(back.slots) <= old).all()


@settings(max_examples=50)
@given(schedules())
def test_the_limit_is_a_limit(schedule):
    assert schedule.clocks_per_iteration >= schedule.design.limit_clocks
    assert 0 < schedule.multiply_add_busy <= 1
    words = sum(op.layer.words for op in schedule.operations if op.operation == UPDATE)
    assert words == schedule.design.bank_words


def test_latencies_are_read_off_the_components():
    design = Design(
        layers=(3, 1), processing_elements=3, mapping=("row",), multiplier_stages=5, adder_stages=7
    )
    lat = Latencies.of(design)
    assert (lat.multiplier, lat.adder, lat.depth, lat.carry_path) == (5, 7, 2, 2)


def test_the_best_mapping_is_no_worse_than_any():
    best = make_schedule(design_for((5, 4, 7, 2), 3)).clocks_per_iteration
    for mapping in (("row",) * 3, ("column",) * 3, ("row", "column", "row")):
        given = make_schedule(design_for((5, 4, 7, 2), 3, mapping=mapping))
        assert given.clocks_per_iteration >= best


def test_many_layers_find_a_mapping():
    design = design_for((3,) * 9, 2)
    assert len(design.mapping) == 8


def test_processing_elements_default_to_the_widest_layer():
    assert design_for((784, 30, 10)).processing_elements == 30


def test_input_deltas_choose_a_row():
    assert design_for((4, 1), 1, input_deltas=True).mapping == ("row",)
    with pytest.raises(InputError, match="row-mapped first layer"):
        design_for((4, 1), 1, input_deltas=True, mapping=("column",))


def test_clocks_of_the_reference_machines():
    """What the issues ask for, and a little less: a worse schedule must be meant."""

    def clocks(layers, pes, **options):
        return make_schedule(design_for(layers, pes, **options)).clocks_per_iteration

    assert clocks((3, 3, 3, 1), 3) <= 70
    assert clocks((2, 1), 1, input_deltas=True) <= 28
    assert clocks((128, 1), 1, input_deltas=True) <= 411
    assert clocks((784, 100, 100, 10), 100) <= 2043
    assert clocks((784, 100, 100, 10), 32) <= 6457
    assert clocks((784, 100, 100, 10), 210) <= 1255


def test_stages_suit_the_network():
    """Short pipelines where latency counts, fast ones where frequency does; or as given."""
    small, large = design_for((3, 3, 3, 1)), design_for((784, 100, 10), 100)
    assert small.adder_stages < large.adder_stages
    assert small.multiplier_stages < large.multiplier_stages
    given = design_for((784, 100, 10), 100, multiplier_stages=5)
    assert (given.multiplier_stages, given.adder_stages) == (5, 3)
