"""The arithmetic components alone, on each target: what this project's marks are stated for."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpga_flows import ecp5, nangate45
from hw.errors import InputError
from hw.fp.adder import Adder
from hw.fp.format import BINARY32, FloatFormat
from hw.fp.multiplier import Multiplier
from hw.fp.pipeline import Operator
from hw.verilog import to_verilog

COMPONENTS: Mapping[str, type[Operator]] = {"multiplier": Multiplier, "adder": Adder}
TARGETS = (nangate45.TARGET, *ecp5.TARGETS)

# The fewest that reach the marks in baseline.json with something to spare: on ECP5, 4 stages of the
# adder give 522 LUTs and 127 MHz, 5 give 571 and 143. In standard cells, the registers are retimed
# into the logic, so that fewer of them reach the same clock.
_STAGES = {
    "nangate45": {"multiplier": 2, "adder": 2},
    "ecp5": {"multiplier": 3, "adder": 5},
}


@dataclass(frozen=True, kw_only=True)
class Component:
    """An arithmetic component by its name and parameters.

    Attributes:
        name: Key of `COMPONENTS`.
        format: Format of operands and result.
        subnormals: "flush" or "ieee".
        stages: Number of register ranks.
        dsps: Multiplier blocks of the FPGA that a multiplier uses; the fewer, the more LUTs.

    Raises:
        InputError: A value is none of those that there are; the message names them.
    """

    name: str
    format: FloatFormat = BINARY32
    subnormals: str = "flush"
    stages: int
    dsps: int = 4

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.name != "multiplier" and self.dsps != 4:
            raise InputError(
                f"dsps must be left alone for {self.name}: it has none, not {self.dsps}"
            )
        try:
            self._make()
        except ValueError as error:
            raise InputError(str(error)) from None

    @property
    def top(self) -> str:
        """Name of the Verilog module."""
        return self._make().module_name

    @property
    def verilog(self) -> str:
        """The Verilog; raises ToolError when Amaranth's back end fails."""
        return to_verilog(self._make())

    def _make(self) -> Operator:
        more = {"dsps": self.dsps} if self.name == "multiplier" else {}
        kind = COMPONENTS[self.name]
        return kind(self.format, subnormals=self.subnormals, stages=self.stages, **more)


def check_name(name: str) -> None:
    """Raise InputError if `name` is none of `COMPONENTS`."""
    if name not in COMPONENTS:
        raise InputError(f"component must be one of {', '.join(COMPONENTS)}, not {name!r}")


def check_target(target: str) -> None:
    """Raise InputError if `target` is none of `TARGETS`."""
    if target not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")


def best_stages(name: str, target: str) -> int:
    """Number of stages with which component `name` does best on `target`.

    Raises InputError if either is unknown.
    """
    check_name(name)
    check_target(target)
    return _STAGES[target if target in _STAGES else "ecp5"][name]


def on_nangate45(
    component: Component,
    *,
    liberty: Path,
    work: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> nangate45.Result:
    """Cost of the component in standard cells; see `nangate45.synthesize`."""
    return nangate45.synthesize(
        component.verilog, component.top, liberty=liberty, work=work, progress=progress
    )


def on_ecp5(
    component: Component,
    *,
    work: Path,
    target: str = "ecp5-85k",
    frequency_mhz: float = 150.0,
    seed: int = 1,
    seeds: int = 3,
    progress: Callable[[str], None] = lambda stage: None,
) -> ecp5.Result:
    """Cost of the component on an ECP5: of several placements, that of the median frequency.

    Args:
        component: What to build.
        work: Folder for netlists and logs, with one below it for each seed.
        target: Key of `ecp5.TARGETS`.
        frequency_mhz: Clock frequency to aim at in MHz.
        seed: Of the first placement.
        seeds: Number of placements; of an even number, the lower of the middle two counts.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: The target is unknown, or there is no placement.
        ToolError: Yosys or nextpnr is missing or fails.
    """
    if seeds < 1:
        raise InputError(f"seeds must be at least 1, not {seeds}")
    verilog, top = component.verilog, component.top
    results = [
        ecp5.synthesize(
            verilog,
            top,
            work=work / f"seed{number}",
            target=target,
            frequency_mhz=frequency_mhz,
            seed=number,
            progress=progress,
        )
        for number in range(seed, seed + seeds)
    ]
    median = statistics.median_low(result.fmax_mhz for result in results)
    return next(result for result in results if result.fmax_mhz == median)
