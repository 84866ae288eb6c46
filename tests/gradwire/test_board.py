"""The command line's machines at the end of a serial port."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from gradwire import board, training
from gradwire.console import Reporter

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
COMMAND = ("board", "train", "3-3-3-1", "--samples", "64", "--tests", "20")


def test_red_trains_in_simulation(run_json, run, folder):
    found = run_json(*COMMAND, "--port", "sim", "-o", "w.npz")
    expected = run_json("train", "3-3-3-1", "--samples", "64", "--tests", "20", "-o", "g.npz")
    assert found["bit_exact"] is True
    assert (found["samples"], found["tests"], found["port"]) == (64, 20, "sim")
    assert found["accuracy"] == expected["accuracy"]
    assert found["clocks"] > 64 * 60 and found["stalls"] == 0
    ours, golden = (np.load(folder / name) for name in ("w.npz", "g.npz"))
    for name in ("weights1", "biases3"):
        assert ours[name].tobytes() == golden[name].tobytes()
    # Tests alone, with what was saved.
    again = run("board", "train", "3-3-3-1", "--port", "sim", "--samples", "0", "--resume", "w.npz")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "on sim" in again.stdout and "waiting" not in again.stdout


def test_weights_that_differ_are_exit_code_1(run, monkeypatch):
    def other(design, task, progress):
        found = real(design, task, progress)
        found.weights.biases[2][0] += 1
        return found

    real = training.train
    monkeypatch.setattr(board.training, "train", other)
    result = run(*COMMAND, "--port", "sim", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["bit_exact"] is False
    assert result.stderr == "gradwire: not exact: weights differ from the golden model's\n"


def test_what_is_wrong_is_said_in_one_line(fails):
    pytest.importorskip("serial")
    line = fails(*COMMAND, "--port", "nowhere/at/all")
    assert line == (
        "gradwire: serial port nowhere/at/all cannot be opened: No such file or directory\n"
    )
    assert "'--port'" in fails(*COMMAND)


def test_ctrl_c_ends_it_and_the_simulator(run, monkeypatch):
    def pressed(self, what, done, total, note=""):
        if what == "training on the machine":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Reporter, "__call__", pressed)
    before = threading.active_count()
    result = run("board", "train", "3-3-3-1", "--port", "sim", "--samples", "3000")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "gradwire: interrupted\n"
    assert threading.active_count() == before


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not in ../shared/data/mnist")
def test_mnist_trains_in_simulation(run_json):
    """Records and banks that need several packets."""
    words = ("784-100-100-10", "--pes", "10", "--data", f"idx:{MNIST}")
    found = run_json("board", "train", *words, "--port", "sim", "--samples", "64", "--tests", "10")
    assert found["bit_exact"] is True
    assert found["clocks"] > found["stalls"] > 0
