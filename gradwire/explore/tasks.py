"""What explorations have others do: functions of a design, whose results JSON can hold."""

from typing import Any

from fpga_flows import ecp5_model, fpga
from fpga_flows.ecp5_estimate import estimate
from hw import tool
from hw.core import Core
from hw.design import Design
from hw.schedule import make_schedule
from hw.verilog import to_verilog

#: What a machine takes.
KINDS = ("luts", "ffs", "dsps", "brams")


def clocks(design: Design) -> dict[str, Any]:
    """Clocks for each sample, from its schedule, to which the RTL is equal."""
    return {"clocks": make_schedule(design).clocks_per_sample}


def cells(design: Design, time_limit: float) -> dict[str, Any]:
    """What the machine takes on an ECP5, by synthesis; see `estimate` for what it raises.

    And what the model said of its LUTs.
    """
    parts = estimate(
        to_verilog(Core(make_schedule(design))),
        design.name,
        array=design.processing_elements >= fpga.ARRAY,
        time_limit=time_limit,
    )
    found = {kind: sum(getattr(part, kind) for part in parts) for kind in KINDS}
    return found | {"model_luts": ecp5_model.cells(design).luts}


def placed(
    design: Design, target: str, speed: str, aim_mhz: float, time_limit: float
) -> dict[str, Any]:
    """What it takes and its clock frequency, placed and routed; see `fpga.synthesize`."""
    found = fpga.synthesize(
        to_verilog(Core(make_schedule(design))),
        design.name,
        work=tool.cache_dir() / "explore" / f"{design.name}-{target}",
        target=target,
        speed=speed,
        frequencies_mhz=(aim_mhz,),
        array=design.processing_elements >= fpga.ARRAY,
        jobs=1,
        time_limit=time_limit,
    )
    return {
        "target": target,
        "speed": speed,
        "fmax_mhz": found.fmax_mhz,
        "model_mhz": ecp5_model.fmax_mhz(design, found.luts, speed),
        **{kind: getattr(found, kind) for kind in KINDS},
    }
