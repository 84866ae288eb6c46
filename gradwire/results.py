"""The JSON objects of the commands that train."""

import math
from pathlib import Path
from typing import Any

from gradwire.board import Outcome
from gradwire.grouped import AnyDesign, groups_text
from gradwire.training import Simulated, Task, Trained, rate_shares
from hw.design import Design
from hw.groups import GroupedDesign


def trained(design: AnyDesign, task: Task, found: Trained, weights: Path | None) -> dict[str, Any]:
    """What `gradwire train --json` prints; losses that are no number are null."""
    return _asked(design, task) | {
        "samples": found.samples,
        "interrupted": found.interrupted,
        "accuracy": found.accuracy,
        "loss": [
            {"samples": samples, "cross_entropy": loss if math.isfinite(loss) else None}
            for samples, loss in found.loss
        ],
        "weights": str(weights) if weights else None,
    }


def simulated(
    design: AnyDesign,
    task: Task,
    found: Simulated,
    weights: Path | None = None,
    waves: Path | None = None,
) -> dict[str, Any]:
    """What `gradwire simulate --json` prints."""
    simulation = found.simulation
    return _asked(design, task) | {
        "samples": found.samples,
        "interrupted": found.interrupted,
        "bit_exact": simulation.mismatches == 0,
        "mismatches": simulation.mismatches,
        "first_mismatch": str(simulation.first) if simulation.first else None,
        "clocks_per_iteration_measured": simulation.clocks_per_iteration,
        "clocks_per_iteration_predicted": simulation.predicted_clocks_per_iteration,
        "accuracy": found.accuracy,
        "simulated_clocks_per_second": round(simulation.clocks_per_second),
        "weights": str(weights) if weights else None,
        "waves": str(waves) if waves else None,
    }


def on_board(
    design: Design, task: Task, found: Outcome, port: str, weights: Path | None
) -> dict[str, Any]:
    """What `gradwire board train --json` prints."""
    status = found.status
    return _asked(design, task) | {
        "port": port,
        "records": found.records,
        "bit_exact": found.exact,
        "clocks": status.clocks if status else None,
        "stalls": status.stalls if status else None,
        "accuracy": found.accuracy,
        "weights": str(weights) if weights else None,
    }


def _asked(design: AnyDesign, task: Task) -> dict[str, Any]:
    found = {
        "topology": design.topology,
        "pes": design.processing_elements,
        "data": task.data,
        "samples": task.samples,
        "samples_before": task.before,
        "tests": task.tests,
        "rate": task.rate,
        "halve_every": task.halve_every,
        "rate_floor": task.rate_floor,
        "batch": rate_shares(design),
        "gain": task.gain,
        "seed": task.seed,
    }
    if isinstance(design, GroupedDesign):
        found |= {"groups": groups_text(design), "schedule": design.schedule}
    return found
