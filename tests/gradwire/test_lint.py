"""Verilator, Yosys and Icarus Verilog read what is generated, of every kind of design."""

import shutil

import pytest

from fpga_flows import yosys
from hw import tool
from hw.axi.core import AxiCore
from hw.core import Core
from hw.grouping import grouped_design_for
from hw.pipeline import Pipeline, make_grouped_schedule
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import CHIPS, find_chip
from hw.sdram.controller import SdramController
from hw.system import System
from hw.verilog import to_verilog
from sim.simulator import lint

CORES = [
    ((3, 3, 3, 1), None, {}),
    ((1, 1), None, {}),
    ((128, 1), 1, {"input_deltas": True}),
    ((5, 4, 3), 2, {"mapping": ("row", "row"), "broadcast_stages": 2}),
    ((5, 4, 3), 2, {"mapping": ("column", "column"), "activation": "relu,identity"}),
    ((6, 5, 4), 7, {"mapping": ("row", "column"), "subnormals": "ieee"}),
    ((5, 4, 3), 2, {"seeded_weights": True, "activation": "tanh", "table_degree": 1}),
    ((1, 1), None, {"mapping": ("row",), "seeded_weights": True}),
    ((20, 3, 1), None, {"batch": 8, "activation": "sigmoid-exact", "loss": True}),
    ((3, 3, 1), None, {"memory": "unified", "table_degree": 2}),
    ((1, 1), None, {"memory": "unified"}),
    ((5, 7, 2), 4, {"batch": 3, "memory": "unified"}),
    ((5, 7, 2), 4, {"mapping": ("row", "column"), "batch": 3}),
    ((6, 1), 2, {"input_deltas": True, "batch": 2}),
]
AXI_CORES = [
    ((3, 3, 3, 1), None, {}),
    ((1, 1), None, {}),
    ((5, 7, 2), 4, {"batch": 3, "seeded_weights": True, "sample_format": "bytes"}),
    ((5, 7, 2), 4, {"batch": 65536, "memory": "unified", "loss": True}),
    ((5, 4, 3), 2, {"mapping": ("row", "row"), "input_deltas": True}),
    ((2, 300), None, {"mapping": ("row",)}),
    ((1, *[2] * 40, 1), 1, {}),
]
GROUPS = [
    ("3-3/3-3-1:2,2", "sequential", {}),
    ("5-7/7-3/3-2:3,2,2", "delayed", {"activation": "relu,tanh,sigmoid-exact"}),
    ("5-7/7-3-2:3,4", "ping-pong", {"subnormals": "ieee", "broadcast_stages": 2}),
    ("5-7/7-3/3-2/2-1:3,2,1,1", "fill-drain", {"batch": 6, "sample_format": "bytes"}),
    ("1-1/1-1:1,1", "delayed", {"table_degree": 1}),
    ("3-3-1:3", "delayed", {}),
]
SYSTEMS = [
    ((3, 2, 1), 2, {"mapping": ("row", "column")}),
    ((3, 2, 1), 2, {"mapping": ("row", "row")}),
    ((3, 2, 1), 2, {"batch": 65536}),
    ((3, 2, 1), 2, {"sample_format": "bytes", "broadcast_stages": 2}),
    ((3, 2, 1), 2, {"seeded_weights": True}),
    ((3, 2, 1), 2, {"memory": "unified"}),
    ((3, 2, 1), 2, {"input_deltas": True}),
    ((1, 1), 1, {"mapping": ("row",), "buffer_vectors": 2}),
    ((2, 300), None, {"mapping": ("row",), "seeded_weights": True, "batch": 3}),
]
CHIP = "MT48LC16M16A2-75"


def schedule(layers, pes, options):
    return make_schedule(design_for(layers, pes, **options))


def system(kind, chip=CHIP, clock_hz=25e6):
    return System(schedule(*kind), clock_hz, 115_200, find_chip(chip))


def check(component, folder):
    name = component.module_name
    source = folder / "core.v"
    source.write_text(to_verilog(component), encoding="utf-8")
    lint([source], name)
    script = ["read_verilog core.v", f"hierarchy -check -top {name}", "proc", "check -assert"]
    yosys.run(script, folder, "yosys.log")
    if not shutil.which("iverilog"):
        pytest.skip("Verilator and Yosys read it; Debian's package iverilog is not installed")
    command = ["iverilog", "-Wall", "-g2005", "-t", "null", "-s", name, source]
    said = tool.run(command, tool="Icarus Verilog", log=folder / "icarus.log")
    assert said == ""


@pytest.mark.parametrize("kind", CORES, ids=str)
def test_cores(kind, tmp_path):
    check(Core(schedule(*kind)), tmp_path)


@pytest.mark.parametrize("kind", AXI_CORES, ids=lambda kind: str(kind)[:60])
def test_cores_with_axi_outside(kind, tmp_path):
    check(AxiCore(schedule(*kind)), tmp_path)


@pytest.mark.parametrize("groups, kind, options", GROUPS)
def test_groups(groups, kind, options, tmp_path):
    design = grouped_design_for(None, groups, kind, **options)
    check(Pipeline(make_grouped_schedule(design)), tmp_path)


@pytest.mark.parametrize("kind", SYSTEMS, ids=str)
def test_systems(kind, tmp_path):
    check(system(kind), tmp_path)


@pytest.mark.parametrize("chip", CHIPS)
def test_controllers_of_every_chip(chip, tmp_path):
    check(SdramController(system(SYSTEMS[0], chip, 50e6).timing), tmp_path)
