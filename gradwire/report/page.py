"""The page of a report: HTML with all that it needs inside.

No script and nothing from the network: charts are SVG whose colours are the page's, light or dark.
Whatever comes from the report is escaped.
"""

import dataclasses
from pathlib import Path

import jinja2

from gradwire.report import charts
from gradwire.report.beside import clock
from gradwire.report.figures import (
    Figure,
    figures,
    logic_um2,
    samples_per_second,
    seconds_for_many,
)
from gradwire.report.model import Missing, Report

_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Tile:
    """A main figure on the first screen.

    Members
    -------
    section : that says more.
    value, unit, text : the figure, and what to hold it against.
    known : whether it was measured.
    """

    section: str
    value: str
    unit: str
    text: str
    known: bool = True


# Dynamic power of a circuit in an FPGA over that in standard cells of its generation (90 nm), on
# average: I. Kuon and J. Rose, "Measuring the Gap Between FPGAs and ASICs", IEEE Transactions on
# Computer-Aided Design 26 (2), 2007. With DSP and memory blocks it is less.
_ON_FPGA = 14


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "energy": energy,
        "percent": lambda share: f"{share:.1%}",
    }
    environment.globals |= {"zip": zip, "groups": charts.groups, "logic": logic_um2}
    listed = figures(report)
    mhz, why = clock(report.costs)
    return environment.get_template("page.html").render(
        report=report,
        css=(_HERE / "page.css").read_text(encoding="utf-8"),
        tiles=tiles(report),
        gantt=charts.gantt(report.clocks),
        treemaps=[_treemaps(cost) for cost in report.costs],
        curve=charts.curve(report.learning) if report.learning else None,
        figures=listed,
        commands=_commands(listed),
        mhz=mhz,
        on_fpga=_ON_FPGA,
        why=why,
        rate=samples_per_second(report),
        networks=list(dict.fromkeys(row.network for row in report.paper.rows)),
        missing=_by_section(report),
    )


def _treemaps(cost: charts.Cost) -> list[tuple[str, tuple[charts.Box, ...]]]:
    """For screens and for phones."""
    return [
        ("wide", charts.treemap(cost, charts.WIDE)),
        ("narrow", charts.treemap(cost, charts.NARROW)),
    ]


def tiles(report: Report) -> list[Tile]:
    """The main figures."""
    return [
        _clocks(report),
        _busy(report),
        _speed(report),
        _area(report),
        _energy(report),
        _accuracy(report),
    ]


def _clocks(report: Report) -> Tile:
    clocks = report.clocks
    text = f"{clocks.inference:,} for a forward pass alone"
    if clocks.paper:
        times = clocks.paper / clocks.per_sample
        text = f"{times:.1f} times fewer than the paper's {clocks.paper:,}"
    return Tile("clocks", number(clocks.per_sample), "clocks a sample", text)


def _busy(report: Report) -> Tile:
    limit, pes = report.clocks.limit, report.built.pes
    text = f"the limit of {pes:,} multipliers is {limit:,} clocks"
    return Tile("clocks", f"{100 * report.clocks.busy:.1f} %", "multipliers busy", text)


def _speed(report: Report) -> Tile:
    _, why = clock(report.costs)
    text = f"at {why}; 100,000 in {seconds_for_many(report):.3g} s"
    return Tile("timing", f"{samples_per_second(report):,.0f}", "samples a second", text)


def _area(report: Report) -> Tile:
    if not report.costs:
        return _unknown("area", "area", report)
    cost = report.costs[-1]
    text = f"{cost.target}, {cost.how}"
    if over := [r for r in cost.resources if r.available is not None and r.used > r.available]:
        each = over[0]
        text = f"more than one {cost.target}: {each.used:,} {each.name} of {each.available:,}"
    if cost.unit == "um2":
        return Tile("area", f"{cost.total / 1e6:.3f}", "mm2", text)
    return Tile("area", f"{cost.total:,.0f}", cost.unit, text)


def _energy(report: Report) -> Tile:
    if not report.power:
        return _unknown("power", "energy of a sample", report)
    found = report.power[0]
    text = f"{found.target}: {number(found.power_mw)} mW at {found.frequency_mhz:g} MHz"
    value, unit = energy(found.energy_nj).split()
    return Tile("power", value, f"{unit} a sample", text)


def _accuracy(report: Report) -> Tile:
    if not report.learning:
        return _unknown("accuracy", "accuracy", report)
    last = report.learning.points[-1]
    text = f"of {report.learning.tests:,} tests, after {last.samples:,} samples"
    return Tile("accuracy", f"{last.accuracy:.2%}".replace("%", " %"), "right", text)


def _unknown(section: str, what: str, report: Report) -> Tile:
    needs = next((each.needs for each in report.missing if each.section == section), "")
    return Tile(section, "not measured", what, f"needs {needs}", known=False)


def _by_section(report: Report) -> dict[str, list[Missing]]:
    found: dict[str, list[Missing]] = {}
    for each in report.missing:
        found.setdefault(each.section, []).append(each)
    return found


def _commands(listed: list[Figure]) -> list[tuple[str, list[Figure]]]:
    """Figures by the command that reproduces them."""
    found: dict[str, list[Figure]] = {}
    for figure in listed:
        found.setdefault(figure.command, []).append(figure)
    return list(found.items())


def energy(nanojoules: float) -> str:
    """With its unit, such as 12.3 uJ."""
    if nanojoules >= 1e3:
        return f"{number(nanojoules / 1e3)} uJ"
    return f"{number(nanojoules)} nJ"


def number(value: float) -> str:
    """With as many digits as tell something, and commas: 16,075, 18.42, 0.01234."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.1f}"
