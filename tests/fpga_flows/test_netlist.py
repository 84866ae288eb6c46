"""The synthesized core, in the FPGA's cells, trains as the golden model does."""

import re

import pytest

from fpga_flows import netlist
from fpga_flows.netlist import ecp5_netlist
from hw.core import Core
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog
from sim.bench.run import Run, simulate
from sim.datasets import red
from sim.golden import LearningRate, initial_weights

SAMPLES = 50


@pytest.mark.slow
def test_3_3_3_1_trains_red_in_the_cells_of_an_ecp5(tmp_path):
    """Bit exact: every prediction and its clock, and all weights at the end."""
    schedule = make_schedule(design_for((3, 3, 3, 1)))
    core = Core(schedule)
    files = ecp5_netlist(to_verilog(core), core.module_name, tmp_path)
    text = files[1].read_text(encoding="utf-8")
    made = set(re.findall(r"^  (\w+) (?:#\(|\S+ +\()", text, re.M))
    assert made == {"LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "MULT18X18D", "DP16KD"}
    assert "always" not in text and "reg " not in text
    data = red(SAMPLES, 1, seed=1)
    weights = initial_weights(schedule.design.layers, 1)
    run = Run(data.train_inputs, data.train_labels, LearningRate(rate=0.3))
    found = simulate(schedule, weights, [run], netlist=files, optimize=0)
    assert found.mismatches == 0, found.first
    assert found.samples == (SAMPLES,)
    assert len(found.outputs) == SAMPLES
    assert found.run_clocks == found.predicted_run_clocks


def test_no_models(monkeypatch):
    monkeypatch.setattr(netlist, "_YOSYS_MODELS", ("nowhere.vh",))
    with pytest.raises(ToolError, match=r"^Yosys' models of the ECP5's cells are missing: "):
        netlist._models()
