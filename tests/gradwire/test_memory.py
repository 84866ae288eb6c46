"""`gradwire memory`: prices by a stand-in for OpenRAM, and what is made of them."""

import dataclasses
import json

import pytest

from fpga_flows.sram import VARIABLE
from gradwire import memory
from hw.design import MEMORIES
from hw.memories import memories
from hw.operation import GRADIENT_DESCENT
from hw.schedule import design_for, make_schedule

# A macro of so many words costs that, so that sums can be checked.
STAND_IN = """#!/bin/sh
if [ "$1" = -c ]; then echo 1.2.3; exit; fi
echo "{\\"area_um2\\": $2, \\"access_ns\\": 0.5, \\"access_energy_pj\\": 2, \\"leakage_uw\\": $2}"
"""


@pytest.fixture(autouse=True)
def openram(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("openram")
    script = folder / "python"
    script.write_text(STAND_IN)
    script.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(script))
    monkeypatch.setenv("GRADWIRE_CACHE", str(folder / "cache"))


def test_small_network(run_json):
    found = run_json("memory", "3-3-3-1")
    here, there = found["distributed"], found["unified"]
    # 7 words of each bank forward, 4 backward, 7 updated; 7 biases twice.
    assert here["reads_in_turn"] == 7 + 4 + 7
    assert here["reads"] == 18 * 3 + 14
    assert here["memory_access_time_ns"] == 9
    assert here["read_energy_pj"] == (18 * 3 + 14) * 2
    assert here["weights_area_um2"] == 4 * 16
    # The same words, one after another; the biases have a bank of their own.
    assert there["reads_in_turn"] == 18 * 3
    assert there["reads"] == 18 * 3 + 14
    assert there["memory_access_time_ns"] == 54 * 0.5
    assert there["read_energy_pj"] == 68 * 2
    assert there["read_power_mw"] == pytest.approx(136 / 27 + 0.048, abs=1e-3)
    clocks = there["clocks_per_iteration"]
    assert there["average_read_power_mw"] == pytest.approx(136 / (4 * clocks) + 0.048, abs=1e-3)
    # 21 words, and 7 biases.
    assert there["weights_area_um2"] == 32 + 16
    assert found["paper"]["distributed"] == {"access_time_ns": 18.42, "read_power_mw": 18.17}
    assert found["paper"]["unified"] == {"access_time_ns": 52.82, "read_power_mw": 14.01}


def test_clocks_are_those_of_the_machines(run_json):
    found = run_json("memory", "4-5-3", "--pes", "2")
    for name in MEMORIES:
        design = design_for((4, 5, 3), 2, mapping=tuple(found["mapping"]), memory=name)
        schedule = make_schedule(design)
        assert found[name]["clocks_per_iteration"] == schedule.clocks_per_iteration
    assert run_json("memory", "4-5-3", "--pes", "2", "--memory", "unified").keys() == found.keys()


def test_registers_on_the_way_are_of_weight_banks(run_json):
    found = run_json("memory", "4-5-3", "--pes", "2", "--broadcast-stages", "2")
    mapping = tuple(found["mapping"])
    for name, stages in (("distributed", 2), ("unified", 0)):
        design = design_for((4, 5, 3), 2, mapping=mapping, memory=name, broadcast_stages=stages)
        clocks = make_schedule(design).clocks_per_iteration
        assert found[name]["clocks_per_iteration"] == clocks


def test_every_memory_has_a_price_or_is_fixed(run_json):
    found = run_json("memory", "5-4-3", "--pes", "2")
    design = design_for((5, 4, 3), 2)
    for name in MEMORIES:
        entries = found[name]["memories"]
        listed = memories(make_schedule(dataclasses.replace(design, memory=name)))
        assert [entry["name"] for entry in entries] == [each.name for each in listed]
        for entry, each in zip(entries, listed, strict=True):
            assert (entry["words"], entry["instances"]) == (each.words, each.instances)
            assert (entry["area_um2"] is None) == (each.writes == 0)
        # 256 vectors of 5 inputs and 3 labels.
        assert entries[-3]["macros"] == {"1024": 2}
        every = sum(e["instances"] * e["area_um2"] for e in entries if e["writes"])
        assert found[name]["area_um2"] == every
    assert found["paper"] is None


@pytest.mark.parametrize(
    ("layers", "pes", "parameters"),
    [
        ((3, 3, 3, 1), 3, {}),
        ((6, 5, 4), 2, {"mapping": ("row", "column")}),
        ((6, 5, 4), 3, {"mapping": ("column", "row")}),
        ((4, 3), 3, {"input_deltas": True}),
        ((4, 6, 3), 2, {"batch": 4}),
    ],
)
def test_traffic(layers, pes, parameters):
    """With P banks nothing takes less than a P-th of the clocks that one memory takes."""
    design = design_for(layers, pes, **parameters)
    machines = [make_schedule(dataclasses.replace(design, memory=name)) for name in MEMORIES]
    here, there = map(memory.traffic, machines)
    assert here.biases == there.biases
    assert here.weights == here.in_turn * pes >= there.in_turn == there.weights >= here.in_turn
    for schedule, reads in zip(machines, (here, there), strict=True):
        assert reads.in_turn <= schedule.clocks_per_iteration
    # An update touches every word of a bank once.
    updates = [op for op in machines[0].operations if op.unit == GRADIENT_DESCENT]
    assert sum(op.slots.size for op in updates) == design.bank_words


def test_one_memory_reads_all_weights():
    design = design_for((784, 100, 100, 10), 100, memory="unified")
    # Of column-mapped layers the biases lie elsewhere. The first layer has no pass back.
    weights = 784 * 100 + 100 * 100 + 100 * 10
    found = memory.traffic(make_schedule(design))
    assert found == memory.Traffic(3 * weights - 784 * 100, 3 * weights - 784 * 100, 2 * 210)
    row = design_for((4, 6), 3, memory="unified", mapping=("row",))
    assert memory.traffic(make_schedule(row)) == memory.Traffic(2 * 5 * 6, 2 * 5 * 6, 0)


def test_table(run):
    result = run("memory", "3-3-3-1")
    assert result.exit_code == 0
    for text in (
        "weight bank",
        "unified weights",
        "clocks per iteration",
        "52.82",
        "18.17",
        "3.00",
    ):
        assert text in result.stdout, result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_without_openram(fails, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nowhere/python")
    said = fails("memory", "3-3-3-1", code=1)
    assert "package openram of PyPI" in said and VARIABLE in said


def test_bad_input(fails):
    assert "processing elements" in fails("memory", "3-1", "--pes", "0")


def test_json_is_one_object(run):
    assert isinstance(json.loads(run("memory", "3-1", "--json").stdout), dict)
