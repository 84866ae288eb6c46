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
    assert found["records"] == 64
    ours, golden = (np.load(folder / name) for name in ("w.npz", "g.npz"))
    for name in ("weights1", "biases3"):
        assert ours[name].tobytes() == golden[name].tobytes()
    # Tests alone, with what was saved.
    again = run("board", "train", "3-3-3-1", "--port", "sim", "--samples", "0", "--resume", "w.npz")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "on sim" in again.stdout and "waiting" not in again.stdout


def test_stored_samples_are_trained_on_again_and_again(run_json, folder):
    options = ("--port", "sim", "--records", "24", "-o")
    for name, more in (("a.npz", ()), ("b.npz", ("--shuffle-seed", "5"))):
        found = run_json(*COMMAND, *options, name, *more)
        assert found["bit_exact"] is True
        assert (found["samples"], found["records"]) == (64, 24)
    first, second = (np.load(folder / name)["weights1"] for name in ("a.npz", "b.npz"))
    assert first.tobytes() != second.tobytes()


def test_samples_that_do_not_fit(fails):
    too_many = ("board", "train", "3-3-3-1", "--port", "sim", "--samples", "4194300")
    assert fails(*too_many, "--tests", "5") == (
        "gradwire: samples must fit into the SDRAM's 8,388,608 words, not need 8,388,610\n"
    )
    digits = ("board", "train", "64-4-10", "--data", "digits", "--port", "sim")
    assert "inputs that are stored as bytes must be 0, 1, ... 255 / 256, not 1" in fails(*digits)


@pytest.mark.parametrize(
    "options, line",
    [
        (("--records", "65"), "records must be 1 to 64, the samples, not 65"),
        (("--records", "0"), "records must be 1 to 64, the samples, not 0"),
        (("--shuffle-seed", "-1"), "seed must be 0 to 2147483647, not -1"),
    ],
)
def test_epochs_that_there_are_not(fails, options, line):
    assert fails(*COMMAND, "--port", "sim", *options) == f"gradwire: {line}\n"


def test_weights_that_differ_are_exit_code_1(run, monkeypatch):
    def other(*arguments):
        found = real(*arguments)
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
    epochs = ("--samples", "64", "--records", "40", "--shuffle-seed", "3", "--tests", "10")
    found = run_json("board", "train", *words, "--port", "sim", *epochs)
    assert found["bit_exact"] is True
    assert found["stalls"] == 0
