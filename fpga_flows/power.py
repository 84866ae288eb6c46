"""Energy of a machine in 45 nm standard cells, from the toggles of its nets as it trains.

The mapped netlist itself is simulated over real samples (`sim.bench.run`: bit exact and clock exact
beside the golden model, or there is no figure), and the toggles of every net are counted, apart for
each phase of the training. Of many processing elements, a few are netlists and the others RTL; the
few stand for all. The library says what a toggle costs (`fpga_flows.cell_power`), OpenRAM what an
access to a memory costs. Clocks without toggles cost leakage and what flip-flops take of the clock.

What is not in the figures: wires; glitches, for gates have no delays here; and a clock tree, which
is estimated apart. docs/asic.md says how large they may be.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fpga_flows import asic, gatesim, liberty
from fpga_flows.asic import Machine
from fpga_flows.cell_netlist import Netlist
from fpga_flows.cell_power import CellPower
from fpga_flows.fanout import BUFFER, MOST
from hw.errors import InputError, ToolError
from hw.operation import Operation
from hw.schedule import Schedule
from sim.bench import observer
from sim.bench import run as bench
from sim.bench.run import Counting, Run
from sim.golden import Weights

#: Toggles of every net for each clock that the global guess takes for granted.
GUESS = 0.1

#: Processing elements that are simulated as netlists.
PROBED = 3

# Samples of a run, of which the first and the last are not counted.
SAMPLES = 4

_FJ_TO_NJ = 1e-6
_PJ_TO_NJ = 1e-3


@dataclass(frozen=True)
class PhaseEnergy:
    """What a sample takes in one phase of one layer, in nJ.

    A clock belongs to the operation whose products leave the multipliers in it. The units' work on
    the results falls into it as well, and some of it into the clocks after.

    Attributes:
        phase: "forward", "backpropagation", "gradient descent", or "waiting" for clocks in which no
            product leaves.
        layer: Layer of weights; None for waiting.
        clocks: Of each sample.
        logic_nj: Standard cells: toggles, and what flip-flops take of the clock.
        sram_nj: Accesses to SRAM; None where OpenRAM is not installed.
        leakage_nj: Of cells and SRAM.
    """

    phase: str
    layer: int | None
    clocks: float
    logic_nj: float
    sram_nj: float | None
    leakage_nj: float


@dataclass(frozen=True)
class PartEnergy:
    """What a sample takes in all components of one kind, in nJ.

    Attributes:
        name: As in `asic.Machine.parts`.
        instances: How many there are.
        toggles_nj: Toggles of their own nets.
        clock_nj: What their own flip-flops take of the clock.
        leakage_nj: Of their own cells.
        toggles_per_clock: Mean of their own nets: what a global guess guesses.
    """

    name: str
    instances: int
    toggles_nj: float
    clock_nj: float
    leakage_nj: float
    toggles_per_clock: float


@dataclass(frozen=True)
class SramEnergy:
    """What a sample takes in all memories of one kind, in nJ.

    Attributes:
        name: As in `asic.Machine.memories`.
        instances: How many there are.
        reads: Of each, for a sample.
        writes: Of each, for a sample.
        access_nj: None where OpenRAM is not installed.
        leakage_nj: None where OpenRAM is not installed.
    """

    name: str
    instances: int
    reads: float
    writes: float
    access_nj: float | None
    leakage_nj: float | None


@dataclass(frozen=True)
class Energy:
    """Energy of a machine for each sample that it trains on.

    Attributes:
        frequency_mhz: Clock frequency, for leakage and power.
        samples: Samples over which toggles were counted.
        clocks_per_sample: Clocks of each.
        probed: Processing elements whose toggles were counted.
        logic_nj: Standard cells, from counted toggles, with what flip-flops take of the clock.
        clock_tree_nj: Estimate of a clock tree: the flip-flops' clock inputs, and buffers.
        sram_nj: Accesses to SRAM; None where OpenRAM is not installed.
        leakage_nj: Of cells and, where OpenRAM is installed, SRAM.
        total_nj: Sum of these.
        guess: Toggles of each net and clock in the global guess.
        guess_logic_nj: What `logic_nj` would be by that guess.
        guess_total_nj: What `total_nj` would be.
        watts: Mean power while training.
        annotated_by: How the activity was found.
        energy_by: What prices it.
        phases: By phase and layer.
        parts: By component.
        memories: By kind of SRAM.
    """

    frequency_mhz: float
    samples: int
    clocks_per_sample: float
    probed: tuple[int, ...]
    logic_nj: float
    clock_tree_nj: float
    sram_nj: float | None
    leakage_nj: float
    total_nj: float
    guess: float
    guess_logic_nj: float
    guess_total_nj: float
    watts: float
    annotated_by: str
    energy_by: str
    phases: tuple[PhaseEnergy, ...]
    parts: tuple[PartEnergy, ...]
    memories: tuple[SramEnergy, ...]


def measure(
    machine: Machine,
    schedule: Schedule,
    weights: Weights,
    run: Run,
    *,
    library: Path,
    work: Path,
    frequency_mhz: float | None = None,
    probed: int = PROBED,
    progress: bench.Progress = lambda *_, **__: None,
) -> Energy:
    """Energy of `machine` while it trains on the samples of `run`.

    Args:
        machine: From `asic.synthesize`, with its netlist in machine.work.
        schedule: That it was made of.
        weights: To start from.
        run: Three samples or more, in batches of 1; the first and the last are not counted.
        library: Liberty file of the standard cells, the same as for the synthesis.
        work: Folder for the simulation.
        frequency_mhz: Clock frequency; the machine's Fmax by default.
        probed: How many processing elements are simulated as netlists.
        progress: As of `sim.bench.run.simulate`.

    Raises:
        InputError: The machine has one memory for all weights, or batches, or the run is too short.
        ToolError: The netlist computes something else than the golden model; a tool is missing or
            fails.
    """
    design = schedule.design
    if design.unified or design.batch > 1:
        raise InputError("energy is measured of machines with distributed memory, in batches of 1")
    if len(run.inputs) < 3:
        raise InputError(f"samples must be at least 3 to measure energy, not {len(run.inputs)}")
    cells = liberty.read(library)
    netlist = asic.read_netlist(machine.work, cells, design.name)
    chosen = _spread(design.processing_elements, probed)
    counting = Counting(_phase_of_clocks(schedule), schedule.clocks_per_iteration,
                        schedule.clocks_per_iteration * (len(run.inputs) - 1))  # fmt: skip
    text = gatesim.verilog(
        netlist,
        observed=observer.observed(schedule),
        rtl=(machine.work / "core.v").read_text(encoding="utf-8"),
        mapped_pes=chosen,
        phases=len(schedule.operations) + 1,
    )
    found = bench.simulate(
        schedule, weights, [run], mapped=text, counting=counting, keep=work, progress=progress,
        optimize=0,
    )  # fmt: skip
    if found.mismatches:
        raise ToolError(f"the netlist and the golden model differ: {found.first}; see {work}")
    counts = _Counts(work, len(schedule.operations) + 1, len(run.inputs) - 2)
    return _Sum(machine, schedule, netlist, counts, chosen, frequency_mhz).energy()


def _spread(pes: int, most: int) -> tuple[int, ...]:
    """Processing elements that stand for all."""
    if pes <= most:
        return tuple(range(pes))
    return tuple(dict.fromkeys(round(k * (pes - 1) / (most - 1)) for k in range(most)))


def _phase_of_clocks(schedule: Schedule) -> np.ndarray:
    """Number of the operation whose products leave the multipliers in each clock of an iteration.

    In the order of `schedule.operations`; one more where there is none.
    """
    found = np.full(schedule.clocks_per_iteration, len(schedule.operations), np.uint32)
    lat = schedule.latencies
    for number, op in enumerate(schedule.operations):
        clocks = op.at(op.slots.ravel()) + lat.product + lat.broadcast
        found[clocks % schedule.clocks_per_iteration] = number
    return found


class _Counts:
    """What the probes have counted, by instance of a module."""

    def __init__(self, work: Path, phases: int, samples: int) -> None:
        self.phases = phases
        self.samples = samples
        self.toggles: dict[str, np.ndarray] = {}
        self.ones: dict[str, np.ndarray] = {}
        for file in work.glob("toggles.*"):
            words = np.fromfile(file, "<u4").reshape(2, phases, -1)
            # The name of the probe comes last, the bench's first.
            path = ".".join(file.name.split(".")[3:-1])
            self.toggles[path], self.ones[path] = words / samples
            # Words of 32 nets; the last may have bits to spare.


class _Sum:
    """Toggles times energies."""

    def __init__(
        self,
        machine: Machine,
        schedule: Schedule,
        netlist: Netlist,
        counts: _Counts,
        chosen: Sequence[int],
        frequency_mhz: float | None,
    ) -> None:
        self.machine = machine
        self.schedule = schedule
        self.netlist = netlist
        self.counts = counts
        self.chosen = chosen
        self.frequency_mhz = frequency_mhz or machine.fmax_mhz
        self.prices = CellPower(netlist.cells)
        self.clocks = np.bincount(_phase_of_clocks(schedule), minlength=counts.phases)
        self._costs: dict[str, tuple[np.ndarray, float, float, int]] = {}

    def energy(self) -> Energy:
        """The sum."""
        machine, clocks = self.machine, self.clocks
        toggles: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(self.counts.phases))
        mean: dict[str, list[float]] = defaultdict(list)
        guess = 0.0
        for path, module in self._instances():
            energy, *_ = self._cost(module)
            share = self._share(path)
            counted = self.counts.toggles[path]
            toggles[module] += share * (counted[:, : len(energy)] @ energy)
            mean[module].append(float(counted.sum() / len(energy) / clocks.sum()))
            guess += share * energy.sum() * GUESS * clocks.sum()
        parts, phase_logic, phase_leakage = [], np.zeros(len(clocks)), np.zeros(len(clocks))
        flip_flops = 0
        for part in machine.parts:
            _, clock_fj, leakage_nw, ffs = self._cost(part.module)
            clock = part.instances * clock_fj * clocks
            # nW for clocks of 1 / MHz us each are fJ.
            leakage = part.instances * leakage_nw * clocks / self.frequency_mhz
            phase_logic += toggles[part.module] + clock
            phase_leakage += leakage
            flip_flops += part.instances * ffs
            parts.append(
                PartEnergy(
                    name=part.name,
                    instances=part.instances,
                    toggles_nj=_nj(toggles[part.module].sum()),
                    clock_nj=_nj(clock.sum()),
                    leakage_nj=_nj(leakage.sum()),
                    toggles_per_clock=round(float(np.mean(mean[part.module] or [0])), 4),
                )
            )
        memories, phase_sram = self._memories()
        known = None not in [memory.access_nj for memory in memories]
        sram_leakage = sum(memory.leakage_nj or 0.0 for memory in memories)
        tree = self._clock_tree_fj(flip_flops) * clocks.sum()
        clock_all = sum(part.clock_nj for part in parts)
        logic, leakage = _nj(phase_logic.sum()), _nj(phase_leakage.sum()) + sram_leakage
        sram = round(float(phase_sram.sum()), 3) if known else None
        rest = _nj(tree) + (sram or 0.0) + leakage
        guessed = _nj(guess) + clock_all
        microseconds = clocks.sum() / self.frequency_mhz
        return Energy(
            frequency_mhz=self.frequency_mhz,
            samples=self.counts.samples,
            clocks_per_sample=float(clocks.sum()),
            probed=tuple(self.chosen),
            logic_nj=logic,
            clock_tree_nj=_nj(tree),
            sram_nj=sram,
            leakage_nj=round(float(leakage), 3),
            total_nj=round(float(logic + rest), 3),
            guess=GUESS,
            guess_logic_nj=round(float(guessed), 3),
            guess_total_nj=round(float(guessed + rest), 3),
            watts=round(float(logic + rest) * 1e-3 / float(microseconds), 6),
            annotated_by="toggles of every net in a simulation of the netlist, without delays",
            energy_by="the Liberty file; OpenRAM" if known else "the Liberty file; no SRAM",
            phases=tuple(
                self._phase(number, op, phase_logic, phase_sram if known else None,
                            phase_leakage + 1e6 * sram_leakage * clocks / clocks.sum())
                for number, op in enumerate([*self.schedule.operations, None])
            ),
            parts=tuple(parts),
            memories=memories,
        )  # fmt: skip

    def _phase(
        self,
        number: int,
        op: Operation | None,
        logic: np.ndarray,
        sram: np.ndarray | None,
        leakage: np.ndarray,
    ) -> PhaseEnergy:
        return PhaseEnergy(
            phase="waiting" if op is None else op.unit,
            layer=None if op is None else op.layer.number,
            clocks=float(self.clocks[number]),
            logic_nj=_nj(logic[number]),
            sram_nj=None if sram is None else round(float(sram[number]), 3),
            leakage_nj=_nj(leakage[number]),
        )

    def _instances(self) -> list[tuple[str, str]]:
        """Path and module of everything that has been counted."""
        found = []

        def visit(path: str, module: str) -> None:
            if path in self.counts.toggles:
                found.append((path, module))
            for name, cell in self.netlist.modules[module]["cells"].items():
                if cell["type"] in self.netlist.modules:
                    visit(f"{path}.{name}" if path else name, cell["type"])

        visit("", self.netlist.top)
        return found

    def _share(self, path: str) -> float:
        """For how many instances the one at `path` stands."""
        in_pe = re.search(r"(?:^|\.)pe_\d+(?:\.|$)", path)
        return self.schedule.design.processing_elements / len(self.chosen) if in_pe else 1.0

    def _cost(self, module: str) -> tuple[np.ndarray, float, float, int]:
        """Of a module's own: fJ of a toggle of each net, fJ of a clock, leakage in nW, flip-flops.

        A net within a component is charged for the loads that are in it, and what drives it for
        the load in the components below as well.
        """
        if module not in self._costs:
            self._costs[module] = self._work_out(module)
        return self._costs[module]

    def _work_out(self, module: str) -> tuple[np.ndarray, float, float, int]:
        cells, prices, netlist = self.netlist.cells, self.prices, self.netlist
        order = {bit: place for place, bit in enumerate(netlist.nets(module))}
        own, all_loads = np.zeros(len(order)), np.zeros(len(order))
        energy = np.zeros(len(order))
        sinks: Counter[int] = Counter()
        clock = leakage = 0.0
        ffs = 0
        drivers = []
        for cell in netlist.modules[module]["cells"].values():
            kind = cell["type"]
            below = netlist.modules.get(kind)
            if below is None:
                leakage += prices.leakage_nw(kind)
            flip_flop = kind in cells.flip_flops
            if flip_flop:
                ffs += 1
                clock += prices.clock_fj(kind)
            for pin, bits in cell["connections"].items():
                for index, bit in enumerate(bits):
                    if isinstance(bit, str):
                        continue
                    place = order[bit]
                    if below is not None:
                        if below["ports"][pin]["direction"] == "input":
                            sinks[bit] += 1
                            all_loads[place] += self._port_load(kind, pin, index)
                    elif pin in cells.outputs[kind]:
                        drivers.append((kind, pin, bit))
                    elif not (flip_flop and prices.is_clock(kind, pin)):
                        sinks[bit] += 1
                        load = prices.load_ff(kind, pin)
                        own[place] += load
                        all_loads[place] += load
                        energy[place] += prices.input_fj(kind, pin)
        for port in netlist.modules[module]["ports"].values():
            if port["direction"] == "output":
                sinks.update(bit for bit in port["bits"] if isinstance(bit, int))
        energy += prices.switch_fj(1.0) * own
        for kind, pin, bit in drivers:
            if sinks[bit]:  # an inverted output that nothing uses is the other one's twin
                energy[order[bit]] += prices.output_fj(kind, pin, all_loads[order[bit]])
        return energy, clock, leakage, ffs

    def _port_load(self, module: str, port: str, index: int) -> float:
        """Capacitance in fF of a component's input, with what is below it."""
        below = self.netlist.modules[module]
        bit = below["ports"][port]["bits"][index]
        return sum(
            self._port_load(cell["type"], pin, place)
            if cell["type"] in self.netlist.modules
            else self.prices.load_ff(cell["type"], pin)
            for cell, pin, place in self.netlist.sinks(module).get(bit, ())
        )

    def _memories(self) -> tuple[tuple[SramEnergy, ...], np.ndarray]:
        """Each kind of SRAM, and the energy of all of it in each phase, in nJ."""
        design = self.schedule.design
        total = np.zeros(self.counts.phases)
        found = []
        times = self.clocks.sum() / self.frequency_mhz  # us
        for memory in self.machine.memories:
            reads, writes = (np.zeros(self.counts.phases) for _ in range(2))
            for path, module in self._instances():
                if module == memory.name:
                    share = self._share(path)
                    reads += share * self._high(path, module, "read")
                    writes += share * self._high(path, module, "write")
            if memory.words == design.buffer_vectors * design.record_words:
                # The bench fills the buffer before it starts; a machine at work fills it meanwhile.
                writes[-1] += design.record_words
            known = memory.access_energy_pj is not None
            energy = (reads + writes) * (memory.access_energy_pj or 0.0) * _PJ_TO_NJ
            total += energy
            leakage = memory.instances * (memory.leakage_uw or 0.0) * times * _PJ_TO_NJ
            found.append(
                SramEnergy(
                    name=memory.name,
                    instances=memory.instances,
                    reads=round(float(reads.sum()) / memory.instances, 2),
                    writes=round(float(writes.sum()) / memory.instances, 2),
                    access_nj=round(float(energy.sum()), 3) if known else None,
                    leakage_nj=round(float(leakage), 3) if known else None,
                )
            )
        return tuple(found), total

    def _high(self, path: str, module: str, port: str) -> np.ndarray:
        """Clocks of each phase for which a port of one bit is 1."""
        bit = self.netlist.modules[module]["ports"][port]["bits"][0]
        return self.counts.ones[path][:, self.netlist.nets(module).index(bit)]

    def _clock_tree_fj(self, flip_flops: int) -> float:
        """Energy of a clock tree in each clock, in fJ: inputs of flip-flops, and buffers above."""
        prices, cells = self.prices, self.netlist.cells
        kind = max(cells.flip_flops, key=lambda cell: self.netlist.total(cell))
        found = 2 * prices.switch_fj(flip_flops * prices.clock_load_ff(kind))
        if BUFFER not in cells.cells:
            return found
        (output,) = cells.outputs[BUFFER]
        below, load = flip_flops, prices.clock_load_ff(kind)
        while below > 1:
            below = -(-below // MOST)
            each = prices.output_fj(BUFFER, output, MOST * load)
            load = prices.load_ff(BUFFER, "A")
            found += 2 * below * (each + prices.switch_fj(load))
        return found


def _nj(femtojoules: float) -> float:
    return round(float(femtojoules) * _FJ_TO_NJ, 3)
