"""Training runs: what is chosen where nothing is asked for, and going on where one stopped."""

import dataclasses
import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwire.saved import Saved, archive, load
from gradwire.training import SAMPLES, Task, plan, train
from hw.design import Design
from hw.errors import InputError
from sim.bench.log import flatten
from sim.golden import Golden, LearningRate, initial_weights

DESIGN = Design(layers=(3, 4, 1), processing_elements=2, mapping=("row", "column"), batch=4)
NETWORK = {"processing_elements": 4, "mapping": ("row", "row", "row")}
IMAGES = {"layers": (784, 4, 4, 10), **NETWORK}
TINY = np.finfo(np.float32).tiny


def bits(weights):
    return flatten(weights).view(np.uint32)


def chosen(design, **given):
    return plan(design, given)


def test_red_is_trained_at_a_constant_rate():
    task = chosen(Design(layers=(3, 3, 3, 1), **NETWORK), data=None)
    assert task == Task()
    assert (task.rate, task.halve_every, task.rate_floor, task.gain) == (0.3, 0, 0, 2)
    assert (task.samples, task.tests) == (6000, 1000)


@pytest.mark.parametrize(
    "activation, rate, gain",
    [
        ("sigmoid", 0.1, 3.0),
        ("sigmoid-exact,sigmoid,relu", 0.1, 3.0),
        ("relu,relu,sigmoid", 0.015, 0.8),
        ("sigmoid,tanh,sigmoid", 0.015, 0.8),
    ],
)
def test_images_are_trained_at_a_rate_that_is_halved(monkeypatch, activation, rate, gain):
    monkeypatch.setattr("sim.datasets.usual_tests", lambda name: 77)
    design = Design(activation=activation, **IMAGES)
    task = chosen(design, data="idx:somewhere", samples=1001)
    assert (task.rate, task.gain, task.tests) == (rate, gain, 77)
    assert (task.halve_every, task.rate_floor) == (251, rate / 10)
    # What is asked for counts, and the floor follows the rate.
    task = chosen(design, data="idx:somewhere", rate=0.5, halve_every=0, tests=3, gain=1.5)
    assert (task.rate, task.rate_floor, task.halve_every) == (0.5, 0.05, 0)
    assert (task.tests, task.gain, task.samples) == (3, 1.5, SAMPLES)


@pytest.mark.parametrize("batch, rate", [(1, 0.1), (3, 0.3), (4, 0.4), (64, 0.4)])
def test_batches_take_larger_rates(monkeypatch, batch, rate):
    monkeypatch.setattr("sim.datasets.usual_tests", lambda name: 77)
    assert chosen(Design(batch=batch, **IMAGES), data="idx:x").rate == pytest.approx(rate)


@pytest.mark.parametrize(
    "given, named",
    [
        ({"data": "idx:"}, "data must be one of red, digits, idx:FOLDER, not 'idx:'"),
        ({"gain": -1.0}, "gain must be 0 to 1000, not -1.0"),
        ({"gain": float("nan")}, "gain must be 0 to 1000, not nan"),
        ({"halve_every": -1}, "halve every must be .* not -1"),
        ({"rate": 0.1, "rate_floor": 0.2}, "floor must be 0 to the rate, 0.1, not 0.2"),
    ],
)
def test_bad_tasks(given, named):
    with pytest.raises(InputError, match=named):
        plan(DESIGN, given)


@given(
    batch=st.integers(1, 9),
    before=st.integers(0, 60),
    halve_every=st.integers(0, 30),
    rate=st.sampled_from([0.0, 0.3, 1.0, 1e-37, float(4 * TINY), 1e30]),
    floor=st.sampled_from([0.0, 0.07, 1.0]),
)
def test_the_rate_is_what_it_would_have_been(batch, before, halve_every, rate, floor):
    """Against the golden model's own state, which followed the whole training."""
    design = Design(layers=(1, 1), processing_elements=1, mapping=("row",), batch=batch)
    task = Task(
        rate=rate, halve_every=halve_every, rate_floor=rate * floor, before=before // batch * batch
    )
    whole = LearningRate(rate=rate, halve_every=halve_every, floor=rate * floor)
    start = initial_weights(design.layers, 1)
    followed = Golden(design, start, whole, batch)
    x, y = np.float32([0.5]), np.float32([1])
    for _ in range(task.before):
        followed.train(x, y)
    resumed = Golden(design, followed.weights, task.learning(batch), batch)
    for _ in range(70):
        followed.train(x, y)
        resumed.train(x, y)
        assert bits(followed.weights).tolist() == bits(resumed.weights).tolist()


def whole(**more):
    task = {"samples": 300, "tests": 50, "halve_every": 70, "rate_floor": 0.05, "rate": 0.4}
    return Task(**{**task, **more})


class CtrlC:
    """A progress callback that presses Ctrl-C when so many samples are done."""

    def __init__(self, at):
        self.at = at

    def __call__(self, what, done, total, note=""):
        if done == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("batch, stopped", [(1, [100, 200]), (4, [100, 200]), (7, [105, 203])])
def test_interrupted_twice_and_resumed(tmp_path, batch, stopped):
    design = dataclasses.replace(DESIGN, batch=batch)
    expected = train(design, whole())
    file = tmp_path / "W.npz"
    task, curve = whole(), []
    # The curve is told every hundred samples of a run.
    for number, at in enumerate(stopped):
        found = train(design, task, CtrlC(100))
        trained = task.before + found.samples
        if number == 0:
            assert trained == at
        assert found.interrupted and found.accuracy is None
        assert trained % batch == 0 and found.samples < 100 + batch
        curve += found.loss
        file.write_bytes(archive(found.weights, design, task.kept(), trained))
        task = plan(design, {}, load(file, design))
        assert (task.before, task.total, task.tests) == (trained, 300, 50)
    found = train(design, task)
    assert not found.interrupted and found.samples == 300 - task.before
    assert bits(found.weights).tolist() == bits(expected.weights).tolist()
    assert found.accuracy == expected.accuracy
    ends = [samples for samples, _ in curve + found.loss]
    assert ends == sorted(ends) and ends[-1] == 300


def test_interrupted_while_testing():
    found = train(DESIGN, whole(tests=500), CtrlC(500))
    assert found.interrupted and found.accuracy is None and found.samples == 300


def test_without_ctrl_c_to_hold_training_is_the_same():
    """In another thread signals cannot be caught."""
    found = []
    worker = threading.Thread(target=lambda: found.append(train(DESIGN, whole())))
    worker.start()
    worker.join()
    assert bits(found[0].weights).tolist() == bits(train(DESIGN, whole()).weights).tolist()


def test_ctrl_c_is_given_back():
    train(DESIGN, whole(), CtrlC(100))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def saved(trained, samples=300, **more):
    """As read from a file."""
    weights = initial_weights(DESIGN.layers, 5)
    return Saved("W.npz", weights, {}, Task(samples=samples).kept() | more, trained)


def test_no_more_samples_only_test():
    task = plan(DESIGN, {"samples": 0}, saved(120))
    assert (task.samples, task.before) == (0, 120)
    found = train(DESIGN, task)
    assert (found.samples, found.loss) == (0, [])
    assert 0 <= found.accuracy <= 1
    assert bits(found.weights).tolist() == bits(saved(120).weights).tolist()
    assert plan(DESIGN, {}, saved(300)).samples == 0


def test_more_samples_than_were_planned():
    task = plan(DESIGN, {"samples": 400, "rate": 0.1}, saved(300, seed=9, rate=0.2))
    assert (task.samples, task.before, task.seed, task.rate) == (100, 300, 9, 0.1)


def test_fewer_samples_than_it_has_been_trained_on():
    with pytest.raises(InputError, match=r"samples must be 120 or more, which W.npz .* not 119"):
        plan(DESIGN, {"samples": 119}, saved(120))


def test_no_samples_without_weights():
    with pytest.raises(InputError, match="samples must be 1 to 10000000, not 0"):
        plan(DESIGN, {"samples": 0})
