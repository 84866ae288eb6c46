"""ULX3S boards: from a system to a bitstream.

Around the system, a top module brings what the board is about: the system's clock from the board's
25 MHz (a PLL), a reset until that is stable, the UART on the pins of the board's USB bridge, and
the SDRAM.

The SDRAM's clock is the system's, `_SDRAM_CLOCK_NS` later: what the FPGA sends, from the registers
of its pins, is there that long before the edge that the SDRAM takes it with, and what the SDRAM
answers has the rest of the period.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.build import Pins
from amaranth_boards import ulx3s

from fpga_flows import ecp5, floorplan, fpga, yosys
from hw import tool
from hw.errors import InputError, ToolError
from hw.system import System
from hw.verilog import port_list, to_verilog

# FPGA and platform of each board.
BOARDS = {
    "ulx3s-12f": (ecp5.FAMILY.devices["ecp5-12k"], ulx3s.ULX3S_12F_Platform),
    "ulx3s-25f": (ecp5.FAMILY.devices["ecp5-25k"], ulx3s.ULX3S_25F_Platform),
    "ulx3s-45f": (ecp5.FAMILY.devices["ecp5-45k"], ulx3s.ULX3S_45F_Platform),
    "ulx3s-85f": (ecp5.FAMILY.devices["ecp5-85k"], ulx3s.ULX3S_85F_Platform),
}
CLOCK_MHZ = 50.0

RESOURCES = {board: device.resources for board, (device, _) in BOARDS.items()}

# Of the chips that the boards come with, the smallest.
SDRAM = "IS42S16160G-7"

_BOARD_CLOCK_MHZ = 25
# 90 degrees at 50 MHz.
_SDRAM_CLOCK_NS = 5.0
_RESET_CLOCKS = 16

# PEs, and the registers before each group of them, are modules of their own during synthesis: Yosys
# is done with the array as soon as with one PE, and merges no registers that should stay apart.
# ABC need not make logic faster than 4.5 ns, wires apart, and so saves area: what one PE wins is
# won everywhere.
_SYNTHESIS = [
    "read_verilog system.v top.v pll.v",
    "hierarchy -top top",
    "setattr -mod -set keep_hierarchy 1 *_pe relay_*",
    "scratchpad -set abc9.D 4500",
    "synth_ecp5 -nowidelut -top top",
    "setattr -mod -unset keep_hierarchy *",
    "flatten",
    "opt_clean",
    "autoname",
    "write_json mapped.json",
]
_ECPPLL = "yowasp-ecppll"
_ECPPACK = "yowasp-ecppack"


# Buffers of pins that are input and output.
_BUFFERS = ("BB", "TRELLIS_IO")


@dataclass(frozen=True)
class Built:
    """A bitstream, and what became of the system.

    Attributes:
        bitstream: What is loaded into the FPGA.
        clock_mhz: Clock of the system, MHz.
        fmax_mhz: Highest clock frequency that it is placed and routed for, worst case of the speed
            grade; no less than its clock.
        memories: What Yosys made of each memory: see ecp5.memory_kinds.
        used: Of luts, ffs, dsps and brams: how many, and how many there are.
        log: nextpnr's log; what the other tools said is beside it.
    """

    bitstream: bytes
    clock_mhz: float
    fmax_mhz: float
    memories: Mapping[str, str]
    used: Mapping[str, tuple[int, int]]
    log: Path


def check_board(board: str) -> None:
    """Raise InputError if `board` is none of `BOARDS`."""
    if board not in BOARDS:
        raise InputError(f"board must be one of {', '.join(BOARDS)}, not {board!r}")


def prepare(progress: Callable[[str], None] = lambda stage: None) -> None:
    """Have the tools ready; see fpga_flows.fpga.prepare."""
    fpga.prepare(ecp5.FAMILY, progress)
    for command in (_ECPPLL, _ECPPACK):
        yosys.prepare_tool(command, "--help", command.removeprefix("yowasp-"), progress)


def build(
    system: System,
    *,
    board: str,
    clock_mhz: float,
    work: Path,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> Built:
    """Synthesize, place and route a system for a board.

    Args:
        system: The system; made for a clock of `clock_mhz`.
        board: Key of `BOARDS`.
        clock_mhz: The system's clock, MHz.
        work: Folder for netlists and logs; made if it is not there.
        seed: Of the placement.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: The board is unknown, or its PLL does not make that clock.
        ToolError: A tool is missing or fails, the system does not fit, or it misses its clock.
    """
    work = work.absolute()
    netlist = synthesize(system, board=board, clock_mhz=clock_mhz, work=work, progress=progress)
    device, speed = BOARDS[board][0], ecp5.FAMILY.speeds[0]
    options = [*device.options, "--speed", speed, "--lpf", "board.lpf"]
    options += ["--textcfg", "board.config"]
    # Of a large array the static placer makes a slower machine: docs/board.md.
    report = fpga.place_and_route(options, board, clock_mhz, seed, work, progress, placer="heap")
    log = work / "nextpnr.log"
    fmax = _fmax(report, log)
    if fmax < clock_mhz:
        raise ToolError(
            f"{board} misses its clock of {clock_mhz:g} MHz: {fmax:.2f} MHz with seed {seed}; "
            f"log: {log}"
        )
    progress("bitstream")
    pack = [tool.executable(_ECPPACK), "--compress", "board.config", "board.bit"]
    tool.run(pack, tool="ecppack", log=work / "ecppack.log", cwd=work)
    counts = ecp5.count_cells(
        Counter(cell["type"] for cell in netlist["modules"]["top"]["cells"].values())
    )
    return Built(
        bitstream=(work / "board.bit").read_bytes(),
        clock_mhz=clock_mhz,
        fmax_mhz=round(fmax, 2),
        memories=ecp5.memory_kinds(work / "yosys.log"),
        used={name: (count, device.resources[name]) for name, count in counts.items()},
        log=log,
    )


def synthesize(
    system: System,
    *,
    board: str,
    clock_mhz: float,
    work: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> Mapping[str, Any]:
    """The netlist of a system for a board, as Yosys' JSON; the first half of `build`, see there.

    It is the file mapped.json of `work`, and what nextpnr has to know of the pins board.lpf.
    """
    check_board(board)
    work.mkdir(parents=True, exist_ok=True)
    prepare(progress)
    progress("Verilog")
    (work / "system.v").write_text(to_verilog(system), encoding="utf-8")
    ports = _ports(BOARDS[board][1]())
    (work / "top.v").write_text(_top(system, ports), encoding="utf-8")
    (work / "board.lpf").write_text(_constraints(ports), encoding="utf-8")
    _make_pll(clock_mhz, work)
    progress("synthesis")
    yosys.run(_SYNTHESIS, work, "yosys.log")
    netlist = json.loads((work / "mapped.json").read_text(encoding="utf-8"))
    use_pin_registers(netlist)
    there = floorplan.sites(BOARDS[board][0].options[0], RESOURCES[board], work)
    if floorplan.needed(netlist, there):
        floorplan.constrain(netlist, there)
    (work / "mapped.json").write_text(json.dumps(netlist), encoding="utf-8")
    return netlist


def _fmax(report: Mapping[str, Any], log: Path) -> float:
    """MHz of the system's clock, which is the slowest: the board's own only feeds the PLL."""
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    if not clocks:
        raise ToolError(f"nextpnr found no clock; log: {log}")
    return min(clocks)


# The top module.


@dataclass(frozen=True)
class _Port:
    """A port of the top module: its pins and their attributes."""

    name: str
    pins: Pins
    attributes: Mapping[str, str]

    @property
    def declaration(self) -> str:
        direction = {"i": "input", "o": "output", "io": "inout"}[self.pins.dir]
        return f"{direction} [{len(self.pins.names) - 1}:0] {self.name}"


def _ports(platform: Any) -> list[_Port]:
    found = []
    for name, number in (("clk25", 0), ("uart", 0), ("led", 0), ("led", 1), ("sdram", 0)):
        for path, pins, attributes in _leaves(platform.lookup(name, number)):
            port = _Port("_".join([name, *path]), pins, attributes)
            if name == "led":
                port = _Port(f"led{number}", pins, attributes)
            if port.name not in ("uart_rts", "uart_dtr"):
                found.append(port)
    return found


def _leaves(
    node: Any, path: tuple[str, ...] = (), given: Mapping[str, str] | None = None
) -> Iterable[tuple[tuple[str, ...], Pins, Mapping[str, str]]]:
    """Path, pins and attributes of all that is below a resource."""
    attributes = {**(given or {}), **node.attrs}
    for io in node.ios:
        if isinstance(io, Pins):
            yield path, io, attributes
        else:
            yield from _leaves(io, (*path, io.name), attributes)


def _top(system: System, ports: Iterable[_Port]) -> str:
    """Verilog of the top module."""
    declarations = ",\n  ".join(port.declaration for port in ports)
    pins = [port for port in port_list(system) if port["name"].startswith("sdram__")]
    wires = "\n".join(f"  wire [{port['width'] - 1}:0] {port['name']};" for port in pins)
    connections = [".clk(clk)", ".rst(rst)", ".rx(uart_rx)", ".tx(uart_tx)"]
    connections += [f".{port['name']}({port['name']})" for port in pins]
    return f"""module top(
  {declarations}
);
  wire clk, clk_sdram, locked;
  pll pll(.clkin(clk25), .clkout0(clk), .clkout1(clk_sdram), .locked(locked));

  reg [{_RESET_CLOCKS - 1}:0] waiting = ~0;
  always @(posedge clk) waiting <= {{waiting, ~locked}};
  wire rst = waiting[{_RESET_CLOCKS - 1}];

  assign led0 = ~rst;
  assign led1 = ~uart_rx | ~uart_tx;

{wires}
{_sdram(ports)}
  {system.module_name} system({", ".join(connections)});
endmodule
"""


def _sdram(ports: Iterable[_Port]) -> str:
    """Verilog between the system's SDRAM pins and the board's."""
    lines = []
    for port in ports:
        name = port.name.removeprefix("sdram_")
        if port.name == "sdram_clk":
            lines.append(
                "  ODDRX1F sdram_clock(.SCLK(clk_sdram), .RST(1'b0), .D0(1'b1), .D1(1'b0), "
                ".Q(sdram_clk));"
            )
        elif port.name == "sdram_dq":
            lines += [
                f"  BB sdram_dq_{bit}(.I(sdram__dq_o[{bit}]), .T(~sdram__dq_oe), "
                f".O(sdram__dq_i[{bit}]), .B(sdram_dq[{bit}]));"
                for bit in range(len(port.pins.names))
            ]
        elif port.name.startswith("sdram_"):
            invert = "~" if port.pins.invert else ""
            lines.append(f"  assign {port.name} = {invert}sdram__{name};")
    return "\n".join(lines)


def _constraints(ports: Iterable[_Port]) -> str:
    """The constraints for nextpnr (LPF): where the pins are, and the board's clock."""
    lines = [f'FREQUENCY PORT "clk25" {_BOARD_CLOCK_MHZ} MHZ;']
    for port in ports:
        attributes = " ".join(f"{key}={value}" for key, value in port.attributes.items())
        single = len(port.pins.names) == 1
        for bit, pin in enumerate(port.pins.names):
            name = port.name if single else f"{port.name}[{bit}]"
            lines += [f'LOCATE COMP "{name}" SITE "{pin}";', f'IOBUF PORT "{name}" {attributes};']
    return "\n".join([*lines, ""])


def _make_pll(clock_mhz: float, work: Path) -> None:
    """Write the module `pll`, which makes the system's clock and the SDRAM's."""
    phase = round(_SDRAM_CLOCK_NS * clock_mhz * 360 / 1000)
    command = [tool.executable(_ECPPLL), "-i", str(_BOARD_CLOCK_MHZ), "-o", f"{clock_mhz:g}"]
    command += ["--clkout1", f"{clock_mhz:g}", "--phase1", str(phase), "-n", "pll", "-f", "pll.v"]
    said = tool.run(command, tool="ecppll", log=work / "ecppll.log", cwd=work)
    made = re.search(r"clkout0 frequency: ([\d.]+) MHz", said)
    if not made or abs(float(made[1]) / clock_mhz - 1) > 1e-3:
        nearest = f"; {float(made[1]):g} MHz is near" if made else ""
        raise InputError(f"the board's PLL does not make a clock of {clock_mhz:g} MHz{nearest}")


# Registers of the pins.


def use_pin_registers(netlist: Mapping[str, Any]) -> int:
    """Move registers that the SDRAM's pins alone are driven by, or drive alone, into the pins.

    That is where they all are equally late. `netlist` is Yosys' JSON, and is changed; returns how
    many there are.
    """
    module = netlist["modules"]["top"]
    cells = list(module["cells"].values())
    uses = Counter(bit for cell in cells for bits in cell["connections"].values() for bit in bits)
    # Net of each pin, and how many cells a register alone with its pin makes on it.
    outputs = [
        bit
        for name, port in module["ports"].items()
        if name.startswith("sdram_") and port["direction"] == "output"
        for bit in port["bits"]
    ]
    # A register has its place in one pin.
    driven, driving = {bit: 1 for bit, pins in Counter(outputs).items() if pins == 1}, {}
    for cell in cells:
        if cell["type"] in _BUFFERS:
            driven |= dict.fromkeys(cell["connections"]["I"], 2)
            driving |= dict.fromkeys(cell["connections"]["O"], 2)
    moved = 0
    for cell in cells:
        if cell["type"] == "TRELLIS_FF":
            (d,), (q,) = cell["connections"]["DI"], cell["connections"]["Q"]
            is_output, is_input = uses[q] == driven.get(q), uses[d] == driving.get(d)
            if is_output or is_input:
                _reset_by_logic(module, cell)
                direction = "output" if is_output else "input"
                cell["attributes"] |= {"syn_useioff": "1", "ioff_dir": direction}
                moved += 1
    return moved


def _reset_by_logic(module: Mapping[str, Any], register: Mapping[str, Any]) -> None:
    """Give a register that Yosys has found a reset for a LUT in place of it.

    The registers of a pin have one reset between them.
    """
    connections, reset = register["connections"], register["connections"].get("LSR", ["0"])
    if reset == ["0"]:
        return
    bits = (b for net in module["netnames"].values() for b in net["bits"] if isinstance(b, int))
    new = 1 + max(bits)
    # data | reset, or data & ~reset.
    table = 0b1110 if register["parameters"]["REGSET"] == "SET" else 0b0010
    module["cells"][f"pin_register_{new}"] = {
        "hide_name": 0,
        "type": "LUT4",
        "parameters": {"INIT": f"{table * 0x1111:016b}"},
        "attributes": {},
        "port_directions": {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"},
        "connections": {"A": connections["DI"], "B": reset, "C": ["0"], "D": ["0"], "Z": [new]},
    }
    module["netnames"][f"pin_register_{new}"] = {"hide_name": 0, "bits": [new], "attributes": {}}
    connections |= {"DI": [new], "LSR": ["0"]}
