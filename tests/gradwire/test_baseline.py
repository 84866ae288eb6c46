"""Area and clock frequency of whole machines are what was committed."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpga_flows import fpga
from gradwire.cli import app

BASELINE = json.loads((Path(fpga.__file__).parent / "baseline.json").read_text())
MACHINES = BASELINE["machines"]


@pytest.mark.slow
@pytest.mark.parametrize("figures", MACHINES, ids=[figures["command"] for figures in MACHINES])
def test_machine(figures, tmp_path, fresh_cache):
    """No worse than the tolerance lets it be, nor so much better that the baseline says nothing."""
    words = [*shlex.split(figures["command"])[1:], "--json", "-o", str(tmp_path / "synth")]
    result = CliRunner().invoke(app, words, prog_name="gradwire")
    assert result.exit_code == 0, result.output
    found, allowed = json.loads(result.stdout), BASELINE["tolerance"]
    assert found["target"] == figures["target"]
    assert (found["dsps"], found["brams"]) == (figures["dsps"], figures["brams"])
    for kind in ("luts", "ffs"):
        change = found[kind] / figures[kind] - 1
        assert -3 * allowed["size"] <= change <= allowed["size"], f"{kind}: {found[kind]}"
    change = found["fmax_mhz"] / figures["fmax_mhz"] - 1
    assert -allowed["fmax"] <= change <= 3 * allowed["fmax"], f"Fmax: {found['fmax_mhz']} MHz"
