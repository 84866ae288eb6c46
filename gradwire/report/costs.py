"""Costs as a report has them, from what the flows have found."""

from collections.abc import Iterable, Mapping
from typing import Any

from fpga_flows import ecp5_estimate
from gradwire.report.model import Cost, Part, Resource

_RESOURCES = {
    "luts": "LUT4",
    "ffs": "flip-flops",
    "dsps": "18x18 multipliers",
    "brams": "block RAM",
}


def estimated(parts: Iterable[ecp5_estimate.Part], target: str, command: str) -> Cost:
    """What `ecp5_estimate` found, beside what `target` has."""
    parts = list(parts)
    device = ecp5_estimate.DEVICES[target]
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


def placed(told: Mapping[str, Any], target: str, command: str) -> Cost:
    """What `gradwire synth --json` told of a machine on an FPGA."""
    return Cost(
        target=target,
        how="synthesized flattened, placed and routed",
        unit="LUT4",
        total=told["luts"],
        parts=(),
        resources=_resources(told, ecp5_estimate.DEVICES[target]),
        fits=True,
        fmax_mhz=told["fmax_mhz"],
        timing_by="nextpnr, slowest speed grade, worst case",
        command=command,
    )


def _resources(used: Mapping[str, int], device: Mapping[str, int]) -> tuple[Resource, ...]:
    return tuple(
        Resource(name=name, used=used[kind], available=device[kind])
        for kind, name in _RESOURCES.items()
    )
