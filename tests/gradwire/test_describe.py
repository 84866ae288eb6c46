"""The JSON beside the Verilog says what the Verilog is."""

import hashlib
import json
import re

import numpy as np
import pytest

from gradwire.describe import description, ports
from hw.core import Core, WeightAddress
from hw.design import Design
from hw.initializer import initialize_clocks
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog
from sim.initial import seeded_weights

DESIGNS = [
    design_for((3, 3, 3, 1)),
    design_for((5, 4, 3), 2, mapping=("row", "column")),
    design_for((5, 7, 3), 3, mapping=("column", "row")),
    design_for((4, 1), 1, input_deltas=True),
    design_for((4, 3, 1), 2, memory="unified"),
    design_for((4, 3, 1), 2, seeded_weights=True),
]
designs = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


@designs
def test_formulas_are_the_design_s_addresses(design):
    port = description(make_schedule(design), "")["weight_port"]
    address = WeightAddress(design)
    for layer, said in zip(design.weight_layers, port["layers"], strict=True):
        assert (said["layer"], said["mapping"]) == (layer.number, layer.mapping)
        for n in range(layer.outputs):
            for k in range(layer.inputs):
                found = [eval(said["weight"][part], {"n": n, "k": k}) for part in ("bank", "word")]
                assert tuple(found) == layer.weight_address(n, k)
                whole = eval(port["address"], {"bank": found[0], "word": found[1]})
                assert whole == address.encode(*found)
            found = [eval(said["bias"][part], {"n": n}) for part in ("bank", "word")]
            assert tuple(found) == layer.bias_address(n)


@designs
def test_every_port_is_told(design):
    said = ports(Core(make_schedule(design)))
    assert [port["name"] for port in said if not port["is"]] == []


@pytest.mark.parametrize("design", [DESIGNS[0], *DESIGNS[3:]], ids=lambda design: design.name)
def test_ports_are_the_verilog_s(design):
    schedule = make_schedule(design)
    verilog = to_verilog(Core(schedule))
    about = description(schedule, verilog)
    module = re.search(rf"^module {design.name}\(.*?^endmodule", verilog, re.M | re.S)[0]
    declared = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in re.findall(
            r"^  (input|output)(?: reg| wire)? (?:\[(\d+):0\] )?(\w+)", module, re.M
        )
    }
    assert {p["name"]: (p["direction"], p["width"]) for p in about["ports"]} == declared
    assert about["verilog"]["sha256"] == hashlib.sha256(verilog.encode()).hexdigest()


@designs
def test_the_design_can_be_made_again(design):
    about = json.loads(json.dumps(description(make_schedule(design), "")))
    parameters = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in about["design"].items()
    }
    assert Design(**parameters) == design


@designs
def test_latencies_and_clocks_are_the_schedule_s(design):
    schedule = make_schedule(design)
    about = description(schedule, "")
    assert about["latencies"]["components"]["multiplier"] == schedule.latencies.multiplier
    assert about["latencies"]["components"]["adder"] == schedule.latencies.adder
    assert about["latencies"]["paths"]["sum"] == schedule.latencies.sum
    assert about["schedule"]["clocks_per_iteration"] == schedule.clocks_per_iteration
    assert len(about["schedule"]["phases"]) == len(schedule.operations)


def test_the_initializer_is_told_where_there_is_one():
    assert description(make_schedule(DESIGNS[0]), "")["initializer"] is None
    found = description(make_schedule(DESIGNS[-1]), "")["initializer"]
    weights = seeded_weights(DESIGNS[-1], 1).weights
    for limit, layer in zip(found["limits"], weights, strict=True):
        assert limit / 2 < np.abs(layer).max() < limit
    assert found["clocks"] == initialize_clocks(DESIGNS[-1])
