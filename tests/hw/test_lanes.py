"""Arrays in lanes: what they may be, and where weights lie. Their RTL: sim/bench/test_grouped."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import Design
from hw.errors import InputError
from hw.groups import stage
from hw.schedule import make_schedule
from sim.bench.log import addresses

FIRST = stage(0, 2, "delayed", 1, "", 3)


def first_group(inputs: int = 8, outputs: int = 6, pes: int = 6, **options) -> Design:
    return Design(
        layers=(inputs, outputs),
        processing_elements=pes,
        mapping=("column",),
        **({"stage": FIRST} | options),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lanes": 4}, "lanes must divide the 6 outputs, not 4"),
        ({"lanes": 3, "pes": 7}, "lanes must divide the 7 PEs, not 3"),
        ({"lanes": 7}, "lanes must be 1 to 6, not 7"),
        (
            {"lanes": 2, "stage": None},
            "lanes must be 1 but in the first group of several, with one layer, not 2",
        ),
    ],
)
def test_lanes_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        first_group(**options)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_every_weight_has_a_place_of_its_own(inputs, lanes, each, neurons):
    design = first_group(inputs, lanes * neurons, lanes * each, lanes=lanes)
    places = addresses(design)
    assert len(set(places)) == len(places) == (inputs + 1) * lanes * neurons
    banks = design.processing_elements + lanes
    assert all(bank < banks and word < design.bank_words + neurons for bank, word in places)


def test_lanes_take_the_clocks_of_narrower_arrays_with_fewer_neurons():
    design = first_group(784, 100, 320, lanes=20)
    narrow = first_group(784, 5, 16)
    forward, update = make_schedule(design).training.operations
    assert (forward.slots == make_schedule(narrow).training.operations[0].slots).all()
    assert forward.slots.size == update.slots.size == 49 * 5
    # Results one after the other, although the lanes have them at once.
    assert list(forward.results - forward.results[0]) == list(range(100))


@pytest.mark.parametrize(
    ("options", "at_once"),
    [
        ({"sample_format": "bytes"}, 4),
        ({"sample_format": "fp32"}, 1),
        ({"sample_format": "bytes", "inputs": 10}, 1),
        ({"sample_format": "bytes", "pes": 6}, 1),
    ],
)
def test_inputs_at_once(options, at_once):
    design = first_group(**({"pes": 8, "lanes": 2} | options))
    assert design.loaded_at_once == at_once
    assert design.sample_words == design.layers[0] // at_once + 3
    assert dataclasses.replace(design, lanes=1).loaded_at_once == 1
