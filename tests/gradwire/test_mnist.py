"""MNIST on the machine of the paper's size. Users bring the data; here they may lie beside us."""

from pathlib import Path

import pytest

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
WORDS = ("784-100-100-10", "--pes", "100", "--data", f"idx:{MNIST}", "--activation")
RELU, SIGMOID = "relu,relu,sigmoid", "sigmoid"

pytestmark = pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not in ../shared/data/mnist")


def test_two_hundred_samples_at_rtl(run_json):
    more = ("--samples", "200", "--tests", "50")
    found = run_json("simulate", *WORDS, RELU, *more)
    assert (found["samples"], found["tests"], found["bit_exact"]) == (200, 50, True)
    assert found["clocks_per_iteration_measured"] == found["clocks_per_iteration_predicted"]
    assert found["accuracy"] == run_json("train", *WORDS, RELU, *more)["accuracy"]


@pytest.mark.parametrize("activation, least", [(RELU, 0.84), (SIGMOID, 0.84)])
def test_few_samples_teach_something(run_json, activation, least):
    found = run_json("train", *WORDS, activation, "--samples", "3000", "--tests", "1000")
    assert found["accuracy"] >= least


@pytest.mark.slow
@pytest.mark.parametrize("activation, least", [(RELU, 0.972), (SIGMOID, 0.965)])
def test_accuracy(run_json, activation, least):
    """With what is chosen where nothing else is asked for."""
    found = run_json("train", *WORDS, activation, "--samples", "100000")
    assert found["tests"] == 10_000
    assert found["accuracy"] >= least
