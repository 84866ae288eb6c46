"""The register map of every kind of design, and what stands in the way of one."""

import pytest

from hw.axi.core import AxiCore
from hw.axi.registers import ACCESS, AddressMap
from hw.errors import InputError
from hw.schedule import design_for, make_schedule
from hw.verilog import port_list

DESIGNS = [
    design_for((3, 3, 3, 1)),
    design_for((1, 1)),
    design_for((5, 7, 2), 4, batch=3, seeded_weights=True, sample_format="bytes"),
    design_for((5, 7, 2), 4, batch=65536, memory="unified"),
    design_for((5, 4, 3), 2, mapping=("row", "row"), input_deltas=True),
    design_for((2, 300), mapping=("row",)),
    design_for((1, *[2] * 40, 1), 1),
]
every_design = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name[:60])


@every_design
def test_no_two_registers_share_a_place(design):
    table = AddressMap(design)
    offsets = [register.offset for register in table.registers]
    assert len(set(offsets)) == len(offsets) and offsets == sorted(offsets)
    assert all(offset % 4 == 0 and offset < table.weights for offset in offsets)
    assert len({register.name for register in table.registers}) == len(offsets)
    most = max(design.bank_words, design.bias_words) - 1
    assert table.weight(design.processing_elements, most) < 1 << table.bits


@every_design
def test_fields_are_apart_and_within_their_register(design):
    for register in AddressMap(design).registers:
        assert register.access in ACCESS and register.reset < 1 << register.width
        bits = [b for f in register.fields for b in range(f.bit, f.bit + f.width)]
        assert len(set(bits)) == len(bits) and all(bit < register.width for bit in bits)


def test_only_what_differs_changes_the_checksum():
    found = {AddressMap(design).registers[2].reset for design in DESIGNS}
    assert len(found) == len(DESIGNS)


def test_too_many_weights():
    design = design_for((300_000, 4096), 4096, mapping=("row",))
    with pytest.raises(InputError, match=r"^addresses of registers .* at most 32 bits, not 35$"):
        AddressMap(design)


@every_design
def test_ports_have_standard_names(design):
    names = [str(port["name"]) for port in port_list(AxiCore(make_schedule(design)))]
    assert names[:2] == ["clk", "rst"] and "irq" in names
    rest = set(names[2:]) - {"irq"}
    assert all(name.startswith(("s_axi_", "s_axis_", "m_axis_")) for name in rest)
    assert len(rest) == 19 + 4 + 4
