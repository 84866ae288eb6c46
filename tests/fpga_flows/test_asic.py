"""Whole machines in standard cells, for real: area, timing, a netlist that trains, its energy.

What is committed in baseline.json is what `gradwire synth` found: tests/gradwire/test_baseline.py
says whether it still is so.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fpga_flows import asic, power
from gradwire.training import plan
from hw import tool
from hw.errors import InputError
from hw.schedule import NANGATE45_FREQUENCIES, design_for, make_schedule
from sim.bench.run import Run

BASELINE = json.loads((Path(asic.__file__).parent / "baseline.json").read_text())
MACHINES = BASELINE["machines_in_cells"]
SAMPLES = 50


def schedule_of(layers, **more):
    return make_schedule(design_for(layers, frequencies=NANGATE45_FREQUENCIES, **more))


def red(schedule, change=1.0):
    """Training on `red`, as in the demo; the inputs may be changed."""
    design = schedule.design
    task = plan(design, {"data": "red", "samples": SAMPLES, "tests": 1}, None)
    data = task.load(design)
    inputs = (data.train_inputs * change).astype(np.float32)
    run = Run(inputs=inputs, labels=data.train_labels, learning=task.learning(1))
    return task.start(design), run


@pytest.fixture(scope="module")
def small(nangate45_lib, tmp_path_factory):
    """3-3-3-1, its schedule, and the library."""
    schedule = schedule_of((3, 3, 3, 1))
    work = tmp_path_factory.mktemp("small")
    return asic.synthesize(schedule, library=nangate45_lib, work=work), schedule, nangate45_lib


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine["topology"])
def test_committed_machines_meet_the_marks(machine):
    mark = machine["mark"]
    assert machine["pe_um2"] <= mark["pe_um2"]
    assert machine["fmax_mhz"]["OpenSTA"] >= mark["fmax_mhz"]
    seconds = machine["clocks_per_iteration"] / machine["fmax_mhz"]["OpenSTA"] / 10
    assert seconds <= mark.get("seconds_per_100_000", seconds)
    assert machine["energy"]["total_nj"] <= mark.get("energy_nj", machine["energy"]["total_nj"])


@pytest.mark.slow
def test_small_machine(small):
    found, _, _ = small
    expected = shutil.which(tool.executable("sta"))
    assert found.timing_by == ("OpenSTA" if expected else "ABC")
    pe = next(part for part in found.parts if part.name == "pe")
    assert pe.instances == 3 and set(pe.contains.values()) == {1}
    assert pe.area_um2 == found.pe_um2
    assert found.parts[0].area_um2 == pytest.approx(
        sum(part.own_um2 * part.instances for part in found.parts), rel=1e-3
    )


def test_unified_machine(nangate45_lib, tmp_path):
    """All its components can be halted, under the names that they have elsewhere."""
    schedule = schedule_of((2, 1), memory="unified")
    found = asic.synthesize(schedule, library=nangate45_lib, work=tmp_path)
    names = {part.name: part for part in found.parts}
    assert found.pe_um2 == names["pe"].area_um2 > names["multiplier_e8f23_flush_2"].area_um2
    assert names["memory"].instances == 1
    assert found.fmax_mhz > 0


@pytest.mark.slow
def test_netlist_trains_and_energy_follows_activity(small, tmp_path):
    """50 samples of red bit exact, or `measure` fails; inputs of zero toggle less."""
    machine, schedule, library = small
    weights, run = red(schedule)
    live = power.measure(machine, schedule, weights, run, library=library, work=tmp_path / "red")
    assert live.samples == SAMPLES - 2
    assert live.clocks_per_sample == schedule.clocks_per_iteration
    assert sum(phase.clocks for phase in live.phases) == live.clocks_per_sample
    logic = sum(part.toggles_nj + part.clock_nj for part in live.parts)
    assert logic == pytest.approx(live.logic_nj, rel=1e-3)
    assert sum(phase.logic_nj for phase in live.phases) == pytest.approx(logic, rel=1e-3)
    _, dark_run = red(schedule, change=0.0)
    dark = power.measure(
        machine, schedule, weights, dark_run, library=library, work=tmp_path / "zeros"
    )
    assert sum(p.toggles_nj for p in dark.parts) < 0.95 * sum(p.toggles_nj for p in live.parts)
    # Leakage of the cells, is a small part.
    assert 0 < live.leakage_nj < 0.1 * live.total_nj
    # The guess knows nothing of data.
    assert dark.guess_logic_nj == live.guess_logic_nj


def test_bad_input(tmp_path, nangate45_lib):
    schedule = schedule_of((3, 3, 3, 1))
    weights, run = red(schedule)
    machine = None  # it is not looked at

    def measure(schedule, run):
        power.measure(machine, schedule, weights, run, library=nangate45_lib, work=tmp_path)

    short = dataclasses.replace(run, inputs=run.inputs[:2], labels=run.labels[:2])
    with pytest.raises(InputError, match=r"^samples must be at least 3 to measure energy, not 2"):
        measure(schedule, short)
    with pytest.raises(InputError, match=r"^energy is measured of machines with distributed"):
        measure(schedule_of((3, 3, 3, 1), memory="unified"), run)
