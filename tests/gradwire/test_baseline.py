"""Area and clock frequency of whole machines are what was committed."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpga_flows import fpga
from gradwire.cli import app
from gradwire.explore import tasks
from hw.schedule import design_for, make_schedule

BASELINE = json.loads((Path(fpga.__file__).parent / "baseline.json").read_text())
MACHINES, ARRAYS = BASELINE["machines"], BASELINE["arrays"]
IN_CELLS = BASELINE["machines_in_cells"]
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def check_area(found: Mapping[str, int], figures: Mapping[str, int]) -> None:
    """No larger than the tolerance lets it be, nor so much smaller that the baseline is idle."""
    allowed = BASELINE["tolerance"]["size"]
    assert (found["dsps"], found["brams"]) == (figures["dsps"], figures["brams"])
    for kind in ("luts", "ffs"):
        change = found[kind] / figures[kind] - 1
        assert -3 * allowed <= change <= allowed, f"{kind}: {found[kind]}"


@pytest.mark.slow
@pytest.mark.parametrize("figures", MACHINES, ids=[figures["command"] for figures in MACHINES])
def test_machine(figures, tmp_path, fresh_cache):
    """No worse than the tolerance lets it be, nor so much better that the baseline says nothing."""
    words = [*shlex.split(figures["command"])[1:], "--json", "-o", str(tmp_path / "synth")]
    result = CliRunner().invoke(app, words, prog_name="gradwire")
    assert result.exit_code == 0, result.output
    found, allowed = json.loads(result.stdout), BASELINE["tolerance"]
    assert found["target"] == figures["target"]
    check_area(found, figures)
    change = found["fmax_mhz"] / figures["fmax_mhz"] - 1
    assert -allowed["fmax"] <= change <= 3 * allowed["fmax"], f"Fmax: {found['fmax_mhz']} MHz"


@pytest.mark.slow
@pytest.mark.parametrize("figures", IN_CELLS, ids=[figures["command"] for figures in IN_CELLS])
def test_machine_in_cells(figures, run_json, nangate45_lib, tmp_path):
    """The same of standard cells; the netlist has then trained, bit exact, for its energy."""
    if "idx:FOLDER" in figures["command"] and not MNIST.is_dir():
        pytest.skip("MNIST is not in ../shared/data/mnist")
    command = figures["command"].replace("FOLDER", str(MNIST))
    words = ["--liberty", str(nangate45_lib), "-o", str(tmp_path / "synth")]
    found = run_json(*shlex.split(command)[1:], *words)
    allowed = BASELINE["tolerance"]
    assert found["clocks_per_iteration"] == figures["clocks_per_iteration"]
    for kind in ("logic_um2", "pe_um2"):
        change = found[kind] / figures[kind] - 1
        assert -3 * allowed["size"] <= change <= allowed["size"], f"{kind}: {found[kind]}"
    if found["timing_by"] in figures["fmax_mhz"]:
        change = found["fmax_mhz"] / figures["fmax_mhz"][found["timing_by"]] - 1
        assert -allowed["fmax"] <= change <= 3 * allowed["fmax"], f"Fmax: {found['fmax_mhz']} MHz"
    energy = found["energy"]
    for kind in ("total_nj", "logic_nj") if energy["sram_nj"] is not None else ("logic_nj",):
        change = energy[kind] / figures["energy"][kind] - 1
        assert -3 * allowed["energy"] <= change <= allowed["energy"], f"{kind}: {energy[kind]}"


@pytest.mark.slow
@pytest.mark.parametrize("figures", ARRAYS, ids=[f"{a['processing_elements']} PEs" for a in ARRAYS])
def test_array(figures, fresh_cache):
    """An array that fills its FPGA, synthesized only: to place and route it takes half an hour."""
    design = design_for(
        tuple(figures["layers"]), figures["processing_elements"], **figures["parameters"]
    )
    assert make_schedule(design).clocks_per_iteration == figures["clocks_per_iteration"]
    check_area(tasks.cells(design, fpga.TIME_LIMIT), figures)
