"""The order of the samples of a run."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.order import run_attempts, run_order

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 300), SEEDS, st.integers(1, 4))
def test_every_epoch_has_every_record_once(records, seed, epochs):
    order = run_order(records, records * epochs, seed)
    assert order.shape == (records * epochs,)
    for epoch in order.reshape(epochs, records):
        assert sorted(epoch) == list(range(records))


@given(st.integers(1, 50), st.integers(1, 200), SEEDS)
def test_a_shorter_run_is_the_beginning_of_a_longer_one(records, samples, seed):
    assert np.array_equal(
        run_order(records, samples, seed), run_order(records, 250, seed)[:samples]
    )


def test_a_seed_of_0_is_the_stored_order():
    assert run_order(4, 10, 0).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert not run_attempts(4, 10, 0).any()


def test_epochs_differ_and_so_do_seeds():
    epochs = run_order(100, 300, 5).reshape(3, 100)
    others = run_order(100, 300, 6).reshape(3, 100)
    every = [*epochs, *others, np.arange(100)]
    for number, one in enumerate(every):
        for other in every[number + 1 :]:
            assert (one == other).sum() < 10


def test_orders_are_as_random_as_permutations():
    """Places, and steps from one to the next, are spread evenly: chi-square, 16 classes."""
    records, epochs, classes = 1000, 300, 16
    order = run_order(records, records * epochs, 1).reshape(epochs, records)
    steps = (order[:, 1:] - order[:, :-1]) % records
    between = (order[1:] - order[:-1]) % records
    for values in (order, order.T, steps, steps.T, between):
        for row in values[:: max(1, len(values) // 100)]:
            found = np.bincount(row * classes // records, minlength=classes)
            expected = row.size / classes
            # A chance of one in 100 million each.
            assert ((found - expected) ** 2 / expected).sum() < 70


def test_less_than_one_attempt_in_two_is_lost():
    for records in (65, 100, 513, 1000):
        assert run_attempts(records, records, 3).mean() < 2
