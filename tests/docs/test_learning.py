"""Accuracy over samples: the script on a few samples, the table and the chart of what it found."""

import dataclasses
import struct
from xml.etree import ElementTree

import numpy as np
import pytest

from docs import learning
from docs.learning import BATCH, NETWORKS, Run, chart, design, kinds, main, measure, rows, runs
from gradwire.training import plan, train
from hw.schedule import make_schedule

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A few images of noise, in MNIST's files, few samples and nothing measured."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 50), ("t10k", 40)):
        images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = rng.integers(0, 10, count).astype(np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(head + values.tobytes())
    for name, value in (("SAMPLES", 60), ("TESTS", 40), ("MOMENTS", (20, 60)), ("WARM_UP", 10)):
        monkeypatch.setattr(learning, name, value)
    monkeypatch.setattr(learning, "FILE", tmp_path / "learning.csv")
    (tmp_path / "learning.csv").write_text(learning.HEAD)
    return tmp_path


def test_it_measures_what_is_missing(folder, monkeypatch, capsys):
    few = list(runs())[4:8]
    monkeypatch.setattr(learning, "runs", lambda: few)
    main([str(folder)])
    assert capsys.readouterr().err.count(" s\n") == len(few)
    found = learning.read()
    assert list(found) == few
    assert all(list(each) == [20, 60] for each in found.values())
    before = learning.FILE.read_text()
    (first, *others) = before.splitlines(keepends=True)
    learning.FILE.write_text("".join([first, *others[2:]]))
    main([str(folder)])
    assert learning.read() == found
    assert capsys.readouterr().err.count(" s\n") == 1


def test_exact_descent_is_what_gradwire_trains(folder):
    """At the same rates, from the same weights, on the same samples."""
    run = next(run for run in runs() if run.schedule == "sequential" and run.seed == 2)
    moments = dict(measure(run, folder))
    whole = learning.one_array(run)
    about = {"data": f"idx:{folder}", "samples": 60, "seed": 2}
    assert moments[60] == pytest.approx(train(whole, plan(whole, about)).accuracy, abs=1 / 40)


def test_a_warm_up_is_a_run_of_its_own(folder, monkeypatch):
    run = next(run for run in runs() if run.warm)
    monkeypatch.setattr(learning, "MOMENTS", range(1, 61))
    moments = [samples for samples, _ in measure(dataclasses.replace(run, warm=10), folder)]
    assert moments == list(range(1, 61))


def test_every_kind_can_be_built():
    found = [design(Run(*kind, seed=1)) for kind in kinds()]
    assert {each.topology for each in found} == {"784-100-100-10", "784-64-64-64-64-64-64-10"}
    assert [each.batch for each in found if each.schedule == "fill-drain"] == [BATCH] * 2
    assert {each.batch for each in found if each.schedule == "ping-pong"} == {2}
    for part in found[1].designs:
        make_schedule(part)


def test_the_table_is_of_what_was_measured():
    found, kinds_measured = learning.read(), list(learning.measured())
    assert set(found) <= set(runs())
    lines = list(rows())
    assert len(lines) == len(kinds_measured)
    for kind, (_, _, each, mean, difference, furthest) in zip(kinds_measured, lines, strict=True):
        every = [found.get(Run(*kind, seed)) for seed in learning.SEEDS]
        values = [100 * by_moment[learning.SAMPLES] for by_moment in every if by_moment]
        assert each == ", ".join(f"{value:.2f}" for value in values)
        assert mean == f"{np.mean(values):.2f}"
        assert (difference == furthest == "") == (kind[2] == "sequential")


def test_the_chart_has_a_curve_for_each_kind():
    root = ElementTree.fromstring(chart())
    curves = list(root.iter(f"{SVG}polyline"))
    assert len(curves) == len(learning.measured())
    titles = [curve.find(f"{SVG}title").text for curve in curves]
    assert titles.count("sequential") == len(NETWORKS)
    for curve in curves:
        assert len(curve.get("points").split()) == len(learning.MOMENTS)


def test_late_weights_cost_mnist_nothing():
    """What the docs say of 784-100-100-10: within 0.3 points of exact descent, on average."""
    found = learning.read()
    networks, hidden, gain = NETWORKS[0]

    def mean(groups, schedule):
        each = [Run(groups, hidden, schedule, gain, 0, seed) for seed in learning.SEEDS]
        return np.mean([found[run][learning.SAMPLES] for run in each])

    exact = mean(networks[0], "sequential")
    for groups in networks:
        for schedule in ("delayed", "ping-pong"):
            assert abs(mean(groups, schedule) - exact) <= 0.003
