"""The 45 nm flow, for real: small components through Yosys, ABC and, where it is, OpenSTA."""

import gzip
import os
import re
import shutil
from pathlib import Path

import pytest

from fpga_flows import liberty as cell_library
from fpga_flows import nangate45, yosys
from fpga_flows.components import Component
from hw.errors import InputError, ToolError
from hw.fp.format import E5M2
from hw.tool import executable

CELLS = """library (small) {{
  time_unit : "1ns"; /* a comment with a brace: {{ */
  default_wire_load : "heavy";
  cell (INV) {{
    area : 1.0; cell_footprint : "}}";
    pin (A) {{ direction : input; capacitance : 1.0; }}
    pin (Y) {{ direction : output; function : "!A"; }}
  }}
  cell (NAND) {{
    area : 2.0;
    pin (A) {{ direction : input; capacitance : 1.0; }}
    pin (B) {{ direction : input; capacitance : 1.0; }}
    pin (Y) {{ direction : output; function : "!(A * B)"; }}
  }}
  {flip_flop}
}}
"""
FLIP_FLOP = """cell (FF) {
    area : 4.0;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "C"; }
    pin (C) { direction : input; clock : true; capacitance : 1.0; }
    pin (D) {
      direction : input; capacitance : 1.0;
      timing () {
        related_pin : "C"; timing_type : setup_rising;
        rise_constraint (T) { index_1 ("1, 2, 3"); values ("0.03, 0.05, 0.04"); }
      }
    }
    pin (Q) {
      direction : output; function : "IQ";
      timing () {
        related_pin : "C"; timing_type : rising_edge;
        cell_rise (T) { values ("0.1, 0.2", \\
                                "0.3, 0.4"); }
        cell_fall (T) { values ("0.1"); }
      }
    }
  }"""
COUNTER = """module core(input clk, input [7:0] a, output reg [7:0] o);
  always @(posedge clk) o <= o + a;
endmodule
"""


@pytest.fixture(scope="module")
def multiplier():
    return Component(name="multiplier", format=E5M2, stages=2)


@pytest.fixture(scope="module")
def mapped(multiplier, nangate45_lib, tmp_path_factory):
    """A small multiplier with its registers retimed, timed by ABC; and the work folder."""
    work = tmp_path_factory.mktemp("mapped")
    result = nangate45.synthesize(
        multiplier.verilog, multiplier.top, liberty=nangate45_lib, work=work, opensta=False
    )
    return result, work


def small(folder, flip_flop=FLIP_FLOP):
    file = folder / "small.lib"
    file.write_text(CELLS.format(flip_flop=flip_flop))
    return file


def test_small_multiplier(mapped):
    result, work = mapped
    assert (result.target, result.timing_by) == ("nangate45", "ABC")
    assert result.script in nangate45.SCRIPTS
    assert 100 < result.area_um2 < 500
    assert 500 < result.fmax_mhz < 4000
    # The harness' flip-flops, some fifty, are not counted, nor is anything else of it.
    assert 16 <= result.ffs < 60
    cells = re.findall(r"^  (\w+_X\d+) ", (work / "mapped.v").read_text(), re.MULTILINE)
    assert len(cells) == result.cells
    assert result.log == work / "yosys.log" and result.log.is_file()


def test_retimed_netlist_computes_the_same(multiplier, mapped):
    """Proof by Yosys: whatever comes in, the outputs are equal once the pipeline is full."""
    _, work = mapped
    script = [
        "read_liberty -ignore_miss_func cells.lib",
        "setattr -mod -unset keep_hierarchy -unset whitebox -unset liberty_cell *",
        "read_rtlil mapped.il",
        f"hierarchy -top {multiplier.top}",
        "flatten",
        "opt_clean",
        "rename -top gate",
        "design -stash gate",
        "read_verilog core.v",
        f"hierarchy -top {multiplier.top}",
        "proc",
        "setattr -unset init w:*",
        "flatten",
        "opt_clean",
        "rename -top gold",
        "design -stash gold",
        "design -copy-from gold gold",
        "design -copy-from gate gate",
        "miter -equiv -flatten gold gate miter",
        "hierarchy -top miter",
        # Whatever the registers hold at first, of a pipeline nothing of it is left in clock 3.
        "sat -verify -prove trigger 0 -seq 3 -prove-skip 2 -set in_rst 0 miter",
    ]
    yosys.run(script, work, "proof.log")
    assert "SUCCESS" in (work / "proof.log").read_text()


@pytest.mark.skipif(not shutil.which("sta"), reason="OpenSTA is not installed")
def test_opensta_and_abc_agree(multiplier, mapped, nangate45_lib, tmp_path):
    by_abc, _ = mapped
    result = nangate45.synthesize(
        multiplier.verilog, multiplier.top, liberty=nangate45_lib, work=tmp_path
    )
    assert result.timing_by == "OpenSTA"
    assert (result.area_um2, result.cells) == (by_abc.area_um2, by_abc.cells)
    assert result.fmax_mhz == pytest.approx(by_abc.fmax_mhz, rel=0.25)
    assert "slack" in (tmp_path / "opensta.log").read_text()


def test_feedback_is_not_lost(nangate45_lib, tmp_path):
    """A core that is no pipeline."""
    result = nangate45.synthesize(
        COUNTER, "core", liberty=nangate45_lib, work=tmp_path, opensta=False
    )
    assert result.ffs >= 8
    assert 200 < result.fmax_mhz < 4000


def test_cells_that_the_library_lacks(nangate45_lib, tmp_path):
    outside = """(* blackbox *) module macro(input d, output q); endmodule
    module below(input clk, input d, output reg q); always @(posedge clk) q <= d; endmodule
    module core(input clk, input d, output [1:0] q);
      macro first(.d(d), .q(q[0]));
      below second(.clk(clk), .d(d), .q(q[1]));
    endmodule"""
    expected = r"^the library has no cells for 1 that the core needs: macro; log: [^\n]*log$"
    with pytest.raises(ToolError, match=expected):
        nangate45.synthesize(outside, "core", liberty=nangate45_lib, work=tmp_path)


def test_flip_flops_that_the_library_lacks(tmp_path):
    latch = "module core(input clk, input d, output reg q); always @* if (clk) q = d; endmodule"
    expected = r"^Yosys failed: [^\n]*D latches are not supported; log: [^\n]*elaborate\.log$"
    with pytest.raises(ToolError, match=expected):
        nangate45.synthesize(latch, "core", liberty=small(tmp_path), work=tmp_path / "work")


def test_library_that_abc_cannot_use(tmp_path):
    """Without delays there is nothing to map by."""
    expected = r"^ABC failed with each of the scripts retime, [^\n]*; log: [^\n]*yosys\.log$"
    with pytest.raises(ToolError, match=expected):
        nangate45.synthesize(COUNTER, "core", liberty=small(tmp_path), work=tmp_path / "work")


def test_unknown_script(tmp_path):
    expected = r"^script must be one of retime, [^\n]*, not 'magic'$"
    with pytest.raises(InputError, match=expected):
        nangate45.synthesize("", "core", liberty=tmp_path, work=tmp_path, script="magic")


def test_broken_verilog(tmp_path):
    expected = r"^Yosys failed [^\n]*core\.v:1: ERROR: syntax error[^\n]*\.log$"
    with pytest.raises(ToolError, match=expected):
        nangate45.synthesize("module core(;", "core", liberty=small(tmp_path), work=tmp_path)


def test_opensta_that_fails(nangate45_lib, tmp_path, monkeypatch):
    script = tmp_path / "sta"
    script.write_text("#!/bin/sh\necho 'Error: no clock'\nexit 1\n")
    script.chmod(0o755)
    real = executable
    monkeypatch.setattr(
        "hw.tool.executable", lambda name: str(script) if name == "sta" else real(name)
    )
    expected = r"^OpenSTA failed \(exit code 1\): Error: no clock; log: [^\n]*log$"
    with pytest.raises(ToolError, match=expected):
        nangate45.synthesize(COUNTER, "core", liberty=nangate45_lib, work=tmp_path / "work")


class TestLiberty:
    def test_parts(self, tmp_path):
        library = cell_library.read(small(tmp_path))
        assert list(library.cells) == ["INV", "NAND", "FF"]
        assert library.flip_flops == ["FF"]
        # Clock to output 0.25 ns, setup 0.04 ns: medians, of the indices nothing.
        assert library.overhead_ns("FF") == pytest.approx(0.29)
        assert "default_wire_load" in library.text
        assert "default_wire_load" not in library.without_wire_load

    def test_gzipped(self, tmp_path):
        file = small(tmp_path)
        zipped = tmp_path / "small.lib.gz"
        zipped.write_bytes(gzip.compress(file.read_bytes()))
        assert cell_library.read(zipped).text == file.read_text()

    def test_truncated(self, tmp_path):
        file = small(tmp_path)
        file.write_text(file.read_text()[:400])
        expected = r"^Liberty file [^\n]*small\.lib is truncated: \d of its groups do not end$"
        with pytest.raises(ToolError, match=expected):
            cell_library.read(file)

    def test_truncated_gzip(self, tmp_path):
        zipped = tmp_path / "small.lib.gz"
        zipped.write_bytes(gzip.compress(small(tmp_path).read_bytes())[:200])
        with pytest.raises(ToolError, match=r"^Liberty file [^\n]*\.gz is truncated: its gzip"):
            cell_library.read(zipped)

    @pytest.mark.parametrize(
        "content", [b"", b"PK\3\4", b"module core;", b"\x1f\x8bnothing of gzip"]
    )
    def test_not_liberty(self, tmp_path, content):
        file = tmp_path / "other"
        file.write_bytes(content)
        with pytest.raises(ToolError, match=r"^Liberty file [^\n]*other (is not|cannot)[^\n]*$"):
            cell_library.read(file)

    def test_without_flip_flops(self, tmp_path):
        with pytest.raises(ToolError, match=r"^Liberty file [^\n]* has no flip-flops: no cell"):
            cell_library.read(small(tmp_path, flip_flop=""))

    def test_none_named(self, monkeypatch):
        monkeypatch.delenv("GRADWIRE_LIBERTY", raising=False)
        with pytest.raises(InputError, match=r"^45 nm needs [^\n]*--liberty F[^\n]*GRADWIRE_LIBER"):
            cell_library.find(None)

    def test_named_by_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setitem(os.environ, "GRADWIRE_LIBERTY", str(small(tmp_path)))
        assert cell_library.find(None) == tmp_path / "small.lib"
        expected = r"^Liberty file nowhere cannot be read: there is no such file$"
        with pytest.raises(InputError, match=expected):
            cell_library.find(Path("nowhere"))
