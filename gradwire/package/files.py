"""All files of a generated core."""

import json
from typing import Any

from gradwire.describe import axi_description, description, grouped_description
from gradwire.header import c_header
from gradwire.package import scripts
from gradwire.package.template import template, template_name
from gradwire.package.testbench import testbench
from hw.axi.core import AxiCore
from hw.core import Core
from hw.pipeline import Pipeline
from hw.verilog import to_verilog


def package(
    core: Core | AxiCore | Pipeline, frequency_mhz: float
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Contents by name of file, and what the JSON among them says.

    A machine of groups has no bench and no FuseSoC core among them. Raises ToolError when
    Amaranth's back end fails, or the golden model cannot be compiled.
    """
    name, verilog = core.module_name, to_verilog(core)
    texts = {
        "verilog": (f"{name}.v", verilog),
        "template": (f"{template_name(core)}.v", template(core)),
    }
    if not isinstance(core, Pipeline):
        texts["bench"] = (f"{name}_tb.sv", testbench(core))
        texts["fusesoc"] = (f"{name}.core", scripts.fusesoc_core(core))
    texts |= {
        "file_list": (f"{name}_filelist.f", scripts.file_list(core)),
        "constraints": (f"{name}.sdc", scripts.constraints(core, frequency_mhz)),
        "waivers": (f"{name}.vlt", scripts.waivers(core)),
    }
    if isinstance(core, AxiCore):
        texts["header"] = (f"{name}.h", c_header(core))
    about = _description(core, verilog)
    about["files"] = {kind: file for kind, (file, _) in texts.items()}
    about["frequency_mhz"] = frequency_mhz
    # The JSON comes last: where it is, all is there.
    texts["description"] = (f"{name}.json", json.dumps(about, indent=2) + "\n")
    return {file: text.encode() for file, text in texts.values()}, about


def _description(core: Core | AxiCore | Pipeline, verilog: str) -> dict[str, Any]:
    if isinstance(core, Pipeline):
        return grouped_description(core, verilog)
    if isinstance(core, AxiCore):
        return axi_description(core, verilog)
    return description(core.schedule, verilog)
