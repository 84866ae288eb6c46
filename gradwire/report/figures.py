"""The figures of a report, one by one: what the page tells first and last, and what is compared."""

import dataclasses
from collections.abc import Iterator

from gradwire import paper
from gradwire.report.beside import clock
from gradwire.report.model import SRAM, Cost, Report


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure and how to get it again.

    Members
    -------
    section, name : which; together they are unique in a report.
    value, unit : with `digits` behind the point when written.
    command : that reproduces it.
    """

    section: str
    name: str
    value: float
    unit: str
    command: str
    digits: int = 0

    @property
    def text(self) -> str:
        """The value and its unit, for people."""
        return f"{self.value:,.{self.digits}f} {self.unit}".strip()


def figures(report: Report) -> list[Figure]:
    """All of them, in the order of the page."""
    return [
        *_clocks(report),
        *_costs(report),
        *_power(report),
        *_learning(report),
        *_memories(report),
        *_software(report),
    ]


def samples_per_second(report: Report) -> float:
    """At the clock that `clock` gives."""
    return clock(report.costs)[0] * 1e6 / report.clocks.per_sample


def _clocks(report: Report) -> Iterator[Figure]:
    found, told = report.clocks, report.clocks.command
    yield Figure("clocks", "clocks of an iteration", found.per_iteration, "", told)
    if found.per_sample != found.per_iteration:
        yield Figure("clocks", "clocks of a sample", found.per_sample, "", told, 1)
    yield Figure("clocks", "clocks of a forward pass alone", found.inference, "", told)
    yield Figure("clocks", "limit: every element busy always", found.limit, "clocks", told)
    yield Figure("clocks", "useful multiply-adds", found.multiply_adds, "", told)
    yield Figure("clocks", "multipliers busy", 100 * found.busy, "%", told, 1)


def _costs(report: Report) -> Iterator[Figure]:
    for cost in report.costs:
        how = f"{cost.target}, {cost.how}"
        if not cost.resources:
            yield Figure("area", f"area ({how})", cost.total, cost.unit, cost.command)
        if cost.pe_um2:
            logic, pe = f"of it logic ({cost.target})", f"a processing element ({cost.target})"
            yield Figure("area", logic, logic_um2(cost), "um2", cost.command)
            yield Figure("area", pe, cost.pe_um2, "um2", cost.command)
        for each in cost.resources:
            yield Figure("area", f"{each.name} ({how})", each.used, "", cost.command)
        if cost.fmax_mhz:
            name = f"clock frequency ({how})"
            yield Figure("timing", name, cost.fmax_mhz, "MHz", cost.command, 2)
            rate = cost.fmax_mhz * 1e6 / report.clocks.per_sample
            yield Figure("timing", f"samples a second ({cost.target})", rate, "", cost.command)


def _power(report: Report) -> Iterator[Figure]:
    for each in report.power:
        yield Figure("power", f"power ({each.target})", each.power_mw, "mW", each.command, 2)
        if each.guess_mw is not None:
            name = f"power by one activity for all nets ({each.target})"
            yield Figure("power", name, each.guess_mw, "mW", each.command, 2)
        name = f"energy of a sample ({each.target})"
        yield Figure("power", name, each.energy_nj / 1e3, "uJ", each.command, 3)


def _learning(report: Report) -> Iterator[Figure]:
    found = report.learning
    if found:
        last = found.points[-1]
        name = f"test accuracy after {last.samples:,} samples of {found.data}"
        yield Figure("accuracy", name, 100 * last.accuracy, "%", found.command, 2)


def _memories(report: Report) -> Iterator[Figure]:
    found = report.memories
    bits = sum(bank.instances * bank.words * bank.bits for bank in found.banks)
    yield Figure("memory", "bits of all memories", bits, "", found.command)
    for each in found.organisations:
        how = f"({each.name})"
        clocks = each.clocks_per_iteration
        yield Figure("memory", f"clocks of an iteration {how}", clocks, "", found.command)
        reads = each.reads_in_turn
        yield Figure("memory", f"reads one after another {how}", reads, "", found.command)
        for name, value, unit in (
            ("access time of an iteration", each.access_time_ns, "ns"),
            ("read power while reading", each.read_power_mw, "mW"),
            ("area of the weights", each.weights_area_um2, "um2"),
        ):
            if value is not None:
                yield Figure("memory", f"{name} {how}", value, unit, found.command, 2)


def _software(report: Report) -> Iterator[Figure]:
    for each in report.software:
        name = f"samples a second ({each.name})"
        yield Figure("software", name, each.samples_per_second, "", each.command)
        if each.energy_uj is not None:
            name = f"energy of a sample ({each.name})"
            yield Figure("software", name, each.energy_uj, "uJ", each.command)


def logic_um2(cost: Cost) -> float:
    """Area of all standard cells."""
    return cost.total - sum(part.amount for part in cost.parts if part.within == SRAM)


def seconds_for_many(report: Report) -> float:
    """Seconds of 100,000 samples at the clock that `clock` gives."""
    return paper.MNIST["samples"] / samples_per_second(report)
