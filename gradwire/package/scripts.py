"""What tools read beside the Verilog: lists of files, constraints, waivers, a FuseSoC core."""

import re

from gradwire import __version__
from gradwire.package.template import template_name
from hw.axi.core import AxiCore
from hw.core import Core
from hw.errors import InputError
from hw.pipeline import Pipeline
from hw.verilog import port_list
from sim.simulator import WAIVERS

#: Of a clock, for what is outside before an input, and behind an output.
INPUT_SHARE = OUTPUT_SHARE = 0.5
FREQUENCY_MHZ = 50.0


def check_frequency(frequency_mhz: float) -> None:
    """Raises InputError unless a clock can be constrained to it."""
    if not 0.001 <= frequency_mhz <= 100_000:
        raise InputError(f"frequency must be 0.001 to 100000 MHz, not {frequency_mhz:g}")


def file_list(core: Core | AxiCore | Pipeline) -> str:
    """What Verilator, Icarus Verilog and most other tools take after -f."""
    return f"{core.module_name}.v\n"


def waivers(core: Core | AxiCore | Pipeline) -> str:
    """What Verilator's lint may find in the core's file, and why; of no other file."""
    file = f'-file "*{core.module_name}.v"'
    scoped = re.sub(r' -file "\*"', "", WAIVERS.read_text(encoding="utf-8"))
    return re.sub(r"^(lint_off -rule \w+)", rf"\1 {file}", scoped, flags=re.MULTILINE)


def constraints(core: Core | AxiCore | Pipeline, frequency_mhz: float) -> str:
    """Synopsys design constraints, for the core as the top of a design."""
    ports = [port for port in port_list(core) if port["name"] != "clk"]
    inputs, outputs = (
        " ".join(f"{p['name']}{'[*]' * (p['width'] > 1)}" for p in ports if p["direction"] == way)
        for way in ("input", "output")
    )
    return f"""# Constraints of {core.module_name} alone.
# {frequency_mhz:g} MHz:
set period {1000 / frequency_mhz:.3f}
create_clock -name clk -period $period [get_ports clk]

# What is outside takes these shares of a clock; within a system, its own timing takes their place.
set input_share {INPUT_SHARE:g}
set output_share {OUTPUT_SHARE:g}
# rst is among the inputs: it is synchronous, so that its paths count like all others.
set_input_delay [expr {{$input_share * $period}}] -clock clk [get_ports {{{inputs}}}]
set_output_delay [expr {{$output_share * $period}}] -clock clk [get_ports {{{outputs}}}]
"""


def fusesoc_core(core: Core | AxiCore) -> str:
    """A FuseSoC core (CAPI2) of the files beside it."""
    name, design = core.module_name, core.design
    what = "with AXI outside" if isinstance(core, AxiCore) else "with plain ports"
    header = f"""
  header:
    files:
      - {name}.h: {{is_include_file: true}}
    file_type: cSource
""" * isinstance(core, AxiCore)
    return f"""CAPI=2:
name: gradwire:generated:{name}:{__version__}
description: Trains the network {design.topology}, {what}; made by gradwire

filesets:
  rtl:
    files: [{name}.v]
    file_type: verilogSource-2005
  waivers:
    files: [{name}.vlt]
    file_type: vlt
  constraints:
    files: [{name}.sdc]
    file_type: SDC
  bench:
    files:
      - {template_name(core)}.v: {{file_type: verilogSource-2005}}
      - {name}_tb.sv: {{file_type: systemVerilogSource}}
{header}
targets:
  # For cores that depend on this one.
  default:
    filesets: [rtl, "tool_verilator? (waivers)"]
    toplevel: {name}

  # Verilator's lint, all warnings.
  lint:
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [rtl, waivers]
    toplevel: {name}

  # Training and inference equal to gradwire's golden model in every bit, in Icarus Verilog.
  sim:
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2012]
    filesets: [rtl, bench]
    toplevel: {name}_tb

  # The same in Verilator, which is quicker for large networks.
  sim_verilator:
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [-CFLAGS -std=c++20]
    filesets: [rtl, waivers, bench]
    toplevel: {name}_tb

  # Yosys, for a Lattice ECP5; it needs a Yosys with Tcl.
  synth:
    flow: generic
    flow_options:
      tool: yosys
      arch: ecp5
      output_format: json
    filesets: [rtl, constraints]
    toplevel: {name}
"""
