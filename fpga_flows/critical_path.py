"""The longest path of a placed and routed core, in the design's terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fpga_flows.utilization import owner


@dataclass(frozen=True)
class Step:
    """A stretch of the path, within one component.

    Members
    -------
    component : such as "PE 2 adder, stage 1".
    logic_ns : delay of its cells, ns.
    routing_ns : delay of the wires within it, and to it from the stretch before, ns.
    """

    component: str
    logic_ns: float
    routing_ns: float


def critical_path(report: Mapping[str, Any], clock: str) -> tuple[Step, ...]:
    """The path that limits `clock`, from nextpnr's report; empty if there is none."""
    edge = f"posedge {clock}"
    for path in report["critical_paths"]:
        if path["from"] == path["to"] == edge:
            return tuple(_steps(path["path"]))
    return ()


def _steps(delays: Iterable[Mapping[str, Any]]) -> Iterable[Step]:
    name, logic, routing = None, 0.0, 0.0
    for delay in delays:
        of = owner(delay["to"]["cell"])
        here = str(of) if of else "harness"
        if here != name:
            if name is not None:
                yield Step(name, round(logic, 2), round(routing, 2))
            name, logic, routing = here, 0.0, 0.0
        if delay["type"] == "routing":
            routing += delay["delay"]
        else:
            logic += delay["delay"]
    if name is not None:
        yield Step(name, round(logic, 2), round(routing, 2))
