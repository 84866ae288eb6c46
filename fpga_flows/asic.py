"""A whole machine in 45 nm standard cells: area, timing, and a netlist to simulate.

The machine is mapped as it is generated, module by module, so that each distinct component is
synthesized once, however many there are of it: 100 processing elements cost no more than one.
Multipliers and adders are retimed (`nangate45.SCRIPTS`); in all other modules registers stay where
they are. Memories of many words become SRAM (`fpga_flows.macros`), priced by OpenRAM; small ones
are flip-flops, and those of fixed contents (the program, tables) are logic.

OpenSTA times the whole machine at once, through the boundaries of its modules, with all its
processing elements and with the memories' access times. Without it, there is only ABC's delay of
the slowest module. No wires are priced and there is no clock tree: docs/asic.md.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpga_flows import fanout, liberty, macros, nangate45, yosys
from fpga_flows.cell_netlist import Netlist
from fpga_flows.liberty import Liberty
from fpga_flows.macros import Shape
from fpga_flows.sram import OpenRAM, Price
from hw import tool
from hw.core import Core
from hw.errors import ToolError
from hw.schedule import Schedule
from hw.verilog import ENABLED, to_verilog

TARGET = nangate45.TARGET

# Clock frequency that is aimed at, in MHz: what a path through several modules has of a period is
# not known to ABC, which maps each alone.
FREQUENCY_MHZ = 650.0

# Of a period, for the modules that are no pipelines: the rest of it is for the paths on.
_OWN_SHARE = 0.5

# Of every macro where OpenRAM is not there to say: its figure for 1,024 words, in ns.
_ACCESS_NS = 0.4

# Modules that are pipelines and nothing else; there, registers may move.
_RETIMED = re.compile(r"(multiplier|adder)_")

_ELABORATE = [
    "read_verilog core.v",
    "hierarchy -check -top {top}",
    "proc",
    # Silicon has no initial values.
    "setattr -unset init w:*",
    # What is only a part of a component has a name with a dot.
    "setattr -mod -set keep_hierarchy 1 *",
    "setattr -mod -unset keep_hierarchy *.*",
    "flatten",
    "delete t:$scopeinfo",
    "opt -full",
    "memory -nomap",
    "opt_clean",
    "write_json memories.json",
    "write_rtlil collected.il",
]
_COARSE = [
    "read_rtlil collected.il",
    "{rules}",
    "memory_map",
    "techmap -map banks_map.v",
    "read_verilog -lib macros.v",
    "read_verilog banks.v",
    "setattr -mod -set keep_hierarchy 1 sram_*",
    "hierarchy -check -top {top}",
    "proc",
    "wreduce t:$add",
    "techmap -map count.v t:$add",
    "synth -booth -run coarse: -top {top}",
    "opt -full",
    "{unmap}",
    "opt_expr",
    "opt_merge",
    "dfflibmap -prepare -liberty cells.lib",
    "opt_clean",
    "write_rtlil unmapped.il",
    "{write}",
]
# What counts when a bit says so chooses between the count and the next, so that the bit, which may
# come late, does not go through all of the adder.
_COUNT = """module \\$add (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = B_WIDTH != 1 || A_WIDTH < 8 || A_SIGNED || _TECHMAP_CONSTMSK_B_;
  wire [Y_WIDTH-1:0] next = A + 2'd1;
  assign Y = B ? next : A;
endmodule
"""

_WRITE_MODULE = "select -module {0}; write_rtlil -selected modules/{0}/module.il; select -clear"
_READ = ["read_verilog -lib macros.v", "read_rtlil module.il"]
_IN_PLACE = ["abc -liberty cells.lib -constr core.sdc -script core.abc -dont_use CLK*"]
# The last rank of registers stays where it is, out of ABC's sight: what a component's output goes
# through, before it is stored again, is then another one's first stretch of logic and not the last
# of this one too. A network of two multipliers one after the other gains a fifth (docs/asic.md).
_RETIME = [
    "chtype -set $__last w:o %ci1 t:$_DFF_P_ %i",
    "abc -dff -liberty cells.lib -constr core.sdc -script core.abc -dont_use CLK*",
    "chtype -set $_DFF_P_ t:$__last",
]
_FINISH = [
    "dfflibmap -map-only -liberty cells.lib",
    "setundef -zero",
    "opt_clean",
    "write_rtlil mapped.il",
]
_ASSEMBLE = [
    "read_verilog -lib macros.v",
    "{read}",
    "hierarchy -top {top}",
    "write_json mapped.json",
]
_TIMING = """read_liberty cells.lib
read_liberty macros.lib
read_verilog mapped.v
link_design {top}
create_clock -name clk -period {period} [get_ports clk]
report_checks -path_delay max -format full_clock_expanded -digits 4
"""
_PERIOD_NS = 2.0
_SLACK = re.compile(r"^\s*(-?\d+\.\d+)\s+slack", re.MULTILINE)
_POINT = re.compile(r"^(Start|End)point: (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A distinct component of the machine.

    Attributes:
        name: Of its module, without the design's, and without what its clock enable adds.
        module: Name of the module.
        instances: How many there are in the whole machine.
        area_um2: Area of one in um2, with all that is below it but SRAM macros.
        own_um2: Area of one in um2, without the components below it.
        cells: Standard cells of one, of its own.
        ffs: Flip-flops among them.
        contains: Components below it: how many of each, by name.
        script: ABC script with which it was mapped.
    """

    name: str
    module: str
    instances: int
    area_um2: float
    own_um2: float
    cells: int
    ffs: int
    contains: Mapping[str, int]
    script: str


@dataclass(frozen=True)
class Memory:
    """Memories of one kind that are SRAM.

    Attributes:
        name: Of their modules.
        words: Words of each.
        bits: Of a word.
        instances: How many there are.
        macros: Words of each of the macros of one.
        area_um2: Area of one in um2; what chooses among the macros is among the parts. None where
            OpenRAM is not installed, as all that follows.
        access_ns: Access time of a macro in ns.
        access_energy_pj: Energy in pJ of one access to one port of the largest macro.
        leakage_uw: Leakage of one in uW.
    """

    name: str
    words: int
    bits: int
    instances: int
    macros: tuple[int, ...]
    area_um2: float | None
    access_ns: float | None
    access_energy_pj: float | None
    leakage_uw: float | None


@dataclass(frozen=True)
class Machine:
    """What a machine costs in standard cells.

    Attributes:
        target: "nangate45".
        topology: Layer sizes.
        processing_elements: P.
        multiplier_stages: Of the design.
        adder_stages: Of the design.
        mapping: Of the design.
        clocks_per_iteration: By the cycle model.
        fmax_mhz: Highest clock frequency in MHz, without wires and clock tree.
        timing_by: "OpenSTA", over the whole machine and with the memories' access times; or "ABC":
            the delay of the slowest module and what a flip-flop takes, without what is between
            modules.
        critical_path: Where it begins and where it ends: pins or cells of the netlist.
        logic_um2: Area of all standard cells in um2.
        pe_um2: That of one processing element in um2, its SRAM apart.
        sram_um2: Area of all SRAM in um2; None where OpenRAM is not installed.
        access_ns: Access time of the slowest macro in ns; where OpenRAM is not installed, the one
            that was assumed.
        cells: Standard cells of the whole machine.
        ffs: Flip-flops among them.
        parts: Components, the machine itself first.
        memories: SRAM.
        work: Folder with netlists and logs: mapped.v is the netlist, log.
        log: Log of the last step of synthesis.
    """

    target: str
    topology: str
    processing_elements: int
    multiplier_stages: int
    adder_stages: int
    mapping: tuple[str, ...]
    clocks_per_iteration: int
    fmax_mhz: float
    timing_by: str
    critical_path: tuple[str, str] | None
    logic_um2: float
    pe_um2: float
    sram_um2: float | None
    access_ns: float
    cells: int
    ffs: int
    parts: tuple[Part, ...]
    memories: tuple[Memory, ...]
    work: Path
    log: Path

    @property
    def seconds_per_100_000(self) -> float:
        """Machine time of 100,000 samples in seconds."""
        return self.clocks_per_iteration / self.fmax_mhz / 10


def synthesize(
    schedule: Schedule,
    *,
    library: Path,
    work: Path,
    frequency_mhz: float = FREQUENCY_MHZ,
    opensta: bool = True,
    openram: OpenRAM | None = None,
    time_limit: float = nangate45.TIME_LIMIT,
    progress: Callable[[str], None] = lambda stage: None,
) -> Machine:
    """Synthesize a machine, and time it.

    Args:
        schedule: Of the machine.
        library: Liberty file of the standard cells, plain or gzipped.
        work: Folder for netlists and logs; made if it is not there. A run that fails leaves what it
            has made, but no cost.json: that comes last.
        frequency_mhz: Clock frequency to aim at in MHz; to miss it is no error.
        opensta: Whether OpenSTA times the machine where it is installed.
        openram: Prices the SRAM; without it, its area is not known, and its access time assumed.
        time_limit: Longest run of one tool, in seconds; a module takes minutes at most.
        progress: Called with the name of each stage as it begins.

    Raises:
        ToolError: The library is truncated, not Liberty or without flip-flops; cells stay unmapped;
            a tool is missing, fails or takes too long; what it said is in `work`.
    """
    cells = liberty.read(library)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    yosys.prepare(progress)
    progress("Verilog")
    (work / "core.v").write_text(to_verilog(Core(schedule)), encoding="utf-8")
    (work / "cells.lib").write_text(cells.without_wire_load, encoding="utf-8")
    flow = _Flow(schedule, cells, work, frequency_mhz, time_limit, progress)
    banks = flow.elaborate()
    scripts = flow.map_modules()
    netlist = flow.assemble()
    prices = _prices(banks, openram, progress)
    progress("timing")
    access = {shape: price or Price(0, _ACCESS_NS, 0, 0) for shape, price in prices.items()}
    (work / "macros.lib").write_text(macros.timing_library(access), encoding="utf-8")
    sta = shutil.which(tool.executable("sta")) if opensta else None
    period, ends = flow.by_opensta(sta) if sta else flow.by_abc(scripts)
    parts = tuple(_parts(netlist, scripts))
    top = parts[0]
    memories = tuple(_memories(banks, prices, netlist.instances))
    sram = [memory.area_um2 for memory in memories]
    pe = next(part for part in parts if part.name == "pe")
    return Machine(
        target=TARGET,
        topology=schedule.design.topology,
        processing_elements=schedule.design.processing_elements,
        multiplier_stages=schedule.design.multiplier_stages,
        adder_stages=schedule.design.adder_stages,
        mapping=schedule.design.mapping,
        clocks_per_iteration=schedule.clocks_per_iteration,
        fmax_mhz=round(1e3 / period, 1),
        timing_by="OpenSTA" if sta else "ABC",
        critical_path=ends,
        logic_um2=top.area_um2,
        pe_um2=pe.area_um2,
        sram_um2=None
        if None in sram
        else round(sum(memory.area_um2 * memory.instances for memory in memories), 1),
        access_ns=max((price.access_ns for price in access.values()), default=0.0),
        cells=sum(part.cells * part.instances for part in parts),
        ffs=sum(part.ffs * part.instances for part in parts),
        parts=parts,
        memories=memories,
        work=work,
        log=work / "assemble.log",
    )


class _Flow:
    """The steps from Verilog to a netlist, all in the folder `work`."""

    def __init__(
        self,
        schedule: Schedule,
        cells: Liberty,
        work: Path,
        frequency_mhz: float,
        time_limit: float,
        progress: Callable[[str], None],
    ) -> None:
        self.top = schedule.design.name
        self.cells = cells
        self.work = work
        self.delay_ps = nangate45.delay_ps(cells, frequency_mhz)
        self.time_limit = time_limit
        self.progress = progress
        self.modules: list[str] = []

    def elaborate(self) -> list[Shape]:
        """From Verilog to flip-flops and gates; returns the banks of SRAM."""
        self.progress("elaboration")
        self._yosys([line.format(top=self.top) for line in _ELABORATE], "elaborate.log")
        found = yosys.read_json(self.work / "memories.json")["modules"]
        rules, banks = [], set()
        for module, content in found.items():
            for name, shape in _srams(content["cells"]):
                banks.add(shape)
                (self.work / f"{shape.name}.txt").write_text(macros.mapping_rule(shape), "utf-8")
                rules.append(f"memory_libmap -lib {shape.name}.txt {module}/{name}")
        ordered = sorted(banks, key=lambda bank: bank.name)
        boxes = macros.macro_shapes(ordered)
        texts = {
            "banks.v": [macros.bank_module(bank) for bank in ordered],
            "banks_map.v": [macros.mapping_module(bank) for bank in ordered],
            "macros.v": [macros.black_box(*shape) for shape in boxes],
            "count.v": [_COUNT],
        }
        for file, modules in texts.items():
            (self.work / file).write_text("".join(modules), encoding="utf-8")
        self.modules = [*found, *(bank.name for bank in ordered)]
        pipelines = [name for name in found if _RETIMED.match(name)]
        # ABC retimes plain flip-flops only.
        unmap = f"dffunmap {' '.join(pipelines)}"
        for name in self.modules:
            (self.work / "modules" / name).mkdir(parents=True, exist_ok=True)
        script = "; ".join(_COARSE).format(
            top=self.top,
            rules="; ".join(rules) or "opt_clean",
            unmap=unmap,
            write="; ".join(map(_WRITE_MODULE.format, self.modules)),
        )
        self._yosys([script], "coarse.log")
        return ordered

    def map_modules(self) -> dict[str, str]:
        """Map each module to cells of the library; returns the ABC script of each."""
        used = {}
        for name in self.modules:
            self.progress(f"mapping {_short(name, self.top)}")
            used[name] = self._map(name)
        return used

    def _map(self, name: str) -> str:
        work = self.work / "modules" / name
        retimed = bool(_RETIMED.match(name))
        scripts = list(nangate45.SCRIPTS) if retimed else ["in-place"]
        (work / "core.sdc").write_text(nangate45.surroundings(self.cells), encoding="utf-8")
        (work / "cells.lib").unlink(missing_ok=True)
        (work / "cells.lib").hardlink_to(self.work / "cells.lib")
        (work / "macros.v").unlink(missing_ok=True)
        (work / "macros.v").hardlink_to(self.work / "macros.v")
        commands = [*_READ, *(_RETIME if retimed else _IN_PLACE), *_FINISH]
        delay = self.delay_ps if retimed else round(self.delay_ps * _OWN_SHARE)
        return nangate45.map_with(scripts, delay, work, commands, time_limit=self.time_limit)

    def assemble(self) -> Netlist:
        """All modules together, with buffers where one drives many."""
        self.progress("netlist")
        read = "; ".join(f"read_rtlil modules/{name}/mapped.il" for name in self.modules)
        script = [line.format(read=read, top=self.top) for line in _ASSEMBLE]
        self._yosys(script, "assemble.log")
        netlist = _mapped(self.work, self.cells, self.top)
        if unknown := netlist.unknown:
            raise ToolError(
                f"the library has no cells for {unknown.total()} that the machine needs: "
                f"{', '.join(sorted(unknown))}; log: {self.work / 'assemble.log'}"
            )
        fanout.buffer(netlist)
        (self.work / "mapped.v").write_text(netlist.verilog(), encoding="utf-8")
        return netlist

    def by_opensta(self, sta: str) -> tuple[float, tuple[str, str]]:
        """Shortest clock period in ns, and the ends of the path that decides it."""
        log = self.work / "opensta.log"
        script = _TIMING.format(top=self.top, period=_PERIOD_NS)
        (self.work / "timing.tcl").write_text(script, encoding="utf-8")
        text = tool.run(
            [sta, "-no_splash", "-exit", "timing.tcl"],
            tool="OpenSTA",
            log=log,
            cwd=self.work,
            timeout=self.time_limit,
        )
        slack = _SLACK.search(text)
        # It goes on without what it could not read.
        if not slack or "Error: " in text:
            raise ToolError(
                f"OpenSTA could not time the machine: {tool.telling_line(text)}; log: {log}"
            )
        ends = dict(_POINT.findall(text))
        return _PERIOD_NS - float(slack[1]), (ends["Start"], ends["End"])

    def by_abc(self, scripts: Mapping[str, str]) -> tuple[float, None]:
        """Shortest clock period in ns of the slowest module alone."""
        delays = [nangate45.abc_delay_ns(self.work / "modules" / name) for name in scripts]
        overhead = max(self.cells.overhead_ns(cell) for cell in self.cells.flip_flops)
        return max(delays) + overhead, None

    def _yosys(self, script: list[str], log: str) -> None:
        yosys.run_with_abc(script, self.work, log, timeout=self.time_limit)


def read_netlist(work: Path, cells: Liberty, top: str) -> Netlist:
    """The netlist of module `top` that `synthesize` left in the folder `work`.

    Raises ToolError when there is none.
    """
    missing = f"there is no netlist of {top} in {work}"
    if not (work / "mapped.json").is_file():
        raise ToolError(missing)
    netlist = _mapped(work, cells, top)
    if top not in netlist.modules:
        raise ToolError(missing)
    fanout.buffer(netlist)
    return netlist


def _mapped(work: Path, cells: Liberty, top: str) -> Netlist:
    content = yosys.read_json(work / "mapped.json")
    return Netlist(content["modules"], cells, top)


def _parts(netlist: Netlist, scripts: Mapping[str, str]) -> Iterator[Part]:
    """All components, the machine itself first."""
    top = netlist.top
    for name in sorted(scripts, key=lambda name: (name != top, name)):
        types = netlist.types(name)
        own = {kind: count for kind, count in types.items() if kind in netlist.cells.cells}
        yield Part(
            name=_short(name, top),
            module=name,
            instances=netlist.instances[name],
            area_um2=round(netlist.areas[name], 1),
            own_um2=round(sum(netlist.cells.area_um2(k) * n for k, n in own.items()), 1),
            cells=sum(own.values()),
            ffs=sum(own.get(kind, 0) for kind in netlist.cells.flip_flops),
            contains={_short(kind, top): n for kind, n in types.items() if kind in scripts},
            script=scripts[name],
        )


def _short(module: str, top: str) -> str:
    """A module's name without the design's, whether or not all in it can be halted."""
    return module.removeprefix(top).removeprefix("_").removesuffix(ENABLED) or "machine"


def _srams(cells: Mapping[str, Mapping]) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of the memories that are to be SRAM among a module's cells."""
    for name, cell in cells.items():
        if cell["type"] != "$mem_v2":
            continue
        number = {key: int(value, 2) for key, value in cell["parameters"].items()
                  if key in ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS")}  # fmt: skip
        shape = Shape(number["SIZE"], number["WIDTH"])
        ports = number["RD_PORTS"], number["WR_PORTS"]
        if ports == (1, 1) and shape.words * shape.bits >= macros.SRAM_BITS:
            yield name, shape


def _prices(
    banks: list[Shape], openram: OpenRAM | None, progress: Callable[[str], None]
) -> dict[tuple[int, int], Price | None]:
    """Price of each macro, by words and bits."""
    found: dict[tuple[int, int], Price | None] = {}
    for words, bits in macros.macro_shapes(banks):
        if openram is None:
            found[words, bits] = None
            continue
        found[words, bits] = openram.price(
            words, bits, progress=lambda what: progress(f"SRAM of {what}")
        ).price
    return found


def _memories(
    banks: list[Shape],
    prices: Mapping[tuple[int, int], Price | None],
    instances: Mapping[str, int],
) -> Iterator[Memory]:
    for bank in banks:
        each = [prices[words, bank.bits] for words in bank.macros]
        known = None not in each
        yield Memory(
            name=bank.name,
            words=bank.words,
            bits=bank.bits,
            instances=instances[bank.name],
            macros=bank.macros,
            area_um2=round(sum(p.area_um2 for p in each), 1) if known else None,
            access_ns=max(p.access_ns for p in each) if known else None,
            access_energy_pj=max(p.access_energy_pj for p in each) if known else None,
            leakage_uw=round(sum(p.leakage_uw for p in each), 3) if known else None,
        )
