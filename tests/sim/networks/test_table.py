"""DAPP's Table 4.1: the script on a few samples, and in the slow tier all of it, with a bound."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from sim.networks.table import KINDS, MODELS, accuracies, compare, decreases, load, main

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist"
HAVE_MNIST = pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not in ../shared/data/mnist")


@pytest.fixture
def folder(tmp_path):
    """A few images of noise, in MNIST's files."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 120), ("t10k", 30)):
        images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = rng.integers(0, 10, count).astype(np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(
                gzip.compress(head + values.tobytes())
            )
    return tmp_path


def cells(text):
    return [[x.strip() for x in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_script(folder, capsys):
    words = [str(folder), "--samples", "110", "--tests", "30", "--seeds", "2"]
    main(words)
    first = capsys.readouterr()
    lines = first.err.splitlines()
    assert len(lines) == len(MODELS) * 2 * len(KINDS)
    pattern = r"(CNN|RNN|LSTM), seed [12], [a-z-]+: \d+\.\d\d %, \d+\.\d\d %, \d+ s"
    assert all(re.fullmatch(pattern, line) for line in lines)
    rows = [line for line in first.out.splitlines() if re.match(r"\| (CNN|RNN|LSTM)", line)]
    assert len(rows) == 3 * len(MODELS)
    main([*words, "--models", "RNN"])
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| RNN")]
    assert again == [row for row in rows if row.startswith("| RNN")]


def test_a_table_of_accuracies():
    seeds = [np.array([[0.5, 0.9], [0.4, 0.91], [0.1, 0.8]]), np.array([[0.5, 0.92]] * 3)]
    *_, row = cells(accuracies({"LSTM": seeds}, 1))
    assert row == ["LSTM", "91.00 %", "91.50 %", "86.00 %", "+1.00", "-10.00", "96.4 % and 96.7 %"]


def test_a_table_of_slots():
    *_, row = cells(decreases({"RNN": 60_000}))
    counted, formulas = ["79.9 %", "89.9 %"], ["66.5 %", "83.2 %"]
    assert row == ["RNN", "600", "3,000", "604", "304", *counted, *formulas, "39.73 %"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere must hold train-images-idx3-ubyte or .*: there is neither"),
        (["nowhere", "--seeds", "0"], "seeds must be 1 or more, not 0"),
        (["nowhere", "--samples", "-1"], "samples must be 1 or more, not -1"),
        (["nowhere", "--models", "MLP"], "invalid choice: 'MLP'"),
    ],
)
def test_bad_arguments(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])


@HAVE_MNIST
def test_few_samples_teach_something():
    data = load(MNIST, 800, 500)
    found = compare(MODELS["CNN"], data, 800, 1, "CNN")
    assert (found[:, 1] > 0.6).all()
    assert (found[:, 1] > found[:, 0]).all()


@pytest.mark.slow
@HAVE_MNIST
@pytest.mark.parametrize("name", MODELS)
def test_accuracies_are_close(name):
    """Of both pipelines, within a point of exact descent."""
    data = load(MNIST, 60_000, 10_000)
    model = MODELS[name]
    exact, delayed, ping_pong = compare(model, data, model.samples, 1, name)[:, 1]
    assert exact > 0.95
    assert abs(delayed - exact) <= 0.01
    assert abs(ping_pong - exact) <= 0.01
