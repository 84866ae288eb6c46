"""The description of a machine of groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import Design
from hw.errors import InputError
from hw.grouping import grouped_design_for
from hw.groups import check_parameters, parse_groups, stage
from hw.pipelining import KINDS, Pipelining


def test_groups_of_a_text():
    found = parse_groups("784-100/100-100-10:80,20")
    assert found == (((784, 100), (100, 100, 10)), (80, 20))
    assert parse_groups("3-1:2") == (((3, 1),), (2,))


@pytest.mark.parametrize(
    "text, named",
    [
        ("", "like 784-100/100-100-10:80,20, or auto, not ''"),
        ("auto", "or auto, not 'auto'"),
        ("3-x:2", "not '3-x:2'"),
        ("3-3/3-1:2,", "not '3-3/3-1:2,'"),
        ("3-3/3-1:2,-1", "not '3-3/3-1:2,-1'"),
        ("3-٣:1", "not '3-٣:1'"),
        (f"3-{'9' * 5000}:1", "groups must be like"),
        ("3-3/2-1:2,2", "begin with the size that the one before ends with, 3, not 2"),
        ("3-3/3:2,2", r"at least 2 sizes \(inputs and outputs\), not 3"),
        ("3-3/3-1", "each of 2 groups, behind a colon, not 0"),
        ("3-3/3-1:2", "each of 2 groups, behind a colon, not 1"),
        ("3-3/3-1:2,2,2", "each of 2 groups, behind a colon, not 3"),
    ],
)
def test_texts_that_are_no_groups(text, named):
    with pytest.raises(InputError, match=named):
        parse_groups(text)


@given(st.sampled_from(KINDS), st.integers(1, 9), st.data())
def test_a_pass_is_as_late_as_the_lag_says(schedule, groups, data):
    """In iterations, of which a sample is one: what hw.pipelining declares in slots."""
    number = data.draw(st.integers(0, groups - 1))
    pipelining = Pipelining(kind=schedule, groups=groups)
    batch = pipelining.pipelines
    found = stage(number, groups, schedule, batch, "tanh" if number else "", 3)
    assert (found.number, found.groups, found.outputs) == (number, groups, 3)
    assert found.last == (number == groups - 1) == (found.lag == 0)
    if found.delayed:
        assert found.lag == pipelining.late("forward", number)
    slots = {s.operation: s.slot for s in pipelining.steps(1) if s.group == number}
    assert found.lag == (slots["backward"] - slots["forward"]) * batch


@pytest.mark.parametrize(
    "schedule, parameters, named",
    [
        ("hasty", {}, "schedule must be one of .*, not 'hasty'"),
        ("delayed", {"batch": 4}, "batch must be 1 with schedule delayed, not 4"),
        ("ping-pong", {"batch": 2}, "batch must be 1 with schedule ping-pong, not 2"),
        ("sequential", {"batch": 2}, "batch must be 1 with schedule sequential, not 2"),
        ("fill-drain", {"input_deltas": True}, "input deltas must be off with groups"),
        ("delayed", {"seeded_weights": True}, "seeded weights must be off with groups"),
        ("delayed", {"loss": True}, "loss must be off with groups, not on"),
        ("delayed", {"memory": "unified"}, "memory must be distributed with groups, not unified"),
    ],
)
def test_what_groups_cannot_have(schedule, parameters, named):
    with pytest.raises(InputError, match=named):
        check_parameters(schedule, 2, parameters)


def test_batches():
    assert check_parameters("fill-drain", 2, {"batch": 16}) == 16
    assert check_parameters("fill-drain", 2, {}) == 1
    assert check_parameters("delayed", 2, {"batch": None}) == 1
    # Its pairs.
    assert check_parameters("ping-pong", 2, {"batch": 1}) == 2


def test_a_machine_of_groups_is_what_its_groups_are():
    names = "relu,tanh,sigmoid"
    made = grouped_design_for(
        None, "5-7/7-6-2:3,4", "delayed", activation=names, mapping=("column", "row", "row")
    )
    first, second = made.designs
    assert (first.layers, second.layers) == ((5, 7), (7, 6, 2))
    assert (made.layers, made.topology) == ((5, 7, 6, 2), "5-7-6-2")
    assert (made.processing_elements, made.batch) == (7, 1)
    assert made.mapping == ("column", "row", "row")
    assert ",".join(made.activations) == names
    assert (first.stage.below, second.stage.below) == ("", "relu")
    assert made.name == "gradwire_5_7_p3_6_2_p4_delayed"
    whole = Design(layers=made.layers, processing_elements=7, mapping=made.mapping)
    assert made.useful_multiply_adds == whole.useful_multiply_adds
    assert made.limit_clocks == whole.limit_clocks


def test_names_tell_schedules_and_batches_apart():
    found = [
        grouped_design_for(None, "3-3/3-1:2,2", schedule, batch=batch).name
        for schedule, batch in [*((kind, 1) for kind in KINDS), ("fill-drain", 8)]
    ]
    assert len(set(found)) == 5
    assert all(name.isidentifier() for name in found)


def test_slots_of_the_batches_of_a_run():
    made = grouped_design_for(None, "3-3/3-1:2,2", "fill-drain", batch=8)
    assert made.pipelining(4) == Pipelining(kind="fill-drain", groups=2, batch=4)
    made = grouped_design_for(None, "3-3/3-1:2,2", "ping-pong")
    assert made.pipelining(2) == Pipelining(kind="ping-pong", groups=2, batch=1)
