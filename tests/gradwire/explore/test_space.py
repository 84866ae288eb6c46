"""What could be built, and that the bounds are bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpga_flows.ecp5_model import path_ns
from gradwire.explore.space import Asked, candidates, least_clocks
from hw.design import Design
from hw.errors import InputError
from hw.schedule import make_schedule

SMALL = (3, 3, 3, 1)


@settings(max_examples=40)
@given(st.data())
def test_no_schedule_takes_fewer_clocks_than_the_bound(data):
    draw = data.draw
    layers = tuple(draw(st.lists(st.integers(1, 24), min_size=2, max_size=4)))
    design = Design(
        layers=layers,
        processing_elements=draw(st.integers(1, 12)),
        mapping=tuple(draw(st.sampled_from(["row", "column"])) for _ in layers[1:]),
    )
    assert least_clocks(design) <= make_schedule(design).clocks_per_sample


def test_the_bound_is_near():
    design = Design(layers=(784, 100, 10), processing_elements=20, mapping=("column", "column"))
    assert make_schedule(design).clocks_per_sample < 1.05 * least_clocks(design)


def test_all_axes_are_there():
    designs = [each.design for each in candidates(Asked(layers=SMALL))]
    assert len(set(designs)) == len(designs)
    assert {design.processing_elements for design in designs} == {1, 2, 3}
    assert len({design.mapping for design in designs}) == 8
    assert len({design.adder_stages for design in designs}) > 2
    assert len({design.multiplier_stages for design in designs}) > 1
    assert {design.broadcast_stages for design in designs} >= {0, 2}


def test_a_stage_less_would_be_slower():
    for each in candidates(Asked(layers=SMALL, fixed={})):
        design = each.design
        m, a, b = design.multiplier_stages, design.adder_stages, design.broadcast_stages
        path = path_ns(m, a, b)
        assert a == 3 or path_ns(m, a - 1, b) > path
        assert m == 2 or path_ns(m - 1, a, b) > path
        assert b == 0 or path_ns(m, a, b - 1) > path


def test_what_is_fixed_is_not_chosen():
    fixed = {"mapping": ("row", "row", "row"), "adder_stages": 5, "buffer_vectors": 256}
    for each in candidates(Asked(layers=SMALL, pes=(2,), fixed=fixed)):
        assert each.design.processing_elements == 2
        assert {name: getattr(each.design, name) for name in fixed} == fixed


def test_the_buffer_fits():
    found = candidates(Asked(layers=(784, 30, 10), pes=(10,), fixed={}))
    assert all(each.brams <= 208 for each in found)
    assert {each.design.buffer_vectors for each in found} < {2, 4, 8, 16, 32, 64, 128}


def test_machines_beyond_the_chip_are_listed():
    found = candidates(Asked(layers=(100, 100, 10), target="ecp5-25k"))
    assert max(each.dsps for each in found) > 28


@pytest.mark.parametrize(
    "more, says",
    [
        ({"target": "nangate45"}, "target of explore must be one of ecp5-12k, .*, not 'nangate45'"),
        ({"speed": "9"}, "speed of ecp5-85k must be one of 6, 7, 8, not '9'"),
        ({"goal": "fame"}, "goal must be one of .*, not 'fame'"),
        ({"goal": "energy"}, "goal energy needs power figures, and there are none of ecp5-85k"),
        ({"at_least": -1.0}, "samples a second must be at least 0, not -1"),
        ({"at_least": float("nan")}, "samples a second must be at least 0, not nan"),
    ],
)
def test_what_cannot_be_asked_for(more, says):
    with pytest.raises(InputError, match=says):
        Asked(layers=SMALL, **more)


def test_nothing_is_possible():
    with pytest.raises(InputError, match="processing elements must be 1 to 4096, not 0"):
        candidates(Asked(layers=SMALL, pes=(0,)))
