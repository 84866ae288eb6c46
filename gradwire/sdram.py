"""Whether SDRAM keeps up with the array: what `gradwire clocks --sdram` says."""

import dataclasses
from typing import Any

from gradwire.console import Reporter
from hw.design import MOST_PROCESSING_ELEMENTS, SAMPLE_FORMATS, Design
from hw.schedule import Schedule, make_schedule
from hw.sdram.chips import SdramTiming
from sim.cycles import CycleModel
from sim.supply import Epochs, SupplyModel

# A run is looked at for so many buffers' samples.
_BUFFERS = 4

# The search for the number of PEs goes up in steps of this.
_STEP = 1.25


def supply(schedule: Schedule, timing: SdramTiming, reporter: Reporter) -> dict[str, Any]:
    """What comes from SDRAM, what the array takes, and from how many PEs on it waits.

    Clocks are those of the cycle models. For other numbers of PEs the mapping stays.
    """
    design, model = schedule.design, CycleModel(schedule)
    samples = _BUFFERS * design.buffer_vectors
    with reporter.working("running the cycle model"):
        starts = model.supplied_starts(
            samples, design.batch, supply=SupplyModel(design, timing), epochs=Epochs(samples)
        )
    formats = []
    for name in SAMPLE_FORMATS:
        with reporter.working(f"looking for the processing elements that {name} keep up with"):
            formats.append(keeps_up(dataclasses.replace(design, sample_format=name), timing))
    return {
        "chip": timing.chip.name,
        "frequency_mhz": timing.frequency_mhz,
        "samples": samples,
        "stalls": model.stalls(starts, design.batch),
        "formats": formats,
    }


def keeps_up(design: Design, timing: SdramTiming) -> dict[str, Any]:
    """Bytes of a sample, the clocks it takes to come, and from how many PEs on the array waits."""
    clocks = SupplyModel(design, timing).clocks_per_record()
    return {
        "format": design.sample_format,
        "bytes": 4 * design.record_words,
        "clocks": round(clocks, 1),
        "waits_from_pes": _waits_from(design, clocks),
    }


def _waits_from(design: Design, clocks: float) -> int | None:
    """The least number of PEs that take a sample in fewer clocks; None if there is none."""

    def waits(pes: int) -> bool:
        made = dataclasses.replace(design, processing_elements=pes)
        return make_schedule(made).clocks_per_sample < clocks

    # No array is faster than its multiply-adds allow.
    least = max(1, int(design.useful_multiply_adds / clocks))
    if least >= MOST_PROCESSING_ELEMENTS or not waits(MOST_PROCESSING_ELEMENTS):
        return None
    most = least
    while not waits(most):
        least, most = most, min(MOST_PROCESSING_ELEMENTS, int(most * _STEP) + 1)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if waits(middle) else (middle, most)
    return most
