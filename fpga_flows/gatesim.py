"""The netlist of a machine as Verilog for the simulator: cells, memories, and what counts toggles.

What a cell does is written in its place, from the functions in the library, without delays: for a
simulator, tens of thousands of instances are a hundred times the work.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache

from fpga_flows import macros
from fpga_flows.cell_netlist import Netlist, is_black_box
from fpga_flows.liberty import Liberty
from hw.errors import ToolError
from sim.bench.run import RTL

_MODULE = re.compile(r"^module (\w+)\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)

_PIN_FUNCTION = re.compile(r'\bpin\s*\(\s*"?(\w+)"?\s*\)\s*\{[^{}]*?\bfunction\s*:\s*"([^"]*)"')
_STATE = re.compile(r'\bff\s*\(\s*"?(\w+)"?\s*,\s*"?(\w+)"?\s*\)\s*\{([^}]*)\}')
_ATTRIBUTE = re.compile(r'(\w+)\s*:\s*"?([^";]*?)"?\s*;')

# Gates that go in a circle, bit by bit in no real one, through the ports of modules.
_LINT = "/* verilator lint_off UNOPTFLAT */\n"

# Counts, for each phase of the bench, in how many clocks each net has changed, and been 1.
_PROBE = """module toggles #(parameter W = 1) (input clk, input [31:0] nets[0:W-1]);
  /* verilator no_inline_module */
  reg [31:0] last[0:W-1];
  int unsigned changed[0:{phases}*W*32-1], high[0:{phases}*W*32-1];
  // Variables, for Verilator would write every round of a loop of constant length.
  int unsigned words, bits;
  int unsigned place;
  integer file;
  initial begin
    words = W;
    bits = 32;
    for (int unsigned k = 0; k < {phases} * words * bits; k++) begin
      changed[k] = 0;
      high[k] = 0;
    end
  end
  always @(posedge clk) begin
    if (core_bench.counting)
      for (int unsigned i = 0; i < words; i++)
        for (int unsigned k = 0; k < bits; k++) begin
          place = (core_bench.phase * words + i) * bits + k;
          changed[place] += (nets[i] ^ last[i]) >> k & 1;
          high[place] += nets[i] >> k & 1;
        end
    last <= nets;
    if (core_bench.counted) begin
      file = $fopen($sformatf("toggles.%m"), "wb");
      for (int unsigned k = 0; k < {phases} * words * bits; k++) $fwrite(file, "%u", changed[k]);
      for (int unsigned k = 0; k < {phases} * words * bits; k++) $fwrite(file, "%u", high[k]);
      $fclose(file);
    end
  end
endmodule
"""


def verilog(
    netlist: Netlist,
    *,
    observed: Collection[str] = (),
    rtl: str = "",
    mapped_pes: Collection[int] | None = None,
    phases: int = 0,
) -> str:
    """Verilog of the whole machine with its modules and ports as in the RTL.

    Args:
        netlist: Of the machine.
        observed: Names of signals inside modules that the bench looks at.
        rtl: The RTL, for processing elements that are none of `mapped_pes`.
        mapped_pes: Numbers of the processing elements whose netlist is simulated; all by default.
        phases: How many phases the bench tells apart (`sim.bench.run.Counting`), for each of which
            the toggles of all nets are counted; 0 to count none.

    Raises:
        ToolError: The library does not say what a cell does, or only in a way that is not known
            here: flip-flops must have a clock and no more.
    """
    functions = _Functions(netlist.cells)
    boxes = [name for name, module in netlist.modules.items() if is_black_box(module)]
    shapes = [map(int, re.findall(r"\d+", name)) for name in boxes]
    memories = "".join(macros.behaviour(words, bits) for words, bits in shapes)
    probe = _PROBE.format(phases=phases) if phases else ""
    text = netlist.verilog(observed, _probe if phases else None, functions.gate)
    if mapped_pes is not None:
        text = _with_rtl(text, rtl, netlist.top, set(mapped_pes))
    return _LINT + text + memories + probe


def _probe(nets: list[str]) -> str:
    words = [nets[first : first + 32] for first in range(0, len(nets), 32)]
    lines = [f"  wire [31:0] probed [0:{len(words) - 1}];"]
    for number, bits in enumerate(words):
        zeros = [f"{32 - len(bits)}'b0"] if len(bits) < 32 else []
        lines.append(f"  assign probed[{number}] = {{{', '.join([*zeros, *reversed(bits)])}}};")
    return "\n".join([*lines, f"  toggles #({len(words)}) probe (.clk(clk), .nets(probed));"])


def _with_rtl(text: str, rtl: str, top: str, mapped_pes: Collection[int]) -> str:
    """`text` with the RTL of all processing elements but some."""
    kind = f"{top}_pe"

    def instance(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"  {kind}{'' if number in mapped_pes else RTL} pe_{number} ("

    modules = {found[1]: found[0] for found in _MODULE.finditer(rtl)}
    below = {name for name in modules if re.search(rf"\b{name}\b", modules[kind])}
    wanted = "".join(modules[name] for name in sorted(below))
    names = "|".join(sorted(below))
    added = re.sub(rf"\b({names})\b", rf"\1{RTL}", wanted)
    return re.sub(rf"^  {kind} pe_(\d+) \(", instance, text, flags=re.MULTILINE) + added


class _Functions:
    """Verilog of a library's cells, from their functions."""

    def __init__(self, library: Liberty) -> None:
        self.library = library
        self.outputs = cache(self._outputs)
        self.state = cache(self._state)
        self._count = 0

    def gate(self, kind: str, pins: Mapping[str, str]) -> str:
        """What a cell does, with nets at its pins."""
        lines = []
        nets = dict(pins)
        if kind in self.library.flip_flops:
            state, inverted, following, clock = self.state(kind)
            self._count += 1
            nets[state] = f"q{self._count}_"
            nets[inverted] = f"(~{nets[state]})"
            value = _with_nets(following, nets)
            lines.append(
                f"  reg {nets[state]}; always @(posedge {_with_nets(clock, nets)}) "
                f"{nets[state]} <= {value};"
            )
        for pin, function in self.outputs(kind).items():
            if pin in pins:
                lines.append(f"  assign {pins[pin]} = {_with_nets(function, nets)};")
        return "\n".join(lines)

    def _outputs(self, kind: str) -> dict[str, str]:
        body = self.library.cells[kind]
        found = dict(_PIN_FUNCTION.findall(body))
        if missing := self.library.outputs[kind] - found.keys():
            raise ToolError(f"the library does not say what {kind} does: {', '.join(missing)}")
        return found

    def _state(self, kind: str) -> tuple[str, str, str, str]:
        """Names of a flip-flop's state and its inverse, what follows it, and the clock."""
        body = self.library.cells[kind]
        found = _STATE.search(body)
        inside = dict(_ATTRIBUTE.findall(found[3]))
        if inside.keys() != {"next_state", "clocked_on"}:
            raise ToolError(f"flip-flop {kind} has more than a clock: {', '.join(inside)}")
        return found[1], found[2], inside["next_state"], inside["clocked_on"]


def _with_nets(function: str, nets: Mapping[str, str]) -> str:
    """A function of the library in Verilog."""
    words = re.sub(r"\w+", lambda name: nets.get(name[0], name[0]), function)
    return words.replace("!", "~").replace("*", "&").replace("+", "|")
