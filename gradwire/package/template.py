"""The instantiation template: a module that holds a core, to be copied and edited."""

from collections.abc import Mapping, Sequence

from hw.axi.core import AxiCore
from hw.core import Core
from hw.pipeline import Pipeline
from hw.verilog import port_list

# What AXI calls the clock and the reset, which is active low; the core's are active high.
_AXI_NAMES = {"clk": "aclk", "rst": "aresetn"}
_AXI_VALUES = {"clk": "aclk", "rst": "!aresetn"}


def template_name(core: Core | AxiCore | Pipeline) -> str:
    """Name of the template's module, and of its file before the suffix."""
    return f"{core.module_name}_template"


def template(core: Core | AxiCore | Pipeline) -> str:
    """Verilog of a module with the ports of `core`, which instantiates it."""
    axi = isinstance(core, AxiCore)
    names = _AXI_NAMES if axi else {}
    ports = [{**port, "name": names.get(port["name"], port["name"])} for port in port_list(core)]
    values = _AXI_VALUES if axi else {}
    connections = {port["name"]: values.get(port["name"], port["name"]) for port in port_list(core)}
    declared = ",\n".join(
        f"    {port['direction']} wire {width(port)}{port['name']}" for port in ports
    )
    placed = instance(core.module_name, "accelerator", connections)
    return f"module {template_name(core)} (\n{declared}\n);\n{placed}endmodule\n"


def instance(module: str, name: str, connections: Mapping[str, str]) -> str:
    """Verilog that places `module`; `connections` are what its ports are connected to."""
    lines = ",\n".join(f"      .{port}({value})" for port, value in connections.items())
    return f"  {module} {name} (\n{lines}\n  );\n"


def template_ports(core: Core | AxiCore | Pipeline) -> Sequence[str]:
    """Names of the template's ports."""
    names = _AXI_NAMES if isinstance(core, AxiCore) else {}
    return [names.get(port["name"], port["name"]) for port in port_list(core)]


def width(port: Mapping[str, object]) -> str:
    """Verilog's range of a port, and a space; nothing for one bit."""
    return f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
