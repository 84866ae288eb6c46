"""From a schedule to files, and to what they cost."""

from pathlib import Path
from typing import Any

from fpga_flows import fpga
from gradwire.console import Reporter
from gradwire.files import naming, write_files
from gradwire.grouped import AnySchedule, groups_text
from gradwire.package.files import package
from gradwire.package.scripts import FREQUENCY_MHZ, check_frequency
from gradwire.placing import Placing, told
from hw.axi.core import AxiCore
from hw.core import Core
from hw.errors import InputError
from hw.pipeline import GroupedSchedule, Pipeline
from hw.schedule import Schedule
from hw.verilog import to_verilog

#: What a generated core may have outside.
BUSES = ("axi",)


def generate(
    schedule: AnySchedule,
    folder: Path,
    bus: str | None = None,
    frequency_mhz: float = FREQUENCY_MHZ,
) -> dict[str, Any]:
    """Write the files of a core to `folder`; returns what `gradwire generate --json` prints.

    With `bus`, "axi", the core has AXI outside, and the names end in _axi. docs/integration.md
    lists the files; all are written, or none. `frequency_mhz` is for the constraints alone.
    Raises InputError for another bus, a frequency that is none, or when the folder cannot be
    written, ToolError when Amaranth's back end fails or the golden model cannot be compiled.
    """
    check_bus(bus, schedule)
    check_frequency(frequency_mhz)
    core = _core(schedule, bus)
    files, about = package(core, frequency_mhz)
    return {
        "topology": about["topology"],
        "pes": schedule.design.processing_elements,
        "mapping": list(schedule.design.mapping),
        "name": core.module_name,
        "files": [str(path) for path in write_files(folder, files)],
        **_clocks(schedule, about),
        "sha256": about["verilog"]["sha256"],
    }


def _core(schedule: AnySchedule, bus: str | None) -> Core | AxiCore | Pipeline:
    if not isinstance(schedule, GroupedSchedule):
        return AxiCore(schedule) if bus else Core(schedule)
    return Pipeline(schedule)


def _clocks(schedule: AnySchedule, about: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schedule, GroupedSchedule):
        found = about["schedule"]["clocks_per_sample"]
        return {"clocks_per_sample": found, "groups": groups_text(schedule.design)}
    return {"clocks_per_iteration": schedule.clocks_per_iteration}


def check_bus(bus: str | None, schedule: AnySchedule | None = None) -> None:
    """Raises InputError unless cores, or that of `schedule`, can have `bus` outside.

    None stands for their plain ports.
    """
    if bus not in (None, *BUSES):
        raise InputError(f"bus must be one of {', '.join(BUSES)}, not {bus!r}")
    if bus and isinstance(schedule, GroupedSchedule):
        raise InputError("--bus is for one array, not for groups")


def synthesize(
    schedule: Schedule, target: str, asked: Placing, work: Path, reporter: Reporter
) -> dict[str, Any]:
    """Synthesize, place and route; returns what `gradwire synth --json` prints.

    Netlists and logs go to `work`. Raises InputError for an unknown target or a folder
    that cannot be written, ToolError when a tool is missing or fails, or the machine does not fit.
    """
    fpga.check_speed(target, asked.speed)
    design = schedule.design
    with reporter.working("generating the Verilog"):
        verilog = to_verilog(Core(schedule))
    with naming(work), asked.keeping():
        result = fpga.synthesize(
            verilog,
            design.name,
            work=work,
            target=target,
            speed=asked.speed,
            frequencies_mhz=asked.frequencies_mhz,
            seeds=asked.numbers,
            array=design.processing_elements >= fpga.ARRAY,
            time_limit=asked.time_limit,
            stages=reporter.stages,
        )
    clocks = schedule.clocks_per_iteration
    return {
        "topology": design.topology,
        "pes": design.processing_elements,
        "target": result.target,
        "seed": asked.seed,
        "fmax_mhz": result.fmax_mhz,
        "luts": result.luts,
        "ffs": result.ffs,
        "dsps": result.dsps,
        "brams": result.brams,
        "clocks_per_iteration": clocks,
        "ns_per_iteration": round(clocks * 1000 / result.fmax_mhz, 1),
        "log": str(result.log),
        **told(result),
    }
