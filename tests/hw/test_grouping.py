"""Which groups are chosen."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.errors import InputError
from hw.grouping import clocks_of_groups, grouped_design_for
from hw.pipelining import KINDS

MNIST = (784, 100, 100, 10)


def parts(design):
    return tuple(each.layers for each in design.designs)


@settings(max_examples=8, deadline=None)
@given(
    layers=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    pes=st.integers(1, 12),
    schedule=st.sampled_from(KINDS),
)
def test_groups_of_any_network(layers, pes, schedule):
    """They make up the network, and no more elements than there are."""
    made = grouped_design_for(tuple(layers), "auto", schedule, pes)
    assert made.layers == tuple(layers)
    assert made.processing_elements <= pes
    assert all(a[-1] == b[0] for a, b in itertools.pairwise(parts(made)))
    assert [each.stage.number for each in made.designs] == list(range(len(made.designs)))
    stages = {(each.multiplier_stages, each.adder_stages) for each in made.designs}
    assert len(stages) == 1


@pytest.mark.parametrize("layers, pes", [((24, 16, 8), 9), ((12, 12, 12, 4), 8)])
def test_hardly_anything_is_faster(layers, pes):
    """Than what is chosen: all partitions and numbers of elements are tried."""
    more = {"multiplier_stages": 2, "adder_stages": 3}
    chosen = grouped_design_for(layers, "auto", "delayed", pes, **more)
    best = float("inf")
    inner = range(1, len(layers) - 1)
    for count in range(len(layers) - 1):
        for cuts in itertools.combinations(inner, count):
            ends = [0, *cuts, len(layers) - 1]
            text = "/".join(
                "-".join(map(str, layers[a : b + 1])) for a, b in itertools.pairwise(ends)
            )
            for shares in itertools.product(range(1, pes + 1), repeat=count + 1):
                if sum(shares) == pes:
                    groups = f"{text}:{','.join(map(str, shares))}"
                    made = grouped_design_for(None, groups, "delayed", **more)
                    best = min(best, max(clocks_of_groups(made)))
    assert max(clocks_of_groups(chosen)) <= 1.1 * best


@pytest.mark.parametrize("pes, adder, most", [(100, None, 2100), (210, 2, 1020)])
def test_mnist(pes, adder, most):
    made = grouped_design_for(MNIST, "auto", "delayed", pes, adder_stages=adder)
    assert made.processing_elements <= pes
    assert max(clocks_of_groups(made)) <= most


def test_more_elements_than_the_widest_layer_only_if_asked():
    made = grouped_design_for((30, 20, 10), "auto", "delayed")
    assert made.processing_elements <= 20


def test_networks_of_many_layers():
    mapping = ("column",) * 9
    made = grouped_design_for((4,) * 10, "auto", "delayed", 12, mapping=mapping, adder_stages=3)
    assert len(made.layers) == 10


def test_given_groups_are_taken():
    made = grouped_design_for((5, 7, 6, 2), "5-7/7-6-2:3,4", "fill-drain", 7, batch=4)
    assert parts(made) == ((5, 7), (7, 6, 2))
    assert [each.processing_elements for each in made.designs] == [3, 4]
    assert made.batch == 4


@pytest.mark.parametrize(
    "layers, groups, pes, more, named",
    [
        ((5, 7, 2), "5-7/7-3:3,4", None, {}, "groups must be those of 5-7-2, not of 5-7-3"),
        ((5, 7, 2), "5-7/7-2:3,4", 8, {}, "processing elements must be 7, as .* have, not 8"),
        ((5, 7, 2), "5-7/7-2:3,0", None, {}, "processing elements must be 1 to 4096, not 0"),
        ((5, 7, 2), "auto", 0, {}, "processing elements must be 1 to 4096, not 0"),
        ((5, 7, 2), "auto", 5000, {}, "processing elements must be 1 to 4096, not 5000"),
        ((5, 7, 2), "auto", 8, {"mapping": ("row",)}, "each of 2 layers of weights, not 1"),
        ((5, 7, 2), "5-7/7-2:3,4", 7, {"activation": "tanh,tanh,tanh"}, "one for all, not 3"),
        ((5, 7, 2), "5-7/7-2:3,4", 7, {"batch": 4}, "batch must be 1 with schedule delayed"),
    ],
)
def test_bad_groups(layers, groups, pes, more, named):
    with pytest.raises(InputError, match=named):
        grouped_design_for(layers, groups, "delayed", pes, **more)


def test_frequencies_count():
    """Stages with which more clocks are faster are taken where they are that much faster."""
    groups = "5-7/7-2:3,4"
    for stages in ((2, 3), (3, 4)):
        frequencies = {(2, 3): 1.0, (3, 4): 1.0} | {stages: 10.0}
        made = grouped_design_for(None, groups, "delayed", frequencies=frequencies)
        assert {(x.multiplier_stages, x.adder_stages) for x in made.designs} == {stages}
