"""Measures what a report says, section by section.

A tool that is not there is a figure that is not there; a tool that fails costs its section and no
other.
"""

import dataclasses
import datetime
import os
import platform
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fpga_flows import asic, ecp5, ecp5_estimate, fpga
from fpga_flows.sram import OpenRAM
from gradwire import __version__, machine, memory
from gradwire.console import Reporter
from gradwire.placing import Placing
from gradwire.report import beside, cells, costs, memories
from gradwire.report.clocks import clocks
from gradwire.report.learning import learn
from gradwire.report.model import (
    FORMAT,
    Built,
    BuiltLayer,
    Cost,
    Learning,
    Made,
    Missing,
    Power,
    Report,
    Software,
)
from gradwire.report.options import command
from gradwire.report.software import software
from gradwire.training import Task
from hw import tool
from hw.core import Core
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.schedule import Schedule
from hw.verilog import to_verilog

# What the FPGA is estimated for where no target is asked for.
_ESTIMATED = "ecp5-85k"

#: What a report can be about.
TARGETS = (*fpga.TARGETS, asic.TARGET)

_STANDARD_CELLS = f"--target {asic.TARGET} --liberty FILE"

_CPUINFO = Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What the report shall say beyond what is quick.

    Parameters
    ----------
    command : with which it is made.
    options : of the design, as on a command line.
    targets : to synthesize for.
    seed : of the placement.
    task : to train on, with the words that ask for it on a command line; None for none.
    liberty : library of standard cells; None unless they are a target.
    tdp : the processor's thermal design power in W, if it is known.
    """

    command: str
    options: str
    targets: tuple[str, ...] = ()
    seed: int = 1
    task: tuple[Task, str] | None = None
    liberty: Path | None = None
    tdp: float | None = None


def check_target(target: str) -> None:
    """Raise InputError if a report cannot be about `target`."""
    if target not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")


class Collector:
    """Makes a report; `failures` are the tools that failed, a line each.

    Parameters
    ----------
    schedule : of the machine.
    asked : what the report shall say.
    reporter : of progress.
    """

    def __init__(self, schedule: Schedule, asked: Asked, reporter: Reporter) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.asked = asked
        self.reporter = reporter
        self.failures: list[str] = []
        self._missing: list[Missing] = []
        self._verilog: str | None = None
        self._machine: asic.Machine | None = None

    def collect(self) -> Report:
        """The report. Raises InputError if data do not fit the network."""
        learned = self._learning()
        costs = self._costs()
        power = tuple(self._power())
        beside_it = self._software()
        prices = self._prices()
        with self.reporter.working("looking at the memories"):
            held = memories.collect(self.schedule, prices, self._command)
        with self.reporter.working("running the cycle model"):
            told = clocks(self.schedule, self._command("clocks"))
        return Report(
            **FORMAT,
            made=_made(self.asked.command),
            built=built(self.design, self.asked.options),
            clocks=told,
            costs=tuple(costs),
            power=power,
            learning=learned,
            memories=held,
            paper=beside.collect(self.schedule, costs, power, learned, self._command),
            software=tuple(beside_it),
            missing=tuple(self._missing),
        )

    def _command(self, verb: str, *more: str) -> str:
        return command(verb, self.design, self.asked.options, *more)

    def _lacks(self, section: str, what: str, needs: str) -> None:
        self._missing.append(Missing(section=section, what=what, needs=needs))

    @contextmanager
    def _section(self, section: str, what: str) -> Iterator[None]:
        """A tool that fails in the block costs the section, and is told at the end."""
        try:
            yield
        except ToolError as error:
            self.failures.append(f"{what}: {error}")
            self._lacks(section, what, f"a tool that does not fail: {error}")

    def _learning(self) -> Learning | None:
        if self.asked.task is None:
            needs = f"samples to train on: --data {_usual_data(self.design)}"
            self._lacks("accuracy", "accuracy over samples", needs)
            return None
        task, words = self.asked.task
        told = self._command("train", words)
        return learn(self.design, task, told, self.reporter)

    def _costs(self) -> list[Cost]:
        found: list[Cost] = []
        verilog = None
        with self._section("area", "area on an FPGA"):
            with self.reporter.working("generating the Verilog"):
                verilog = to_verilog(Core(self.schedule))
            found.append(self._estimate(verilog))
        self._verilog = verilog
        if asic.TARGET not in self.asked.targets:
            self._lacks("area", "area in 45 nm", _STANDARD_CELLS)
        elif verilog:
            with self._section("area", "45 nm standard cells"):
                self._machine = cells.synthesize(
                    self.schedule, verilog, self.asked.liberty, self.reporter
                )
                told = self._command("synth", *self._library())
                found.append(cells.cost(self._machine, told))
        for target in self._fpgas if verilog else ():
            with self._section("timing", f"place and route for {target}"):
                found.append(self._placed(target))
        if not self.asked.targets:
            self._lacks("timing", "clock frequency", f"place and route: --target {_ESTIMATED}")
        return found

    @property
    def _fpgas(self) -> list[str]:
        return [target for target in self.asked.targets if target != asic.TARGET]

    def _library(self) -> list[str]:
        """The words that ask for standard cells."""
        return ["--target", asic.TARGET, "--liberty", shlex.quote(str(self.asked.liberty))]

    def _power(self) -> Iterator[Power]:
        what = "power and energy"
        if self._machine is None:
            self._lacks("power", what, _STANDARD_CELLS)
        elif self.design.unified or self.design.batch > 1:
            self._lacks("power", what, "a machine with distributed memory, in batches of 1")
        elif self.asked.task is None:
            self._lacks("power", what, f"samples to train on: --data {_usual_data(self.design)}")
        else:
            task, _ = self.asked.task
            with self._section("power", what):
                found = cells.measure(
                    self._machine,
                    self.schedule,
                    self._verilog,
                    task.data,
                    self.asked.liberty,
                    self.reporter,
                )
                words = [*self._library(), "--energy", shlex.quote(task.data)]
                yield cells.energy(found, self._command("synth", *words))

    def _estimate(self, verilog: str) -> Cost:
        wanted = [target for target in self._fpgas if target in ecp5.TARGETS]
        target = next(iter(wanted), _ESTIMATED)
        stages = self.reporter.stages("estimate")
        parts = ecp5_estimate.estimate(verilog, self.design.name, progress=stages)
        stages.done()
        return costs.estimated(parts, target, self._command("report"))

    def _placed(self, target: str) -> Cost:
        seed = self.asked.seed
        work = tool.cache_dir() / "placed" / f"{self.design.name}-{target}"
        asked = Placing(seed=seed)
        told = machine.synthesize(self.schedule, target, asked, work, self.reporter)
        words = self._command("synth", "--target", target, "--seed", str(seed))
        return costs.placed(told, words)

    def _prices(self) -> dict[str, Any] | None:
        """Of the memories as SRAM, where OpenRAM is installed."""
        what = "SRAM at 45 nm: area, time and energy of each memory"
        try:
            OpenRAM()
        except ToolError:
            needs = "OpenRAM, package openram: $GRADWIRE_OPENRAM names a Python that has it"
            self._lacks("memory", what, needs)
            return None
        with self._section("memory", what):
            return memory.price(self.schedule, self.reporter)
        return None

    def _software(self) -> list[Software]:
        found: list[Software] = []
        with (
            self._section("software", "software on this machine"),
            self.reporter.working("training with other software"),
        ):
            found = software(self.design, self.asked.tdp, tool.cache_dir() / "software.log")
        if found and not any(each.name.startswith("PyTorch") for each in found):
            self._lacks("software", "PyTorch", "its package, torch")
        if found and all(each.energy_uj is None for each in found):
            needs = "RAPL (/sys/class/powercap, readable), or the processor's watts: --tdp W"
            self._lacks("software", "energy of software", needs)
        return found


def built(design: Design, options: str) -> Built:
    """What the design says."""
    layers = zip(design.weight_layers, design.activations, strict=True)
    return Built(
        name=design.name,
        topology=design.topology,
        pes=design.processing_elements,
        design=_plain(design),
        layers=tuple(
            BuiltLayer(
                number=layer.number,
                inputs=layer.inputs,
                outputs=layer.outputs,
                activation=activation,
                mapping=layer.mapping,
                folds=layer.folds,
            )
            for layer, activation in layers
        ),
        options=options,
    )


def _plain(design: Design) -> dict[str, Any]:
    found = dataclasses.asdict(design)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}


def _usual_data(design: Design) -> str:
    return "red" if (design.layers[0], design.layers[-1]) == (3, 1) else "idx:FOLDER"


def _made(command: str) -> Made:
    now = datetime.datetime.now(datetime.UTC)
    return Made(
        command=command,
        date=f"{now:%Y-%m-%d %H:%M}",
        gradwire=__version__,
        python=platform.python_version(),
        processor=_processor(),
        cores=os.cpu_count() or 0,
    )


def _processor() -> str:
    """The processor's name, as far as the system says it."""
    try:
        for line in _CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
