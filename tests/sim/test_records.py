"""Samples as they are stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.design import Design
from hw.errors import InputError
from sim.records import pack


def design(inputs: int, labels: int, sample_format: str) -> Design:
    return Design(
        layers=(inputs, labels),
        processing_elements=1,
        mapping=("row",),
        sample_format=sample_format,
    )


def test_words_of_a_record_in_bytes():
    made = design(6, 1, "bytes")
    inputs = np.array([[1, 2, 3, 255, 0, 128]], np.float32) / 256
    words = pack(made, inputs, np.array([[1]], np.float32))
    assert words.tolist() == [[0xFF030201, 0x00008000, 0x3F800000]]
    assert made.record_words == 3


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_record_holds_its_sample(inputs, labels, seed):
    rng = np.random.default_rng(seed)
    y = rng.random((5, labels), np.float32)
    x = (rng.integers(0, 256, (5, inputs)) / 256).astype(np.float32)
    for name in ("fp32", "bytes"):
        made = design(inputs, labels, name)
        words = pack(made, x, y)
        assert words.shape == (5, made.record_words)
        assert words.dtype == np.uint32
        assert np.array_equal(words[:, -labels:].copy().view(np.float32), y)
        stored = np.ascontiguousarray(words[:, :-labels])
        values = stored.view(np.float32) if name == "fp32" else stored.view(np.uint8) / 256
        assert np.array_equal(values[:, :inputs], x)


@pytest.mark.parametrize("value", [1.0, -1 / 256, 1 / 512, -0.0, np.nan, np.inf])
def test_what_is_no_byte(value):
    x = np.array([[0.5, value]], np.float32)
    with pytest.raises(InputError, match=r"must be 0, 1, \.\.\. 255 / 256, not"):
        pack(design(2, 1, "bytes"), x, np.ones((1, 1), np.float32))


def test_shapes_that_do_not_fit():
    made = design(2, 1, "fp32")
    with pytest.raises(
        InputError, match=r"inputs must have the shape \(samples, 2\), not \(3, 1\)"
    ):
        pack(made, np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(InputError, match="as many labels as inputs, not 2 and 3"):
        pack(made, np.zeros((3, 2)), np.zeros((2, 1)))
