import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import MEMORIES, Design
from hw.errors import InputError
from hw.operation import (
    BACKPROPAGATION,
    FORWARD,
    GRADIENT_DESCENT,
    UPDATE,
    Latencies,
    claims,
)
from hw.schedule import design_for, make_schedule


@st.composite
def schedules(draw):
    count = draw(st.integers(1, 4))
    layers = tuple(draw(st.lists(st.integers(1, 20), min_size=count + 1, max_size=count + 1)))
    mapping = tuple(
        draw(st.lists(st.sampled_from(["row", "column"]), min_size=count, max_size=count))
    )
    stages = draw(st.sampled_from([0, 0, 1, 4]))
    design = Design(
        layers=layers,
        processing_elements=draw(st.integers(1, 20)),
        mapping=mapping,
        multiplier_stages=draw(st.integers(2, 6)),
        adder_stages=draw(st.integers(2, 8)),
        input_deltas=mapping[0] == "row" and draw(st.booleans()),
        batch=draw(st.sampled_from([1, 1, 2, 8])),
        broadcast_stages=stages,
        # One memory for all weights goes without them.
        memory=draw(st.sampled_from(MEMORIES[:1] if stages else MEMORIES)),
    )
    return make_schedule(design)


def test_folds_do_not_meet_in_the_adder():
    """With a slow adder and short folds, sums of three folds and more are combined at once."""
    design = Design(layers=(6, 20, 5), processing_elements=3, mapping=("row",) * 2, adder_stages=8)
    schedule = make_schedule(design)
    for op in schedule.operations:
        clocks = claims(design, op, schedule.latencies).get("adder", np.empty(0, int))
        assert len(np.unique(clocks)) == len(clocks)


def programs(schedule):
    return schedule.training, schedule.inference


@settings(max_examples=150)
@given(schedules())
def test_nothing_is_used_twice_in_a_clock_by_any_sample(schedule):
    """Samples that follow each other at the interval share no issue, no slot, no port."""
    for program in programs(schedule):
        used = {}
        for op in program.operations:
            for name, clocks in claims(schedule.design, op, schedule.latencies).items():
                used.setdefault(name, []).append(op.at(clocks))
        for name, clocks in used.items():
            taken = np.concatenate(clocks) % program.interval
            if name != "tree":  # its levels may belong to different operations
                assert len(np.unique(taken)) == len(taken), name
        adder = np.concatenate(used.get("adder", [np.empty(0, int)])) % program.interval
        tree = np.concatenate(used.get("tree", [np.empty(0, int)])) % program.interval
        assert not set(adder) & set(tree)


@settings(max_examples=100)
@given(schedules())
def test_operations_stay_within_their_iterations(schedule):
    for program in programs(schedule):
        clocks = [program.clock(op) for op in program.operations]
        assert clocks == sorted(clocks)
        assert clocks[0] == 0
        last = program.operations[-1]
        assert clocks[-1] + last.clocks <= program.interval


@settings(max_examples=150)
@given(schedules())
def test_weights_are_written_before_the_next_batch_reads_them(schedule):
    program = schedule.training
    ops = {(op.unit, op.layer.number): op for op in program.operations}
    later = (1 + program.drain) * program.interval
    for layer in schedule.design.weight_layers:
        read = ops[FORWARD, layer.number]
        update = ops[GRADIENT_DESCENT, layer.number]
        written = update.at(update.slots) + schedule.latencies.sum
        assert (read.at(read.slots) + later > written).all()
        back = ops.get((BACKPROPAGATION, layer.number))
        if back is not None:
            old = written[:, back.skip :]
            # One memory for all weights writes a cycle's words before it reads them.
            assert (back.at(back.slots) + schedule.design.unified <= old).all()


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_bank_may_be_read_and_written_in_one_clock(memory):
    """One memory may not."""
    design = Design(
        layers=(8, 6, 4),
        processing_elements=10,
        mapping=("row", "column"),
        multiplier_stages=4,
        adder_stages=5,
        batch=8,
        memory=memory,
    )
    schedule = make_schedule(design)
    ops = {(op.unit, op.layer.number): op for op in schedule.operations}
    back, update = ops[BACKPROPAGATION, 2], ops[GRADIENT_DESCENT, 2]
    written = update.at(update.slots) + schedule.latencies.sum
    after = (written - back.at(back.slots)).min()
    assert (after == 0) == (memory == "distributed")
    assert after >= 0


@settings(max_examples=50)
@given(schedules())
def test_results_leave_in_the_order_of_their_operations(schedule):
    for program in programs(schedule):
        spans = [
            (op.start + n * program.interval, op.at(op.results) + n * program.interval)
            for op in program.operations
            if len(op.results)
            for n in range(5)
        ]
        spans.sort(key=lambda span: span[0])
        for (_, before), (_, after) in itertools.pairwise(spans):
            assert before.max() < after.min()


@settings(max_examples=50)
@given(schedules())
def test_copies_last_until_they_are_read(schedule):
    """Deltas, which are the last to be read: by the update of their layer."""
    program = schedule.training
    ops = {(op.unit, op.layer.number): op for op in program.operations}
    for layer in schedule.design.weight_layers:
        if layer.number == len(schedule.design.layers) - 1:
            continue
        above = ops[BACKPROPAGATION, layer.number + 1]
        written = above.at(above.results) + schedule.latencies.multiplier
        update = ops[GRADIENT_DESCENT, layer.number]
        read = update.at(update.slots).max() - update.issued
        assert read < written.max() + program.copies * program.interval


@settings(max_examples=50)
@given(schedules())
def test_the_limit_is_a_limit(schedule):
    assert schedule.clocks_per_sample >= schedule.design.limit_clocks
    assert 0 < schedule.multiply_add_busy <= 1
    words = sum(op.layer.words for op in schedule.operations if op.operation == UPDATE)
    assert words == schedule.design.bank_words


def test_latencies_are_read_off_the_components():
    design = Design(
        layers=(3, 1), processing_elements=3, mapping=("row",), multiplier_stages=5, adder_stages=7
    )
    lat = Latencies.of(design)
    assert (lat.multiplier, lat.adder, lat.depth, lat.carry_path) == (5, 7, 2, 2)


def test_broadcast_stages_cost_their_clocks_once_a_phase():
    """Forward passes, backpropagation and updates wait for each other."""
    near = make_schedule(design_for((12, 8, 4), 3))
    design = dataclasses.replace(near.design, broadcast_stages=2)
    far = make_schedule(design)
    assert near.latencies.weight_port == 2
    assert far.latencies.weight_port == 6
    more = far.clocks_per_iteration - near.clocks_per_iteration
    assert 0 < more <= 2 * len(near.operations)


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


def test_a_loss_takes_its_time():
    """The next sample's outputs must come behind it; training goes on until it is out."""
    make_schedule(design_for((100, 10), 100, loss=True))
    wanted = r"^with its loss a sample must take 17 clocks or more, not 15$"
    with pytest.raises(InputError, match=wanted):
        make_schedule(design_for((4, 3, 2), 2, memory="unified", batch=3, loss=True))


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


def test_samples_of_a_batch_overlap():
    def clocks(layers, pes, **options):
        return make_schedule(design_for(layers, pes, **options)).clocks_per_sample

    assert clocks((3, 3, 3, 1), 3, batch=8) <= 36
    assert clocks((3, 3, 3, 1), 3, batch=64) <= 29
    assert clocks((784, 100, 100, 10), 100, batch=16) <= 2043
    assert make_schedule(design_for((784, 100, 100, 10), 100)).inference_clocks <= 1010


def test_stages_suit_the_network():
    """Short pipelines where latency counts, fast ones where frequency does; or as given."""
    small, large = design_for((3, 3, 3, 1)), design_for((784, 100, 10), 100)
    assert small.adder_stages < large.adder_stages
    assert small.multiplier_stages < large.multiplier_stages
    given = design_for((784, 100, 10), 100, multiplier_stages=5)
    assert (given.multiplier_stages, given.adder_stages) == (5, 3)
