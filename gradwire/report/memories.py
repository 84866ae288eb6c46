"""The memories of a machine: what there is, distributed beside unified, samples from SDRAM."""

import dataclasses
from collections.abc import Callable
from typing import Any

from gradwire import memory, paper
from gradwire.report.model import Bank, Memories, Organisation, Stream
from hw.design import SAMPLE_FORMATS
from hw.memories import memories
from hw.schedule import Schedule
from hw.sdram.chips import SdramTiming, find_chip
from sim.supply import SupplyModel

_CHIP = "MT48LC16M16A2-75"
_MHZ = 50.0


def collect(
    schedule: Schedule, prices: dict[str, Any] | None, command: Callable[..., str]
) -> Memories:
    """All about memory; `prices` are what `memory.price` found, if they are known."""
    design = schedule.design
    machines = memory.organisations(schedule)
    theirs = paper.MEMORY.get(design.topology, {})
    return Memories(
        organisation=design.memory,
        banks=tuple(_banks(schedule, prices)),
        organisations=tuple(
            _organisation(name, made, prices, theirs) for name, made in machines.items()
        ),
        streams=tuple(_stream(schedule, name) for name in SAMPLE_FORMATS),
        priced_by=f"OpenRAM {prices['openram']}, FreePDK45, analytical" if prices else "",
        command=command("memory" if prices else "report"),
        stream_command=command("clocks", "--sdram", _CHIP, "--frequency", f"{_MHZ:g}"),
    )


def _banks(schedule: Schedule, prices: dict[str, Any] | None) -> list[Bank]:
    entries = prices[schedule.design.memory]["memories"] if prices else []
    known = {entry["name"]: entry for entry in entries}
    found = []
    for each in memories(schedule):
        entry = known.get(each.name, {})
        found.append(
            Bank(
                name=each.name,
                instances=each.instances,
                words=each.words,
                bits=each.bits,
                fixed=not each.writes,
                **{name: entry.get(name) for name in ("area_um2", "access_ns", "access_energy_pj")},
            )
        )
    return found


def _organisation(
    name: str, machine: Schedule, prices: dict[str, Any] | None, theirs: dict[str, Any]
) -> Organisation:
    price = prices[name] if prices else {}
    published = theirs.get(name, {})
    return Organisation(
        name=name,
        clocks_per_iteration=machine.clocks_per_iteration,
        reads_in_turn=memory.traffic(machine).in_turn,
        access_time_ns=price.get("memory_access_time_ns"),
        read_power_mw=price.get("read_power_mw"),
        weights_area_um2=price.get("weights_area_um2"),
        paper_access_time_ns=published.get("access_time_ns"),
        paper_read_power_mw=published.get("read_power_mw"),
    )


def _stream(schedule: Schedule, sample_format: str) -> Stream:
    design = dataclasses.replace(schedule.design, sample_format=sample_format)
    timing = SdramTiming(find_chip(_CHIP), _MHZ)
    clocks = SupplyModel(design, timing).clocks_per_record()
    return Stream(
        sample_format=sample_format,
        chip=_CHIP,
        frequency_mhz=_MHZ,
        bytes=4 * design.record_words,
        clocks=round(clocks, 1),
        vectors=design.buffer_vectors,
        parts=design.buffer_parts,
        waits=clocks > schedule.clocks_per_sample,
    )
