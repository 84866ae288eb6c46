"""A machine in standard cells, as a report has it."""

import json
import shlex
from pathlib import Path

import pytest

from fpga_flows import asic, power
from gradwire import machine
from gradwire.report import cells, collect, model
from gradwire.report.figures import figures
from hw.errors import ToolError


def part(name, instances, own, **contains):
    return asic.Part(
        name=name, module=f"m_{name}", instances=instances, area_um2=0, own_um2=own, cells=1,
        ffs=1, contains=contains, script="retime",
    )  # fmt: skip


MACHINE = asic.Machine(
    target="nangate45", topology="4-3-2", processing_elements=2, multiplier_stages=2,
    adder_stages=3, mapping=("row", "row"), clocks_per_iteration=100, fmax_mhz=500.0,
    timing_by="OpenSTA", critical_path=("sequencer/u5", "u7"), logic_um2=10 + 20 + 2 * (30 + 40)
    + 40, pe_um2=70.0, sram_um2=6.0, access_ns=0.4, cells=9, ffs=9,
    parts=(
        part("machine", 1, 10.0, array=1, adder_e8f23_flush_3=1, sram_64x32=1),
        part("array", 1, 20.0, pe=2),
        part("pe", 2, 30.0, adder_e8f23_flush_3=1),
        part("adder_e8f23_flush_3", 3, 40.0),
    ),
    memories=(asic.Memory("sram_64x32", 64, 32, 2, (64,), 3.0, 0.4, 5.0, 1.0),),
    work=Path("work"), log=Path("log"),
)  # fmt: skip

ENERGY = power.Energy(
    frequency_mhz=500.0, samples=2, clocks_per_sample=100.0, probed=(0,), logic_nj=6.0,
    clock_tree_nj=1.0, sram_nj=2.0, leakage_nj=1.0, total_nj=10.0, guess=0.1, guess_logic_nj=11.0,
    guess_total_nj=15.0, watts=0.05, annotated_by="toggles", energy_by="the Liberty file; OpenRAM",
    phases=(
        # The last updates of a sample may come while the next one is in the array.
        power.PhaseEnergy("gradient descent", 2, 10.0, 1.0, 0.5, 0.1),
        power.PhaseEnergy("forward", 1, 30.0, 2.0, 1.0, 0.3),
        power.PhaseEnergy("forward", 2, 20.0, 1.0, 0.5, 0.2),
        power.PhaseEnergy("waiting", None, 40.0, 2.0, 0.0, 0.4),
    ),
    parts=(), memories=(),
)  # fmt: skip


def test_cost():
    found = cells.cost(MACHINE, "command")
    assert [(p.within, p.name, p.instances, p.amount) for p in found.parts] == [
        ("", "", 1, 10),
        ("", "array", 1, 20),
        ("array", "PE", 2, 60),
        ("PE", "adder", 2, 80),
        ("", "adder", 1, 40),
        ("SRAM", "SRAM of 64 words", 2, 6),
    ]
    assert found.total == sum(each.amount for each in found.parts) == 216
    assert (found.fmax_mhz, found.pe_um2) == (500, 70)
    assert found.critical_path == ("sequencer/u5", "u7")


def test_energy():
    found = cells.energy(ENERGY, "command")
    assert found.energy_nj == 10 and found.power_mw == 50 and found.guess_mw == 75
    assert sum(share.energy_nj for share in found.shares) == pytest.approx(found.energy_nj)
    assert [(share.name, share.kind) for share in found.shares] == [
        ("forward 1", "forward"), ("forward 2", "forward"), ("gradient descent 2", "descent"),
        ("waiting", "other"), ("clock tree, estimated", "other"),
    ]  # fmt: skip


@pytest.fixture
def quick(monkeypatch, folder):
    monkeypatch.setattr(
        collect.Collector, "_estimate", lambda self, verilog: cells.cost(MACHINE, "")
    )
    monkeypatch.setattr(collect, "to_verilog", lambda core: core.module_name)
    monkeypatch.setattr(collect, "software", lambda *_: [])
    monkeypatch.setattr(cells, "synthesize", lambda *_: MACHINE)
    monkeypatch.setattr(cells, "measure", lambda *_: ENERGY)
    (folder / "cells.lib").write_text("")


WORDS = ("report", "3-3-3-1", "--train", "20", "--target", "nangate45", "--liberty", "cells.lib")


def test_report(quick, run, folder):
    found = run(*WORDS, "-o", "r.html")
    assert found.exit_code == 0, found.output
    told = model.read(folder / "r.json")
    areas = {figure.name: figure.value for figure in figures(told) if figure.section == "area"}
    assert areas["of it logic (nangate45)"] == MACHINE.logic_um2
    assert areas["a processing element (nangate45)"] == 70
    assert (
        "Of it logic: 210 um2, of which a processing element has 70 um2."
        in (folder / "r.html").read_text()
    )
    rows = {(row.network, row.what): row for row in told.paper.rows}
    assert rows["3-3-3-1", "energy of a sample"].ours == pytest.approx(0.01)
    assert rows["3-3-3-1", "power"].ours == pytest.approx(0.05)
    area = rows["3-3-3-1", "logic of a processing element (the paper: of a neuron)"]
    assert (area.ours, area.paper) == (70, 51_171.5)
    # Times are stated for the clock that was measured.
    assert rows["3-3-3-1", "training on 6,000 samples"].ours == pytest.approx(70 * 6000 / 500e3)
    assert told.power[0].command.endswith("--target nangate45 --liberty cells.lib --energy red")


def test_one_design(quick, run, folder):
    """The page is about the machine that its commands make, whatever others choose for an FPGA."""
    words = ("report", "16-16-4", "--pes", "4", "--target", "nangate45", "--liberty", "cells.lib")
    assert run(*words, "-o", "r.html").exit_code == 0
    told = model.read(folder / "r.json")
    stages = "--multiplier-stages 2 --adder-stages 3"
    assert told.built.options == f"--pes 4 {stages}"
    assert told.clocks.command == f"gradwire clocks 16-16-4 --pes 4 {stages}"
    clocks = json.loads(run(*shlex.split(told.clocks.command)[1:], "--json").stdout)
    assert told.clocks.per_iteration == clocks["clocks_per_iteration"]


def fail(*_, **__):
    raise ToolError("the tool failed; log: /tmp/its.log")


@pytest.mark.parametrize("name, kept", [("synthesize", 0), ("measure", 1)])
def test_what_fails_costs_itself(quick, run, folder, monkeypatch, name, kept):
    monkeypatch.setattr(cells, name, fail)
    found = run(*WORDS, "-o", "r.html")
    assert found.exit_code == 1 and found.stderr.count("\n") == 1
    told = model.read(folder / "r.json")
    assert len(told.costs) == 1 + kept and told.power == ()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--target", "nangate45"], "45 nm needs a Liberty file"),
        (["--target", "nangate45", "--liberty", "none"], "there is no such file"),
        (["--liberty", "cells.lib"], "--liberty is for --target nangate45"),
    ],
)
def test_bad_input(quick, fails, monkeypatch, words, said):
    monkeypatch.delenv("GRADWIRE_LIBERTY", raising=False)
    monkeypatch.setattr(machine, "synthesize", fail)
    assert said in fails("report", "3-3-3-1", *words)
