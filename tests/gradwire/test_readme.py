"""Every command in the README is executed, here."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gradwire import models
from sim.golden import Weights

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.split("  #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    for line in block.splitlines()
    if line.strip()
]
GRADWIRE = [line.removeprefix("gradwire ") for line in LINES if line.startswith("gradwire ")]
MAKE = [line for line in LINES if line.startswith("make ")]

# Minutes of place and route.
SLOW = ("synth ", "demo")


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
    [pytest.param(x, marks=pytest.mark.slow if x.startswith(SLOW) else ()) for x in GRADWIRE],
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
    # What they would do: to do it would run these tests inside themselves.
    found = subprocess.run(
        ["make", "-n", *shlex.split(line)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    last = "gradwire demo" if line == "make demo" else "pytest"
    assert last in found.stdout


def test_short_enough_for_a_newcomer():
    assert len(README.splitlines()) < 150


def test_files_that_it_names_are_there():
    for name in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / name).exists(), name


def test_python(capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    exec(block, {})
    assert int(capsys.readouterr().out) <= 150
