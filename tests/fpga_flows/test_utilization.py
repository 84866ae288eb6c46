"""Whose a cell is, by its name, and what the components take."""

import pytest

from fpga_flows import ecp5
from fpga_flows.critical_path import Step, critical_path
from fpga_flows.utilization import ComponentCost, component_costs, owner


@pytest.mark.parametrize(
    ("cell", "whose"),
    [
        ("core.neurons.pe_2.adder.s1_large_TRELLIS_FF_Q", "PE 2 adder, stage 1"),
        ("core.neurons.pe_12.multiplier.s0_cross_a_MULT18X18D_P9", "PE 12 multiplier, stage 0"),
        ("core.neurons.pe_0.bank.0.0", "PE 0 weight bank"),
        ("core.neurons.pe_1.adder_select_TRELLIS_FF_Q", "PE 1 control"),
        ("core.neurons.tree_y_TRELLIS_FF_Q_13", "array: broadcast, adder tree, drain"),
        ("core.backpropagation.adder.s1_large_TRELLIS_FF_Q_2", "backpropagation unit, stage 1"),
        ("core.vectors.memory.0.7_DO_LUT4_C", "vector memory"),
        ("core.machine.sequencer.$signal$34_LUT4_B", "sequencer"),
        ("core.clocks_TRELLIS_FF_Q_3", "core: ports, counters"),
        ("$abc$1$\\core.sequencer.x_LUT4_Z", "sequencer"),
        ("core.newcomer.x_LUT4_Z", "newcomer"),
        ("harness_in_TRELLIS_FF_Q_148", "None"),
    ],
)
def test_owner(cell, whose):
    assert str(owner(cell)) == whose


def test_components():
    cells = {
        "core.neurons.pe_0.adder.s1_a_LUT4_Z": "LUT4",
        "core.neurons.pe_1.adder.s1_a_CCU2C_S0": "CCU2C",
        "core.neurons.pe_1.multiplier.s0_MULT18X18D_P": "MULT18X18D",
        "core.sequencer.x_TRELLIS_FF_Q": "TRELLIS_FF",
        "core.buffer.vectors.0.0": "DP16KD",
        "core.sequencer": "$scopeinfo",
        "harness_in_TRELLIS_FF_Q": "TRELLIS_FF",
    }
    found = component_costs({name: {"type": kind} for name, kind in cells.items()}, ecp5.FAMILY)
    assert found == (
        ComponentCost("PE: multiplier", 1, 0, 0, 1, 0),
        ComponentCost("PE: adder", 2, 3, 0, 0, 0),
        ComponentCost("sequencer", 1, 0, 1, 0, 0),
        ComponentCost("training-vector buffer", 1, 0, 0, 0, 1),
    )


def test_longest_path():
    a, b = "core.vectors.q", "core.neurons.pe_3.multiplier.s1_x"

    def delay(kind, ns, to):
        return {"type": kind, "delay": ns, "to": {"cell": to}}

    path = [
        delay("clk-to-q", 0.5, a),
        delay("routing", 2.0, b),
        delay("logic", 0.25, b),
        delay("routing", 1.0, b),
        delay("setup", 0.0, b),
    ]
    report = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": []},
            {"from": "posedge clk", "to": "posedge clk", "path": path},
        ]
    }
    found = critical_path(report, "clk")
    assert found == (Step("vector memory", 0.5, 0.0), Step("PE 3 multiplier, stage 1", 0.25, 3.0))
    assert critical_path(report, "other") == ()
