"""Bitstreams for ULX3S boards, by the real tools."""

import pytest

from fpga_flows import ecp5, ulx3s
from hw.errors import InputError, ToolError
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import find_chip
from hw.system import System

CLOCK = 50.0


def system(layers, pes, **parameters):
    parameters = {"sample_format": "bytes", "buffer_vectors": 4, **parameters}
    schedule = make_schedule(design_for(layers, pes, **parameters))
    return System(schedule, CLOCK * 1e6, 1e6, find_chip(ulx3s.SDRAM))


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    """A small machine's netlist, and its folder."""
    work = tmp_path_factory.mktemp("synthesized")
    netlist = ulx3s.synthesize(
        system((4, 4, 2), 2, activation="relu,sigmoid", broadcast_stages=2),
        board="ulx3s-25f",
        clock_mhz=CLOCK,
        work=work,
    )
    return netlist, work


def test_every_register_of_the_sdram_s_pins_is_in_a_pin(synthesized):
    """Address, bank, three of the command; data both ways. (Mask and direction go to more pins.)"""
    netlist, _ = synthesized
    cells = netlist["modules"]["top"]["cells"].values()
    found = [c["attributes"]["ioff_dir"] for c in cells if c["attributes"].get("syn_useioff")]
    assert (found.count("output"), found.count("input")) == (13 + 2 + 3 + 16, 16)


def test_pins_are_those_of_the_board(synthesized):
    lines = (synthesized[1] / "board.lpf").read_text(encoding="utf-8").splitlines()
    assert 'LOCATE COMP "clk25" SITE "G2";' in lines
    assert 'LOCATE COMP "uart_rx" SITE "M1";' in lines
    assert 'LOCATE COMP "sdram_dq[15]" SITE "J17";' in lines
    pins = [line for line in lines if line.startswith("LOCATE")]
    assert len(set(pins)) == 1 + 2 + 2 + 39


def test_no_memory_is_made_of_flip_flops(synthesized):
    """What is never written is logic: the program, and tables that Yosys makes of `case`."""
    kinds = ecp5.memory_kinds(synthesized[1] / "yosys.log")
    logic = {name.split(".")[-1] for name, kind in kinds.items() if kind == "logic"}
    assert {name for name in logic if "proc_rom" not in name and "switch" not in name} <= {"rom"}
    names = {".".join(name.split(".")[-2:]) for name in kinds}
    assert {"body"} <= {name.split(".")[-1] for name in names}
    assert any(name.endswith("_pe.bank") for name in kinds)


@pytest.mark.slow
def test_memories_of_a_machine_that_fills_the_board(tmp_path):
    """All are in block RAM but those of a few words, one by one."""
    ulx3s.synthesize(
        system((784, 100, 100, 10), 36, activation="relu,relu,sigmoid", broadcast_stages=2),
        board="ulx3s-85f",
        clock_mhz=CLOCK,
        work=tmp_path,
    )
    kinds = ecp5.memory_kinds(tmp_path / "yosys.log")
    named = {tuple(name.split(".")[-2:]): kind for name, kind in kinds.items()}
    of = {name if name[0][-3:] != "_pe" else ("pe", name[1]): kind for name, kind in named.items()}
    block = {
        ("pe", "bank"),
        ("sigmoid", "table"),
        ("predictions", "storage"),
        ("packet_receiver", "body"),
        ("endpoint", "reply"),
        ("backpropagation", "derivatives"),
        ("biases", "bank"),
        ("buffer", "vectors"),
        ("neurons", "partial_sums"),
        ("vectors", "memory"),
    }
    luts = {("pe", "registers"), ("pe", "inputs"), ("labels", "memory"), ("words", "storage")}
    assert {name for name, kind in of.items() if kind == "block"} == block
    assert {name for name, kind in of.items() if kind == "distributed"} == luts
    logic = {name for name, kind in of.items() if kind == "logic" and name[0] != "endpoint"}
    assert {name for name in logic if "proc_rom" not in name[0]} <= {("sequencer", "rom")}


@pytest.mark.slow
def test_a_small_machine_becomes_a_bitstream(tmp_path):
    stages = []
    built = ulx3s.build(
        system((3, 3, 3, 1), 3, broadcast_stages=1),
        board="ulx3s-12f",
        clock_mhz=CLOCK,
        work=tmp_path,
        progress=stages.append,
    )
    assert built.fmax_mhz >= built.clock_mhz == CLOCK
    assert len(built.bitstream) > 100_000
    assert built.used["dsps"] == (20, 28)
    assert all(0 < used <= there for used, there in built.used.values())
    wanted = ["Verilog", "synthesis", "packing", "placement", "routing", "bitstream"]
    assert [stage for stage in stages if stage in wanted] == wanted


def test_a_machine_that_misses_its_clock_becomes_none(tmp_path, monkeypatch):
    monkeypatch.setattr(ulx3s, "synthesize", lambda *_, **__: netlist())
    report = {"fmax": {"clk": {"achieved": 49.994}}}
    monkeypatch.setattr(ulx3s.fpga, "place_and_route", lambda *_, **__: report)
    said = "ulx3s-85f misses its clock of 50 MHz: 49.99 MHz with seed 7; log: .*nextpnr.log"
    with pytest.raises(ToolError, match=said):
        ulx3s.build(None, board="ulx3s-85f", clock_mhz=CLOCK, seed=7, work=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_board_cannot_do(tmp_path):
    machine = system((3, 1), 1)
    with pytest.raises(InputError, match="board must be one of ulx3s-12f, ulx3s-25f"):
        ulx3s.build(machine, board="icestick", clock_mhz=CLOCK, work=tmp_path)
    said = r"the board's PLL does not make a clock of 50\.3 MHz"
    with pytest.raises(InputError, match=said):
        ulx3s.build(machine, board="ulx3s-12f", clock_mhz=50.3, work=tmp_path)


def netlist(*cells, port=("sdram_a", [5])):
    name, bits = port
    return {
        "modules": {
            "top": {
                "ports": {name: {"direction": "output", "bits": bits}},
                "cells": {str(index): cell for index, cell in enumerate(cells)},
                "netnames": {"all": {"bits": list(range(2, 20))}},
            }
        }
    }


def register(d, q, **more):
    return {
        "type": "TRELLIS_FF",
        "parameters": {"REGSET": "RESET"},
        "attributes": {},
        "connections": {"CLK": [2], "DI": [d], "Q": [q], **more},
    }


def test_a_register_that_has_other_work_stays():
    alone, shared = register(4, 5), register(4, 6)
    reader = register(6, 7)
    found = netlist(alone, shared, reader, port=("sdram_a", [5, 6]))
    assert ulx3s.use_pin_registers(found) == 1
    assert alone["attributes"] == {"syn_useioff": "1", "ioff_dir": "output"}
    assert not shared["attributes"]


def test_a_register_of_two_pins_stays():
    assert ulx3s.use_pin_registers(netlist(register(4, 5), port=("sdram_dqm", [5, 5]))) == 0


@pytest.mark.parametrize(("value", "table"), [("RESET", "0010"), ("SET", "1110")])
def test_a_pin_s_register_is_reset_by_logic(value, table):
    cell = register(4, 5, LSR=[8])
    cell["parameters"]["REGSET"] = value
    found = netlist(cell)
    assert ulx3s.use_pin_registers(found) == 1
    (lut,) = (c for c in found["modules"]["top"]["cells"].values() if c["type"] == "LUT4")
    assert lut["parameters"]["INIT"] == table * 4
    assert lut["connections"]["A"] == [4]
    assert lut["connections"]["B"] == [8]
    assert cell["connections"]["DI"] == lut["connections"]["Z"] == [20]
    assert cell["connections"]["LSR"] == ["0"]
