import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import (
    Design,
    accumulation,
    parse_topology,
    reduction_blocks,
    reduction_depth,
)
from hw.errors import InputError

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=6).map(tuple)


@st.composite
def designs(draw):
    layers = draw(SIZES)
    mappings = st.sampled_from(["row", "column"])
    mapping = draw(st.lists(mappings, min_size=len(layers) - 1, max_size=len(layers) - 1))
    return Design(
        layers=layers, processing_elements=draw(st.integers(1, 48)), mapping=tuple(mapping)
    )


def test_topologies():
    assert parse_topology("3-3-3-1") == (3, 3, 3, 1)
    assert parse_topology("784-10") == (784, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3-0-1", "a layer size must be 1 or more, not 0"),
        ("3-x-1", "a topology must be whole numbers joined by dashes, not '3-x-1'"),
        ("3--1", "not '3--1'"),
        ("", "not ''"),
        ("3-²", "not '3-²'"),
        ("3", "a topology must have at least 2 sizes .*, not '3'"),
    ],
)
def test_bad_topologies(text, message):
    with pytest.raises(InputError, match=message):
        parse_topology(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"processing_elements": 0}, "processing elements must be 1 to 4096, not 0"),
        ({"processing_elements": 1.5}, "processing elements must be a whole number, not 1.5"),
        ({"processing_elements": True}, "must be a whole number, not True"),
        (
            {"layers": (3, 1 << 20, 1)},
            "words of each weight bank must be 1 to 1048576, not 2446681",
        ),
        ({"mapping": ("row",)}, "a mapping is needed for each of 2 layers of weights, not 1"),
        ({"mapping": ("row", "diagonal")}, "one of row, column, not 'diagonal'"),
        ({"activation": "step"}, "not 'step'"),
        ({"subnormals": "maybe"}, "not 'maybe'"),
        ({"multiplier_stages": 1}, "multiplier stages must be 2 to 6, not 1"),
        ({"adder_stages": 9}, "adder stages must be 2 to 8, not 9"),
        ({"table_entries": 1000}, "table entries must be a power of two, not 1000"),
        ({"buffer_vectors": 3}, "buffer vectors must be a power of two, not 3"),
        ({"buffer_parts": 3}, "buffer parts must be a power of two, not 3"),
        ({"sample_format": "half"}, "sample format must be one of fp32, bytes, not 'half'"),
        ({"memory": "shared"}, "memory must be one of distributed, unified, not 'shared'"),
        ({"broadcast_stages": 9}, "broadcast stages must be 0 to 8, not 9"),
        (
            {"memory": "unified", "broadcast_stages": 1},
            "one memory for all weights takes no broadcast stages, not 1",
        ),
        ({"layers": (3, 0, 1)}, "a layer size must be 1 or more, not 0"),
        ({"mapping": ("column", "row"), "input_deltas": True}, "row-mapped first layer"),
    ],
)
def test_bad_designs(change, message):
    good = {"layers": (3, 3, 1), "processing_elements": 3, "mapping": ("row", "row")}
    with pytest.raises(InputError, match=message):
        Design(**good | change)


@given(designs())
def test_every_weight_has_a_word_of_its_own(design):
    places = [
        layer.weight_address(n, k)
        for layer in design.weight_layers
        for n in range(layer.outputs)
        for k in range(layer.inputs)
    ]
    places += [
        layer.bias_address(n) for layer in design.weight_layers for n in range(layer.outputs)
    ]
    assert len(set(places)) == len(places)
    for bank, word in places:
        words = design.bank_words if bank < design.processing_elements else design.bias_words
        assert 0 <= bank <= design.processing_elements
        assert 0 <= word < words


@given(designs())
def test_vectors_do_not_overlap(design):
    places = design.vectors
    for local, words in ((True, places.register_words), (False, places.memory_words)):
        used = []
        for (kind, number), first in places.first.items():
            here = (
                design.delta_is_local(number)
                if kind == "delta"
                else design.activation_is_local(number + 1)
            )
            if here == local:
                size = design.layers[number]
                used += range(
                    first, first + (math.ceil(size / design.processing_elements) if local else size)
                )
        assert sorted(used) == list(range(words))


@given(st.integers(1, 4096))
def test_reduction_uses_one_adder_for_each_product(leaves):
    blocks = reduction_blocks(leaves)
    assert sum(blocks) == leaves
    assert all(size.bit_count() == 1 for size in blocks[:-1])
    depth = reduction_depth(leaves)
    # Additions: within the blocks, and one to join each block to what is carried.
    assert sum(size - 1 for size in blocks) + len(blocks) == leaves
    # No path is longer than the depth; the last block is joined first.
    ready = 0
    for size in reversed(blocks):
        ready = max(ready, math.ceil(math.log2(size))) + 1
    assert ready <= depth == math.ceil(math.log2(leaves + 1))


@given(st.integers(1, 200), st.integers(1, 8))
def test_accumulation_adds_every_product_once(length, latency):
    order = accumulation(length, latency)
    parts = [set(range(k, length, order.sums)) for k in range(order.sums)]
    if not order.rotating:
        parts = [{k, min(k + 1, length - 1)} for k in range(0, length, 2)]
    for step in order.combines:
        assert not parts[step.left] & parts[step.right]
        parts.append(parts[step.left] | parts[step.right])
    assert parts[-1] == set(range(length))
    # One adder: no two additions in one clock, none before its operands are there.
    clocks = [step.clock for step in order.combines]
    assert len(set(clocks)) == len(clocks)
    entered = [latency] if length > 1 else [0]
    assert order.ready == max([*entered, *(clock + latency for clock in clocks)])
    assert all(step.delay > 0 for step in order.combines)


def test_what_counts_as_useful():
    design = Design(layers=(784, 100, 100, 10), processing_elements=100, mapping=("row",) * 3)
    assert design.useful_multiply_adds == 189_800
    assert design.limit_clocks == 1898
