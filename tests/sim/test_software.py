"""Other software trains the same network as the machine, and its energy is read off aright."""

import json

import numpy as np
import pytest

from hw.design import Design
from sim import software
from sim.golden import Golden, LearningRate, initial_weights

LAYERS = (5, 4, 3)
SAMPLES = 20
CONTENDERS = [
    "numpy_blas",
    pytest.param(
        "pytorch",
        marks=pytest.mark.skipif(software.torch is None, reason="PyTorch is not installed"),
    ),
]


@pytest.mark.parametrize(
    "activations", [("sigmoid", "sigmoid"), ("tanh", "relu"), ("relu", "tanh")]
)
@pytest.mark.parametrize("contender", CONTENDERS)
def test_it_learns_what_the_golden_model_learns(contender, activations):
    rng = np.random.default_rng(1)
    inputs = rng.random((SAMPLES, LAYERS[0]), np.float32)
    labels = rng.random((SAMPLES, LAYERS[-1]), np.float32)
    start = initial_weights(LAYERS, 1, 1.0)
    design = Design(
        layers=LAYERS,
        processing_elements=2,
        mapping=("row", "column"),
        activation=",".join(activations),
        table_degree=2,
    )
    golden = Golden(design, start, LearningRate(rate=software.RATE))
    theirs = start.copy()
    train = getattr(software, contender)(activations, theirs)
    for x, y in zip(inputs, labels, strict=True):
        golden.train(x, y)
        train(x, y)
    for kind in ("weights", "biases"):
        sides = (getattr(weights, kind) for weights in (golden.weights, theirs, start))
        for ours, found, before in zip(*sides, strict=True):
            np.testing.assert_allclose(ours, found, atol=1e-4)
            # They have moved by much more than that.
            assert np.abs(found - before).max() > 3e-3


def test_a_line_for_each(capsys, monkeypatch):
    monkeypatch.setattr(software, "_SECONDS", 0.001)
    software.main("3-2-1", "sigmoid-exact")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["name"] for each in found] == list(software.contenders())
    assert found[0]["name"].startswith("numpy ")
    assert all(each["samples_per_second"] > 0 for each in found)


@pytest.fixture
def powercap(tmp_path):
    """The kernel's counters of two packages, one with a part of its own."""
    for name, energy in (("intel-rapl:0", 990), ("intel-rapl:0:0", 5), ("intel-rapl:1", 100)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "energy_uj").write_text(f"{energy}\n")
        (folder / "max_energy_range_uj").write_text("999\n")
    return tmp_path


def test_energy_is_that_of_the_packages(powercap):
    before = software.energy_uj(powercap)
    assert before == [(990, 999), (100, 999)]
    (powercap / "intel-rapl:0" / "energy_uj").write_text("20")  # has begun anew
    (powercap / "intel-rapl:1" / "energy_uj").write_text("150")
    assert software.used_uj(before, software.energy_uj(powercap)) == 30 + 50


def test_no_energy_where_the_kernel_has_none(powercap, tmp_path):
    assert software.energy_uj(tmp_path / "nothing") is None
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert software.energy_uj(powercap) is None
