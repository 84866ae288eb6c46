"""Runs the scenarios of axi_bench.py on a core with AXI outside."""

import dataclasses
import json
from pathlib import Path

from hw.axi.core import AxiCore
from hw.design import Design
from hw.schedule import make_schedule
from hw.verilog import port_list, to_verilog
from sim import simulator

BENCH = Path(__file__).parent


def build(design: Design, folder: Path) -> simulator.Build:
    """The simulator of the core of `design`; its sources go to `folder`."""
    core = AxiCore(make_schedule(design))
    (folder / "core.v").write_text(to_verilog(core), encoding="utf-8")
    defined = f"`define CORE {core.module_name}\n`define ADDRESS_BITS {core.map.bits}\n"
    bench = (BENCH / "axi_bench.sv").read_text(encoding="utf-8")
    # One file, so that the name of the simulator in the cache depends on all of it.
    text = bench.replace('`include "axi_bench.vh"\n', defined)
    (folder / "axi_bench.sv").write_text(text, encoding="utf-8")
    sources = [folder / "axi_bench.sv", folder / "core.v"]
    public = [str(port["name"]) for port in port_list(core)]
    return simulator.build(sources, "axi_bench", public=public, optimize=0)


def run(
    design: Design, scenario: str, folder: Path, *, count: int = 1, seed: int = 1, data: str = ""
) -> None:
    """Run `scenario`, the name of a test in axi_bench.py, `count` times what it does.

    `data` is the name of a data set, see sim.datasets; without one, samples are random.
    Raises ToolError when it fails.
    """
    simulator.run(
        build(design, folder),
        "sim.bench.axi_bench",
        log=folder / f"{scenario}.log",
        env={
            "GRADWIRE_SCENARIO": scenario,
            "GRADWIRE_DESIGN": json.dumps(dataclasses.asdict(design)),
            "GRADWIRE_COUNT": str(count),
            "GRADWIRE_DATA": data,
        },
        seed=seed,
    )
