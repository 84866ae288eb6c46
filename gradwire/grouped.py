"""Machines of several groups of layers: what is said of them, for people and as JSON."""

import json
from dataclasses import asdict
from typing import Any

from hw.design import Design
from hw.errors import InputError
from hw.groups import GroupedDesign
from hw.pipeline import GroupedSchedule
from hw.pipelining import dapp_slots
from hw.schedule import Schedule
from sim.grouped_cycles import GroupedCycleModel

#: A machine of one array, or of groups.
AnyDesign = Design | GroupedDesign
AnySchedule = Schedule | GroupedSchedule

#: Samples of the run whose clocks and slots are told.
SAMPLES = 1000
_MOST_SAMPLES = 1_000_000


def groups_text(design: GroupedDesign) -> str:
    """As `--groups` takes it: 784-100/100-100-10:80,20."""
    layers = "/".join(each.topology for each in design.designs)
    return f"{layers}:{','.join(str(each.processing_elements) for each in design.designs)}"


def parameters(design: AnyDesign) -> dict[str, Any]:
    """What a machine is made of, as JSON has it; `groups` is "one" for one array."""
    if isinstance(design, Design):
        return json.loads(json.dumps(asdict(design))) | {"groups": "one"}
    names = design.activations
    whole = {
        "layers": design.layers,
        "processing_elements": design.processing_elements,
        "mapping": design.mapping,
        # As it is written for one array.
        "activation": ",".join(names if len(set(names)) > 1 else names[:1]),
        "groups": groups_text(design),
        "schedule": design.schedule,
    }
    found = asdict(design.designs[0]) | whole
    del found["stage"]
    return json.loads(json.dumps(found))


def clocks(schedule: GroupedSchedule, samples: int = SAMPLES) -> dict[str, Any]:
    """What `gradwire clocks --json` prints, with the clocks and slots of a run of `samples`.

    Raises InputError for a run of none, or of too many to be followed.
    """
    if not 1 <= samples <= _MOST_SAMPLES:
        raise InputError(f"samples must be 1 to {_MOST_SAMPLES}, not {samples}")
    design, model = schedule.design, GroupedCycleModel(schedule)
    each = model.clocks_per_sample(design.batch)
    capacity = design.processing_elements * each
    return {
        "topology": design.topology,
        "pes": design.processing_elements,
        "batch": design.batch,
        "schedule": design.schedule,
        "clocks_per_sample": round(each, 6),
        "inference_clocks": GroupedCycleModel(schedule, infer=True).clocks_per_sample(),
        "useful_multiply_adds": design.useful_multiply_adds,
        "limit_clocks": design.limit_clocks,
        "multiply_add_busy": round(design.useful_multiply_adds / capacity, 6),
        "groups": [_group(group, each) for group in schedule.groups],
        "run": _run(design, model, samples),
    }


def _group(schedule: Schedule, clocks_per_sample: float) -> dict[str, Any]:
    """One group, in a machine that takes so many clocks for a sample."""
    design = schedule.design
    capacity = design.processing_elements * clocks_per_sample
    return {
        "layers": design.topology,
        "pes": design.processing_elements,
        "lanes": design.lanes,
        "mapping": list(design.mapping),
        "clocks_per_iteration": schedule.clocks_per_iteration,
        "clocks_per_sample": round(schedule.clocks_per_sample, 6),
        "multiply_add_busy": round(design.useful_multiply_adds / capacity, 6),
    }


def _run(design: GroupedDesign, model: GroupedCycleModel, samples: int) -> dict[str, Any]:
    """Clocks and slots of a run from empty groups to empty groups."""
    pipelining = design.pipelining(design.batch)
    length = pipelining.length
    known = design.schedule != "fill-drain"
    return {
        "samples": samples,
        "clocks": model.run_clocks(model.starts(samples, design.batch), design.batch),
        "slots": pipelining.slots(samples),
        "modules": length,
        "dapp_slots": dapp_slots(design.schedule, samples, length) if known else None,
        "sequential_slots": dapp_slots("sequential", samples, length),
    }
