"""The components alone: parameters, the median placement, and the committed figures."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpga_flows import components, fpga
from fpga_flows.components import Component, best_stages
from gradwire.cli import app
from hw.errors import InputError
from hw.fp.format import BINARY16

BASELINE = json.loads((Path(components.__file__).parent / "baseline.json").read_text())
ON_CELLS = [figures for figures in BASELINE["figures"] if figures["target"] == "nangate45"]
ON_FPGA = [figures for figures in BASELINE["figures"] if figures["target"] != "nangate45"]


def called(figures):
    return "-".join(str(figures[key]) for key in ("component", "subnormals", "target"))


def component(figures):
    return Component(
        name=figures["component"], subnormals=figures["subnormals"], stages=figures["stages"]
    )


@pytest.mark.parametrize("name", components.COMPONENTS)
@pytest.mark.parametrize("target", components.TARGETS)
@pytest.mark.parametrize("subnormals", ["flush", "ieee"])
def test_best_stages_are_legal(name, target, subnormals):
    made = Component(name=name, subnormals=subnormals, stages=best_stages(name, target))
    assert f"module {made.top}(" in made.verilog


def test_any_format():
    made = Component(name="adder", format=BINARY16, subnormals="ieee", stages=3)
    assert made.top == "adder_e5f10_ieee_3"


@pytest.mark.parametrize(
    "values, said",
    [
        ({"name": "divider", "stages": 3}, r"component must be one of multiplier, adder, not 'div"),
        ({"name": "adder", "stages": 9}, r"stages must be from 2 to 8, not 9"),
        (
            {"name": "adder", "stages": 2, "subnormals": "some"},
            r"subnormals must be 'ieee' or 'flush', not 'some'",
        ),
    ],
)
def test_bad_parameters(values, said):
    with pytest.raises(InputError, match=f"^{said}"):
        Component(**values)


def test_bad_target():
    with pytest.raises(InputError, match=r"^target must be one of nangate45, ecp5-12k, [^\n]*'x'$"):
        best_stages("adder", "x")


def placements(*clocks):
    """What a multiplier with placements of these frequencies, MHz, is told to be."""
    made = (fpga.Placement(seed, 150.0, mhz, (), "x.log") for seed, mhz in enumerate(clocks, 1))
    there = dict.fromkeys(("luts", "ffs", "dsps", "brams"), 1000)
    return fpga.Result("ecp5-85k", "6", 240, 300, 4, 0, there, (), tuple(made))


class TestCommand:
    def run(self, *words, code=0):
        result = CliRunner().invoke(app, ["synth", *words], prog_name="gradwire")
        assert result.exit_code == code, result.output
        return result

    def test_in_standard_cells(self, nangate45_lib, tmp_path):
        options = ["--component", "adder", "--stages", "2", "--target", "nangate45"]
        options += ["--liberty", str(nangate45_lib), "-o", str(tmp_path)]
        found = json.loads(self.run(*options, "--json").stdout)
        assert list(found) == [
            "component",
            "format",
            "subnormals",
            "stages",
            "target",
            "area_um2",
            "cells",
            "ffs",
            "fmax_mhz",
            "timing_by",
            "script",
            "log",
        ]
        assert (found["component"], found["format"]) == ("adder", "e8f23")
        assert (found["subnormals"], found["stages"]) == ("flush", 2)
        assert found["timing_by"] in ("OpenSTA", "ABC")
        assert Path(found["log"]).is_file()

    def test_on_an_fpga(self, tmp_path, monkeypatch):
        asked = {}
        monkeypatch.setattr(
            fpga, "synthesize", lambda *_, **more: asked.update(more) or placements(130, 140, 150)
        )
        options = ["--component", "multiplier", "--subnormals", "ieee", "-o", str(tmp_path)]
        found = json.loads(self.run(*options, "--json").stdout)
        assert (found["subnormals"], found["target"]) == ("ieee", "ecp5-85k")
        assert (found["luts"], found["ffs"], found["dsps"]) == (240, 300, 4)
        assert (found["fmax_mhz"], found["timing_by"], found["seeds"]) == (140.0, "nextpnr", 3)
        assert list(asked["seeds"]) == [1, 2, 3]
        shown = self.run(*options).stdout
        assert "multiplier, e8f23, ieee, on ecp5-85k" in shown
        assert "140 MHz (median of 3; best 150 with seed 3, worst 130)" in shown

    @pytest.mark.parametrize(
        "words, said",
        [
            (["--component", "divider"], "component must be one of multiplier, adder"),
            (["--component", "adder", "--stages", "1"], "stages must be from 2 to 8, not 1"),
            (["--component", "adder", "--target", "abacus"], "target must be one of nangate45"),
            (["--component", "adder", "--seeds", "0"], "seeds must be at least 1, not 0"),
            (["--component", "adder", "--pes", "3"], "--component takes no --pes"),
            (["--component", "adder", "3-1"], "--component takes no topology: '3-1'"),
            (["--component", "adder", "--target", "nangate45"], "GRADWIRE_LIBERTY"),
            (["3-1", "--stages", "3"], "--stages is for --component"),
            (["3-1", "--dsps", "2"], "--dsps is for --component"),
            (["--component", "adder", "--dsps", "2"], "dsps must be left alone for adder"),
            (["--component", "multiplier", "--dsps", "3"], "dsps must be 1, 2 or 4, not 3"),
            (["3-1", "--target", "nangate45"], "GRADWIRE_LIBERTY"),
            (["3-1", "--target", "abacus"], "target must be one of ecp5-12k"),
            ([], "synth needs a topology, such as 3-3-3-1, or --component"),
        ],
    )
    def test_bad_input(self, words, said, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("GRADWIRE_LIBERTY", raising=False)
        result = self.run(*words, code=2)
        assert result.stderr.startswith("gradwire: ") and result.stderr.count("\n") == 1
        assert said in result.stderr


@pytest.mark.parametrize("figures", BASELINE["figures"], ids=called)
def test_baseline_meets_the_marks(figures):
    """What was measured; whether it still is so, the slow tests below say."""
    mark = figures["mark"]
    assert figures["stages"] == best_stages(figures["component"], figures["target"])
    assert min(figures["fmax_mhz"].values()) >= mark["fmax_mhz"]
    for what in mark.keys() - {"fmax_mhz"}:
        assert figures[what] <= mark[what], what


@pytest.mark.slow
@pytest.mark.parametrize("figures", ON_CELLS, ids=called)
def test_baseline_in_standard_cells(figures, nangate45_lib, tmp_path):
    result = components.on_nangate45(component(figures), liberty=nangate45_lib, work=tmp_path)
    assert result.script == figures["script"]
    compare(figures, dataclasses.asdict(result), clock=result.timing_by)


@pytest.mark.slow
@pytest.mark.parametrize("figures", ON_FPGA, ids=called)
def test_baseline_on_an_fpga(figures, tmp_path):
    result = components.on_fpga(component(figures), target=figures["target"], work=tmp_path)
    measured = dataclasses.asdict(result) | {"fmax_mhz": result.fmax_mhz}
    compare(figures, measured, clock="nextpnr")


def compare(figures, measured, *, clock):
    """Fail where a figure is worse than the tolerance lets it be, or so much better that the
    baseline says nothing any more.
    """
    allowed = BASELINE["tolerance"]
    assert measured.get("dsps") == figures.get("dsps")
    was = {key: figures[key] for key in ("area_um2", "luts") if key in figures}
    for what, before in was.items():
        change = measured[what] / before - 1
        assert change <= allowed["size"], f"{what} is worse: {measured[what]}, was {before}"
        assert change >= -3 * allowed["size"], f"{what} is better: measure the baseline anew"
    before = figures["fmax_mhz"][clock]
    change = measured["fmax_mhz"] / before - 1
    assert change >= -allowed["fmax"], f"Fmax is worse: {measured['fmax_mhz']}, was {before}"
    assert change <= 3 * allowed["fmax"], "Fmax is better: measure the baseline anew"
