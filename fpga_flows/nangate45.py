"""45 nm standard cells: synthesis with Yosys and ABC on a Liberty file, timing by OpenSTA.

Made for the NanGate 45 nm Open Cell Library. A core is mapped alone, and timed inside a harness
(see `fpga_flows.yosys.harness`): every path of the core, in, through and out, then begins and ends
in a flip-flop, and the core's inputs and outputs have real drivers and loads. The harness' own
cells are not counted. No wires are priced: there is no layout.

The core's registers are retimed into its logic by ABC, which keeps the latency and every result,
but neither names nor the registers' places; nor does it keep what the registers hold before the
first results come, so that a core with a reset must be held in it for as long as its longest
pipeline. Initial values are dropped, for silicon has none. A component of N stages so becomes N + 1
stretches of logic between registers, the harness' included; in a chain of components, where the
registers of one are the next one's, N stretches have to do.

Chosen by measurement on the binary32 components of 2 stages, flush, aimed at 900 MHz, timed by
OpenSTA; area in um2, Fmax in MHz, each script as in `SCRIPTS` but for what is said:

| script                                                | multiplier    | adder         |
|-------------------------------------------------------|---------------|---------------|
| retime (chosen)                                       | 4,963 at  937 | 1,839 at  952 |
| retime-dc2                                            | 4,921 at  955 | 1,825 at  926 |
| retime-area                                           | 4,969 at  943 | 1,876 at  949 |
| in-place: registers stay where they are               | 5,248 at  773 | 1,821 at  753 |
| retime, `map -B 0.9`                                  | 5,145 at  981 | 1,867 at  972 |
| retime, `map -a`                                      | 4,996 at  913 | 1,826 at  866 |
| retime, `amap -m` for `map`                           | 4,588 at  781 | 1,654 at  686 |
| retime, `&nf` for `map`                               | 5,238 at  915 | 1,900 at  841 |
| retime, without buffers and sizing                    | 4,768 at  705 | 1,730 at  491 |
| Yosys' own order, `dretime` instead                   | 4,894 at  480 | 1,818 at  471 |

Aimed at 800 MHz, `retime` gives the multiplier 4,896 um2 at 852 MHz; at 1,000 MHz, 5,192 at 1,048.
Without a driver for ABC (`set_driving_cell`), it is about a tenth slower, at nearly the same area.
With the library's default wire load, the chosen ones would be timed at 864 and 865 MHz.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpga_flows import liberty as cell_library
from fpga_flows import yosys
from fpga_flows.liberty import Liberty
from hw import tool
from hw.errors import InputError, ToolError

TARGET = "nangate45"

# ABC scripts by name; {D} is the delay that is aimed at, in ps. `dch` before `retime`, because
# retiming counts gates and not their delay: what it balances must be of few levels. ABC writes the
# delay to stats.txt (`stime -d`), for Yosys' log has nothing of what it prints.
_MAP = "dch -f; map -D {D}; topo; buffer -c; upsize -D {D}; dnsize -D {D}; stime -d"
SCRIPTS = {
    "retime": f"strash; dch; balance; retime -M 4; strash; {_MAP}",
    "retime-dc2": f"strash; ifraig; dc2; balance; retime -M 4; strash; {_MAP}",
    "retime-area": f"strash; dch; balance; retime -M 5; strash; {_MAP}",
    "in-place": f"strash; dch; balance; {_MAP}",
}

# What ABC takes for the drivers of the logic, which are flip-flops, and the load behind it in fF.
# It knows no flip-flops, and without a driver expects any of them to drive any load at once.
_DRIVER = "BUF_X1"
_LOAD_FF = 2

#: Longest run of a tool in seconds: minutes, with much to spare.
TIME_LIMIT = 1800.0

# Clock buffers and gates are for clock trees, which are not built here.
_SPARED = "CLK*"

_ELABORATE = [
    "read_verilog core.v",
    "hierarchy -check -top {top}",
    "proc",
    "setattr -unset init w:*",
    "synth -booth -flatten -top {top}",
    # A note of `flatten`, and no cell.
    "delete t:$scopeinfo",
    "opt -full",
    # ABC retimes plain flip-flops only.
    "dffunmap",
    "opt_expr",
    "opt_merge",
    "dfflibmap -prepare -liberty cells.lib",
    "opt_clean",
    "write_rtlil unmapped.il",
]
_MAPPING = [
    "read_rtlil unmapped.il",
    "abc -dff -liberty cells.lib -constr core.sdc -script core.abc -dont_use {spared}",
    "dfflibmap -map-only -liberty cells.lib",
    "setundef -zero",
    "opt_clean",
    "tee -q -o cells.json stat -json -liberty cells.lib",
    "write_rtlil mapped.il",
    "write_verilog -noattr mapped.v",
    "read_liberty -lib cells.lib",
    "read_verilog harness.v",
    "hierarchy -check -top harness",
    "proc",
    "simplemap harness",
    "dfflibmap -liberty cells.lib",
    "abc -liberty cells.lib -script harness.abc harness",
    "flatten",
    # OpenSTA reads neither concatenations nor expressions.
    "splitnets -ports",
    "opt_clean",
    "write_verilog -noattr -noexpr timed.v",
]

_TIMING = """read_liberty cells.lib
read_verilog timed.v
link_design harness
create_clock -name clk -period {period} [get_ports clk]
report_checks -path_delay max -format full_clock_expanded -digits 4
"""
_REFUSED = re.compile(r"^.*(?:cannot be used|no Liberty library).*$", re.MULTILINE)
_SLACK = re.compile(r"^\s*(-?\d+\.\d+)\s+slack", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What a core costs in standard cells.

    Attributes:
        target: "nangate45".
        area_um2: Sum of the cells' areas in um2.
        fmax_mhz: Highest clock frequency in MHz between flip-flops, without wires.
        cells: Number of cells.
        ffs: Flip-flops among them.
        timing_by: "OpenSTA", or "ABC": its delay of the logic and what the library's flip-flop
            takes at the median of its tables.
        script: Key of `SCRIPTS`.
        log: Yosys' log; what the others said is beside it.
    """

    target: str
    area_um2: float
    fmax_mhz: float
    cells: int
    ffs: int
    timing_by: str
    script: str
    log: Path


def synthesize(
    verilog: str,
    top: str,
    *,
    liberty: Path,
    work: Path,
    frequency_mhz: float = 900.0,
    script: str | None = None,
    opensta: bool = True,
    time_limit: float = TIME_LIMIT,
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Synthesize a core, flattened, and time it.

    Args:
        verilog: The core and all modules below it.
        top: Name of its module; its clock is the port `clk`.
        liberty: The library, plain or gzipped.
        work: Folder for netlists and logs; made if it is not there. mapped.v is the core's netlist.
        frequency_mhz: Clock frequency to aim at in MHz; a lower one gives less area. To miss it is
            no error.
        script: Key of `SCRIPTS`. By default, the first of them on which ABC does not crash.
        opensta: Whether OpenSTA times the core where it is installed.
        time_limit: Longest run of a tool, in seconds.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: The script is unknown.
        ToolError: The library is truncated, not Liberty or without flip-flops; cells stay
            unmapped; Yosys or OpenSTA is missing, fails or takes too long; what they said is in
            `work`.
    """
    if script is not None and script not in SCRIPTS:
        raise InputError(f"script must be one of {', '.join(SCRIPTS)}, not {script!r}")
    library = cell_library.read(liberty)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    yosys.prepare(progress)
    progress("synthesis")
    (work / "cells.lib").write_text(library.without_wire_load, encoding="utf-8")
    (work / "core.v").write_text(verilog, encoding="utf-8")
    harness = yosys.harness(yosys.ports(top, work), top)
    (work / "harness.v").write_text(harness, encoding="utf-8")
    (work / "core.sdc").write_text(surroundings(library), encoding="utf-8")
    (work / "harness.abc").write_text("strash\nmap\n", encoding="utf-8")
    elaborate = [line.format(top=top) for line in _ELABORATE]
    yosys.run_with_abc(elaborate, work, "elaborate.log", timeout=time_limit)
    progress("mapping")
    commands = [line.format(spared=_SPARED) for line in _MAPPING]
    delay = delay_ps(library, frequency_mhz)
    used = map_with(
        [script] if script else list(SCRIPTS), delay, work, commands, time_limit=time_limit
    )
    area, cells = _cells(library, top, work)
    progress("timing")
    sta = shutil.which(tool.executable("sta")) if opensta else None
    period = _by_opensta(sta, work, time_limit) if sta else _by_abc(library, cells, work)
    return Result(
        target=TARGET,
        area_um2=round(area, 1),
        fmax_mhz=round(1e3 / period, 1),
        cells=sum(cells.values()),
        ffs=sum(cells.get(cell, 0) for cell in library.flip_flops),
        timing_by="OpenSTA" if sta else "ABC",
        script=used,
        log=work / "yosys.log",
    )


def surroundings(library: Liberty) -> str:
    """For ABC: what drives the logic, and what is behind it."""
    driver = f"set_driving_cell {_DRIVER}\n" if _DRIVER in library.cells else ""
    return f"{driver}set_load {_LOAD_FF}\n"


def delay_ps(library: Liberty, frequency_mhz: float) -> int:
    """What a period leaves to the logic between two flip-flops, in ps."""
    overhead = min(library.overhead_ns(cell) for cell in library.flip_flops)
    return max(round(1e6 / frequency_mhz - 1e3 * overhead), 1)


def map_with(
    scripts: Sequence[str],
    delay_ps: int,
    work: Path,
    mapping: Sequence[str],
    *,
    time_limit: float = TIME_LIMIT,
) -> str:
    """Run Yosys' commands `mapping`, which call ABC with core.abc, in the folder `work`.

    That is the first of `scripts`, keys of `SCRIPTS`, that ABC survives; returns it. Raises
    ToolError when there is none, or Yosys fails or takes too long.
    """
    log = work / "yosys.log"
    for name in scripts:
        commands = SCRIPTS[name].format(D=delay_ps).replace("; ", "\n")
        (work / "core.abc").write_text(commands + "\n", encoding="utf-8")
        (work / "stats.txt").unlink(missing_ok=True)
        try:
            yosys.run_with_abc(mapping, work, log.name, timeout=time_limit)
        except ToolError as error:
            # ABC's `retime` crashes on some networks, and not on others of the same function.
            if _abc_failed(error):
                continue
            raise
        return name
    raise ToolError(
        f"ABC failed with each of the scripts {', '.join(scripts)}{_refusal(log)}; log: {log}"
    )


def _abc_failed(error: ToolError) -> bool:
    """Whether it is ABC that failed: all that Yosys knows is that ABC left nothing."""
    said = str(error)
    return "ABC output" in said or (said.startswith("Yosys failed (") and "ERROR: " not in said)


def _refusal(log: Path) -> str:
    """What ABC has said of a library that it cannot use."""
    output = log.with_suffix(".out")
    text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
    found = _REFUSED.search(text)
    return f": {found[0]}" if found else ""


def _cells(library: Liberty, top: str, work: Path) -> tuple[float, Mapping[str, int]]:
    """Area of the core in um2, and its cells by type."""
    module = yosys.read_json(work / "cells.json")["modules"]["\\" + top]
    cells = module["num_cells_by_type"]
    if unmapped := sorted(cells.keys() - library.cells.keys()):
        count = sum(cells[kind] for kind in unmapped)
        raise ToolError(
            f"the library has no cells for {count} that the core needs: {', '.join(unmapped)}; "
            f"log: {work / 'yosys.log'}"
        )
    return module["area"], cells


def _by_opensta(sta: str, work: Path, time_limit: float) -> float:
    """Shortest clock period in ns."""
    period = 1.0
    log = work / "opensta.log"
    (work / "timing.tcl").write_text(_TIMING.format(period=period), encoding="utf-8")
    text = tool.run(
        [sta, "-no_splash", "-exit", "timing.tcl"],
        tool="OpenSTA",
        log=log,
        cwd=work,
        timeout=time_limit,
    )
    slack = _SLACK.search(text)
    if not slack:
        raise ToolError(f"OpenSTA found no path: {tool.telling_line(text)}; log: {log}")
    return period - float(slack[1])


def _by_abc(library: Liberty, cells: Mapping[str, int], work: Path) -> float:
    """Shortest clock period in ns."""
    logic = abc_delay_ns(work)
    used = [cell for cell in library.flip_flops if cell in cells]
    return logic + max((library.overhead_ns(cell) for cell in used), default=0.0)


def abc_delay_ns(work: Path) -> float:
    """ABC's delay of the logic that it mapped last in `work`, in ns; 0 where there was none."""
    file = work / "stats.txt"
    if not file.is_file():
        return 0.0
    # One line: name, inputs, outputs, gates, area in um2, delay in ps.
    return float(file.read_text(encoding="utf-8").split()[-1]) / 1e3
