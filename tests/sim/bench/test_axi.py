"""Cores with AXI outside, by others' masters; what is asked of them is in axi_bench.py."""

import pytest

from hw.schedule import design_for
from sim.bench.axi import run

DESIGNS = {
    "red": design_for((3, 3, 3, 1), loss=True),
    "bytes": design_for((16, 12, 10), 8, sample_format="bytes", batch=5, seeded_weights=True),
    "unified": design_for((4, 3, 2), 2, memory="unified", batch=3),
    # Its weight port takes 6 clocks, and a sample of it has one word of results.
    "far": design_for((5, 6, 1), 3, broadcast_stages=4, subnormals="ieee", loss=True),
}
FEW = ["red", "bytes"]
every_design = pytest.mark.parametrize("name", DESIGNS)
few_designs = pytest.mark.parametrize("name", FEW)


@every_design
def test_training_and_inference(name, tmp_path):
    run(DESIGNS[name], "trains", tmp_path, count=40, data="red" if name == "red" else "")


def test_handwritten_digits(tmp_path):
    pytest.importorskip("sklearn")
    design = design_for((64, 16, 10), 16, batch=4, loss=True)
    run(design, "trains", tmp_path, count=30, data="digits")


@every_design
def test_accesses(name, tmp_path):
    run(DESIGNS[name], "registers", tmp_path, count=1000)


@pytest.mark.slow
@few_designs
def test_ten_thousand_accesses(name, tmp_path):
    run(DESIGNS[name], "registers", tmp_path, count=10_000, seed=2)


@few_designs
def test_resets(name, tmp_path):
    run(DESIGNS[name], "resets", tmp_path, count=10)


@pytest.mark.slow
@every_design
def test_two_hundred_resets(name, tmp_path):
    run(DESIGNS[name], "resets", tmp_path, count=200, seed=2)


@few_designs
def test_records_of_a_wrong_length(name, tmp_path):
    run(DESIGNS[name], "records", tmp_path, count=10)


@few_designs
def test_results_that_nobody_takes(name, tmp_path):
    run(DESIGNS[name], "results", tmp_path)
