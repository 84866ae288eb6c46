"""Every command in the README is executed, here."""

import json
import re
import shlex

import numpy as np
import pytest

from gradwire import models
from sim.golden import Weights
from tests.commands import ROOT, SLOW, blocks, lines, plan

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = lines(README)
GRADWIRE = [line.removeprefix("gradwire ") for line in LINES if line.startswith("gradwire ")]
MAKE = [line for line in LINES if line.startswith("make ")]


def test_every_line_is_run_by_a_test_below():
    assert len(GRADWIRE) >= 6 and len(MAKE) >= 2
    assert sorted(LINES) == sorted([*MAKE, *(f"gradwire {line}" for line in GRADWIRE)])


@pytest.fixture
def files(folder):
    """What the commands read: a model of someone's, and weights."""
    pair = Weights((np.ones((4, 3), np.float32),), (np.ones(4, np.float32),))
    network = models.Network(pair, "relu", said=True, rounded=0)
    for name, to in (("model.onnx", "onnx"), ("W.npz", "npz")):
        (folder / name).write_bytes(models.write(network, to))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(x, marks=pytest.mark.slow if f"gradwire {x}".startswith(SLOW) else ())
        for x in GRADWIRE
    ],
)
def test_gradwire(line, command, folder, files, simulator_3_3_3_1):
    child = command(*shlex.split(line))
    out, err = child.communicate()
    assert child.returncode == 0, err
    assert out
    if "--json" in line:
        json.loads(out)
    if waves := re.search(r"--waves (\S+)", line):
        assert "$enddefinitions" in (folder / waves[1]).read_text()


@pytest.mark.parametrize("line", MAKE)
def test_make(line):
    last = "gradwire demo" if line == "make demo" else "pytest"
    assert last in plan(line)


def test_short_enough_for_a_newcomer():
    assert len(README.splitlines()) < 150


def test_files_that_it_names_are_there():
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / name).exists(), name


def test_python(capsys):
    (block,) = blocks(README, "python")
    exec(block, {})
    assert int(capsys.readouterr().out) <= 150
