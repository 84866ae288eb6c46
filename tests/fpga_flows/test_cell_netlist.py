"""Netlists without tools: what is in them, their Verilog, and buffers."""

import copy

import pytest

from fpga_flows import fanout, liberty
from fpga_flows.cell_netlist import Netlist
from fpga_flows.cell_power import CellPower

LIBRARY = """library (small) {
  nom_voltage : 1.0;
  cell (INV) {
    area : 1.0; cell_leakage_power : 5.0;
    pin (A) { direction : input; capacitance : 2.0; }
    pin (Y) {
      direction : output; function : "!A";
      internal_power () {
        related_pin : "A";
        rise_power (T) { index_1 ("0.01, 0.05"); index_2 ("1, 3"); values ("1, 3", "3, 5"); }
        fall_power (T) { index_1 ("0.01, 0.05"); index_2 ("1, 3"); values ("0, 0", "0, 0"); }
      }
    }
  }
  cell (BUF_X8) {
    area : 3.0;
    pin (A) { direction : input; capacitance : 4.0; }
    pin (Z) { direction : output; function : "A"; }
  }
  cell (FF) {
    area : 4.0;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "C"; }
    pin (C) {
      direction : input; clock : true; capacitance : 1.0;
      internal_power () { rise_power (S) { values ("6"); } fall_power (S) { values ("2"); } }
    }
    pin (D) { direction : input; capacitance : 1.0; }
    pin (Q) { direction : output; function : "IQ"; }
  }
}
"""


def cell(kind, **connections):
    return {"type": kind, "connections": {pin: list(bits) for pin, bits in connections.items()}}


def port(direction, *bits):
    return {"direction": direction, "bits": list(bits)}


# A pair of inverters, twice, and a flip-flop that drives them.
MODULES = {
    "top": {
        "ports": {"clk": port("input", 2), "a": port("input", 3), "o": port("output", 8, 8, "1")},
        "netnames": {"seen": {"bits": [4]}},
        "cells": {
            "$1": cell("FF", C=[2], D=[3], Q=[4]),
            "one": cell("pair", clk=[2], i=[4], o=[5]),
            "two": cell("pair", clk=[2], i=[5], o=[8]),
        },
    },
    "pair": {
        "ports": {"clk": port("input", 2), "i": port("input", 3), "o": port("output", 5)},
        "netnames": {},
        "cells": {"$1": cell("INV", A=[3], Y=[4]), "$2": cell("INV", A=[4], Y=[5])},
    },
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    file = tmp_path_factory.mktemp("library") / "small.lib"
    file.write_text(LIBRARY)
    return liberty.read(file)


@pytest.fixture
def netlist(library):
    return Netlist(copy.deepcopy(MODULES), library, "top")


def test_counts_and_areas(netlist):
    assert netlist.instances == {"top": 1, "pair": 2}
    assert netlist.areas == {"pair": 2.0, "top": 8.0}
    assert netlist.total("INV") == 4
    assert not netlist.unknown


def test_what_is_no_cell_is_found(netlist):
    netlist.modules["pair"]["cells"]["odd"] = cell("XOR9", A=[3])
    assert netlist.unknown == {"XOR9": 1}


def test_verilog(netlist):
    text = netlist.verilog({"seen"})
    assert "module top(clk, a, o);" in text
    assert "  output [2:0] o;" in text
    assert "  FF u0_ (.C(clk), .D(a), .Q(n4_));" in text
    assert "  wire [0:0] seen = n4_;" in text
    assert "  assign o[1] = n8_;" in text and "  assign o[2] = 1'b1;" in text


def test_probes_get_every_net_in_order(netlist):
    got = []
    netlist.verilog(probe=lambda nets: got.append(nets) or "")
    assert got[0] == ["clk", "a", "n4_", "n5_", "n8_"]
    assert netlist.nets("top") == [2, 3, 4, 5, 8]


def test_sinks(netlist):
    (sink,) = netlist.sinks("top")[5]
    assert (sink[0]["type"], *sink[1:]) == ("pair", "i", 0)


@pytest.mark.parametrize("many", [1, fanout.MOST, fanout.MOST + 1, 500])
def test_no_net_drives_too_much(library, many):
    cells = {f"${k}": cell("INV", A=[3], Y=[10 + k]) for k in range(many)}
    ports = {"clk": port("input", 2), "a": port("input", 3)}
    outputs = {"names": {"bits": [10 + k for k in range(many)]}}
    module = {"ports": ports, "netnames": outputs, "cells": cells}
    netlist = Netlist({"top": module}, library, "top")
    fanout.buffer(netlist)
    assert all(len(sinks) <= fanout.MOST for sinks in netlist.sinks("top").values())
    assert (netlist.total("BUF_X8") == 0) == (many <= fanout.MOST)
    # Every inverter still gets the input: through buffers that nothing else drives.
    drivers = {c["connections"]["Z"][0]: c["connections"]["A"][0]
               for c in module["cells"].values() if c["type"] == "BUF_X8"}  # fmt: skip
    inverters = [c for c in module["cells"].values() if c["type"] == "INV"]
    assert len(inverters) == many
    for inverter in inverters:
        net = inverter["connections"]["A"][0]
        while net in drivers:
            net = drivers[net]
        assert net == 3


def test_the_clock_is_not_buffered(library):
    cells = {f"${k}": cell("FF", C=[2], D=[3], Q=[10 + k]) for k in range(99)}
    module = {"ports": {"clk": port("input", 2)}, "netnames": {}, "cells": cells}
    netlist = Netlist({"top": module}, library, "top")
    fanout.buffer(netlist)
    assert len(netlist.sinks("top")[2]) == 99


def test_cell_power(library):
    power = CellPower(library)
    # Half way between the slopes: 2 and 4 at loads of 1 and 3; half of that, for falling takes 0.
    assert power.output_fj("INV", "Y", 1.0) == pytest.approx(1.0)
    assert power.output_fj("INV", "Y", 2.0) == pytest.approx(1.5)
    assert power.switch_fj(8.0) == pytest.approx(4.0)
    assert power.clock_fj("FF") == pytest.approx(8.0)
    assert power.clock_load_ff("FF") == 1.0 and power.is_clock("FF", "C")
    assert power.leakage_nw("INV") == 5.0 and power.leakage_nw("FF") == 0.0
    assert power.load_ff("INV", "A") == 2.0 and power.input_fj("INV", "A") == 0.0
