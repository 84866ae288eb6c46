"""The arithmetic components alone, on each target: what this project's marks are stated for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpga_flows import fpga, nangate45
from hw.errors import InputError
from hw.fp.adder import Adder
from hw.fp.format import BINARY32, FloatFormat
from hw.fp.multiplier import Multiplier
from hw.fp.pipeline import Operator
from hw.verilog import to_verilog

COMPONENTS: Mapping[str, type[Operator]] = {"multiplier": Multiplier, "adder": Adder}
TARGETS = (nangate45.TARGET, *fpga.TARGETS)

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
    time_limit: float = nangate45.TIME_LIMIT,
    progress: Callable[[str], None] = lambda stage: None,
) -> nangate45.Result:
    """Cost of the component in standard cells; see `nangate45.synthesize`."""
    return nangate45.synthesize(
        component.verilog,
        component.top,
        liberty=liberty,
        work=work,
        time_limit=time_limit,
        progress=progress,
    )


def on_fpga(
    component: Component,
    *,
    work: Path,
    target: str = "ecp5-85k",
    speed: str | None = None,
    frequencies_mhz: Sequence[float] = (150.0,),
    seeds: Sequence[int] = (1, 2, 3),
    time_limit: float = fpga.TIME_LIMIT,
    stages: fpga.Stages = lambda what: lambda stage: None,
) -> fpga.Result:
    """Cost of the component on an FPGA; see `fpga.synthesize`."""
    return fpga.synthesize(
        component.verilog,
        component.top,
        work=work,
        target=target,
        speed=speed,
        frequencies_mhz=frequencies_mhz,
        seeds=seeds,
        time_limit=time_limit,
        stages=stages,
    )
