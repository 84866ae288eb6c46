"""Costs as a report has them, from what the flows have found."""

from collections.abc import Iterable, Mapping
from typing import Any

from fpga_flows import ecp5, ecp5_estimate
from gradwire.report.model import Cost, Part, Resource

_RESOURCES = {
    "luts": "LUTs",
    "ffs": "flip-flops",
    "dsps": "multipliers",
    "brams": "block RAM",
}


def estimated(parts: Iterable[ecp5_estimate.Part], target: str, command: str) -> Cost:
    """What `ecp5_estimate` found, beside what `target` has."""
    parts = list(parts)
    device = ecp5.FAMILY.devices[target].resources
    used = {kind: sum(getattr(part, kind) for part in parts) for kind in device}
    return Cost(
        target=target,
        how="synthesized module by module, neither placed nor routed",
        unit="LUT4",
        total=used["luts"],
        parts=tuple(
            Part(name=p.name, within=p.within, instances=p.instances, amount=p.luts) for p in parts
        ),
        resources=_resources(used, device),
        fits=all(used[kind] <= device[kind] for kind in device),
        command=command,
    )


def placed(told: Mapping[str, Any], command: str) -> Cost:
    """What `gradwire synth --json` told of a machine on an FPGA."""
    placements = len(told["placements"])
    grade = f", speed grade {told['speed']}" if told["speed"] else ""
    median = f", median of {placements} placements" if placements > 1 else ""
    return Cost(
        target=told["target"],
        how="placed and routed",
        unit="LUT4",
        total=told["luts"],
        parts=tuple(map(_component, told["components"])),
        resources=_resources(told, told["available"]),
        fits=True,
        fmax_mhz=told["fmax_mhz"],
        timing_by=f"nextpnr, worst case{grade}{median}",
        critical_path=tuple(step["component"] for step in told["critical_path"]),
        command=command,
    )


def _component(told: Mapping[str, Any]) -> Part:
    """Names such as "PE: adder" say what a component is in."""
    within, _, name = told["name"].rpartition(": ")
    return Part(name=name, within=within, instances=told["instances"], amount=told["luts"])


def _resources(used: Mapping[str, int], device: Mapping[str, int]) -> tuple[Resource, ...]:
    return tuple(
        Resource(name=name, used=used[kind], available=device[kind])
        for kind, name in _RESOURCES.items()
    )
