"""`gradwire synth --target nangate45` when something goes wrong: one line, and what is kept."""

import errno
import json
import sys
from pathlib import Path

import pytest

from fpga_flows import asic
from gradwire import cells
from hw import tool

LIBRARY = """library (small) {
  cell (INV) { area : 1.0; pin (A) { direction : input; } pin (Y) { direction : output; } }
  cell (FF) {
    area : 4.0;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "C"; }
    pin (C) { direction : input; clock : true; }
    pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; }
  }
}
"""
SYNTH = ("synth", "3-1", "--target", "nangate45", "-o", "out", "--liberty", "cells.lib")


@pytest.fixture
def library(folder):
    file = folder / "cells.lib"
    file.write_text(LIBRARY)
    return file


@pytest.fixture
def fake_yosys(folder, fresh_cache, monkeypatch):
    """What stands in for Yosys: a Python script; it knows its version, and does what it is told."""

    def put(what):
        file = folder / "fake-yosys"
        lines = [f"#!{sys.executable}", "import sys, time", "if '-V' in sys.argv: sys.exit()", what]
        file.write_text("\n".join([*lines, ""]))
        file.chmod(0o755)
        real = tool.executable
        monkeypatch.setattr(
            tool, "executable", lambda name: str(file) if "yosys" in name else real(name)
        )

    return put


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda text: text[:200], "is truncated: "),
        (lambda text: "not " + text, "is not Liberty"),
        (lambda text: text.replace("ff (IQ", "latch (IQ"), "has no flip-flops"),
    ],
    ids=["truncated", "not Liberty", "no flip-flops"],
)
def test_bad_library(fails, library, change, says):
    library.write_text(change(library.read_text()))
    line = fails(*SYNTH, code=1)
    assert f"Liberty file cells.lib {says}" in line


@pytest.mark.parametrize(
    "what, says",
    [
        ("print('ERROR: too hot'); sys.exit(3)", "Yosys failed (exit code 3): ERROR: too hot; log"),
        ("import os; os.abort()", "Yosys failed (SIGABRT)"),
        ("print('thinking', flush=True); time.sleep(99)", "Yosys took longer than 1.2 s: thinking"),
    ],
    ids=["fails", "crashes", "hangs"],
)
def test_a_tool_that_goes_wrong(fails, folder, library, fake_yosys, what, says):
    fake_yosys(what)
    (folder / "out").mkdir()
    (folder / "out" / cells.KEPT).write_text("{}")
    line = fails(*SYNTH, "--time-limit", "0.02", code=1)
    assert says in line
    assert Path(line.rpartition("log: ")[2].strip()).is_file()
    # What an earlier synthesis has found is still there.
    assert (folder / "out" / cells.KEPT).read_text() == "{}"


def test_a_full_disk_that_yosys_does_not_notice(fails, library, fake_yosys):
    fake_yosys("open('memories.json', 'w').write('{')")
    line = fails(*SYNTH, code=1)
    assert "out/memories.json incomplete; the disk has" in line and line.endswith("MB to spare\n")


def test_a_full_disk(fails, folder, library, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(asic, "synthesize", full)
    line = fails(*SYNTH, code=1)
    assert line == "gradwire: output folder out cannot be written: No space left on device\n"


RESULT = asic.Machine(
    target="nangate45",
    topology="3-1",
    processing_elements=1,
    multiplier_stages=2,
    adder_stages=3,
    mapping=("row",),
    clocks_per_iteration=40,
    fmax_mhz=500.0,
    timing_by="ABC",
    critical_path=None,
    logic_um2=10_000.0,
    pe_um2=9_000.0,
    sram_um2=None,
    access_ns=0.4,
    cells=5000,
    ffs=500,
    parts=(asic.Part("machine", "m", 1, 10_000.0, 1.0, 1, 1, {"pe": 1}, "in-place"),),
    memories=(),
    work=Path("out"),
    log=Path("out/log"),
)


def test_json_and_table(run, run_json, folder, library, monkeypatch):
    monkeypatch.setattr(asic, "synthesize", lambda *_, **__: RESULT)
    found = run_json(*SYNTH)
    assert (found["pes"], found["ns_per_iteration"], found["sram_um2"]) == (1, 80.0, None)
    assert found["seconds_per_100_000"] == pytest.approx(0.008)
    assert json.loads((folder / "out" / cells.KEPT).read_text()) == found
    shown = run(*SYNTH).stdout
    assert "500 MHz, by ABC, without wires" in shown and "OpenRAM is not installed" in shown


def test_no_energy_keeps_the_cost(fails, folder, library, monkeypatch):
    """There is no netlist to measure: what the synthesis has found is kept."""
    monkeypatch.setattr(asic, "synthesize", lambda *_, **__: RESULT)
    line = fails(*SYNTH, "--energy", "red", code=1)
    assert "there is no netlist of gradwire_3_1_p1 in out" in line
    assert json.loads((folder / "out" / cells.KEPT).read_text())["fmax_mhz"] == 500.0
