"""Placements on an FPGA: how they are asked for, and what is told of them."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from fpga_flows import fpga
from fpga_flows.critical_path import Step
from gradwire.console import Interrupted
from hw.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Which placements are made.

    Members
    -------
    seed : of the first.
    seeds : how many there are, at each frequency.
    speed : speed grade of the FPGA; the slowest by default.
    frequencies_mhz : clock frequencies to aim at, MHz.
    time_limit : longest run of a tool, in seconds.

    Raises InputError for a number of seeds, a frequency or a time that is not above 0.
    """

    seed: int = 1
    seeds: int = 1
    speed: str | None = None
    frequencies_mhz: tuple[float, ...] = (100.0,)
    time_limit: float = fpga.TIME_LIMIT

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"seeds must be at least 1, not {self.seeds}")
        for frequency in self.frequencies_mhz:
            if not 0 < frequency < float("inf"):
                raise InputError(f"frequency must be above 0 MHz, not {frequency:g}")
        if not 0 < self.time_limit < float("inf"):
            minutes = self.time_limit / 60
            raise InputError(f"time limit must be above 0 minutes, not {minutes:g}")

    @property
    def numbers(self) -> range:
        """All seeds."""
        return range(self.seed, self.seed + self.seeds)

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Say what becomes of the placements when Ctrl-C ends the block."""
        try:
            yield
        except KeyboardInterrupt:
            if self.seeds * len(self.frequencies_mhz) == 1:
                raise
            said = "interrupted: placements that were finished are kept for the next call"
            raise Interrupted(said) from None


def parse_frequencies(text: str) -> tuple[float, ...]:
    """Numbers joined by commas, MHz. Raises InputError."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"frequency must be numbers joined by commas, not {text!r}") from None


def told(result: fpga.Result) -> dict[str, Any]:
    """What is told of a result beside its cells, for JSON."""
    return {
        "speed": result.speed,
        "fmax_of_placements_mhz": {
            "best": result.best.fmax_mhz,
            "median": result.median.fmax_mhz,
            "worst": result.worst.fmax_mhz,
            "best_seed": result.best.seed,
        },
        "placements": [
            {
                "seed": placed.seed,
                "aim_mhz": placed.aim_mhz,
                "fmax_mhz": placed.fmax_mhz,
                "log": str(placed.log),
            }
            for placed in result.placements
        ],
        "available": dict(result.available),
        "components": [asdict(part) for part in result.components],
        "critical_path": [asdict(step) for step in result.median.path],
    }


def fmax(found: dict[str, Any]) -> str:
    """The clock frequency, and those of all placements."""
    of, placed = found["fmax_of_placements_mhz"], found["placements"]
    if len(placed) == 1:
        return f"{found['fmax_mhz']:g} MHz"
    return (
        f"{of['median']:g} MHz (median of {len(placed)}; best {of['best']:g} with seed "
        f"{of['best_seed']}, worst {of['worst']:g})"
    )


def tables(found: dict[str, Any]) -> list[object]:
    """Where the cells are, and the longest path, for people."""
    names = ("luts", "ffs", "dsps", "brams")
    parts = Table(title="Cells by component", title_justify="left")
    parts.add_column("component", overflow="fold")
    for name in ("of them", "LUTs", "flip-flops", "DSPs", "BRAMs"):
        parts.add_column(name, justify="right")
    for part in found["components"]:
        parts.add_row(
            part["name"], f"{part['instances']:,}", *(f"{part[name]:,}" for name in names)
        )
    total = [f"{found[name]:,}" for name in names]
    there = [f"{found['available'][name]:,}" for name in names]
    parts.add_section()
    parts.add_row("all", "", *total)
    parts.add_row("there are", "", *there)
    path = [Step(**step) for step in found["critical_path"]]
    whole = sum(step.logic_ns + step.routing_ns for step in path)
    longest = Table(title=f"Longest path, {whole:.2f} ns", title_justify="left")
    longest.add_column("through", overflow="fold")
    longest.add_column("cells, ns", justify="right")
    longest.add_column("wires, ns", justify="right")
    for step in path:
        longest.add_row(step.component, f"{step.logic_ns:.2f}", f"{step.routing_ns:.2f}")
    return [parts, longest]
