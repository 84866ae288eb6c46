"""The estimate for an ECP5 counts every component of the machine."""

import pytest

from fpga_flows import ecp5, ecp5_estimate, yosys
from hw.core import Core
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog


def machine(pes, **more):
    design = design_for((3, 3, 1), pes, **more)
    return to_verilog(Core(make_schedule(design))), design.name


@pytest.fixture(scope="module")
def estimates():
    return {pes: ecp5_estimate.estimate(*machine(pes)) for pes in (1, 3)}


@pytest.mark.parametrize("pes", (1, 3))
def test_parts(estimates, pes):
    parts = {(part.within, part.name): part for part in estimates[pes]}
    assert len(parts) == len(estimates[pes])
    assert parts["", ""].instances == 1
    assert parts["array", "PE"].instances == pes
    for name in ("multiplier", "adder"):
        assert parts["PE", name].instances == pes
    assert parts["PE", "multiplier"].dsps == 4 * pes
    # One multiplier each in the backpropagation and the gradient-descent unit.
    assert sum(part.dsps for part in estimates[pes]) == 4 * (pes + 2)
    assert parts["PE", "adder"].luts > parts["PE", "multiplier"].luts > 0


def test_a_part_costs_as_much_as_its_instances(estimates):
    one, three = ({(p.within, p.name): p for p in estimates[pes]} for pes in (1, 3))
    for name in ("multiplier", "adder"):
        assert 3 * one["PE", name].luts == three["PE", name].luts
        assert 3 * one["PE", name].ffs == three["PE", name].ffs


def test_the_sum_is_that_of_yosys(estimates, tmp_path):
    verilog, top = machine(3)
    (tmp_path / "core.v").write_text(verilog)
    script = [*ecp5_estimate._SYNTHESIS[:-1], "flatten", ecp5_estimate._SYNTHESIS[-1]]
    yosys.run([line.format(top=top) for line in script], tmp_path, "yosys.log")
    cells = ecp5_estimate._read(tmp_path)[top]
    whole = ecp5.FAMILY.count(ecp5_estimate.Counter(cells))
    found = {kind: sum(getattr(part, kind) for part in estimates[3]) for kind in whole}
    assert found == whole


def test_one_memory_for_all_weights():
    """ABC9 gives the words of vectors names that Amaranth gives wires."""
    parts = ecp5_estimate.estimate(*machine(2, memory="unified"))
    assert sum(part.dsps for part in parts) == 4 * (2 + 2)
    assert {(part.name, part.instances) for part in parts} >= {("PE", 2), ("multiplier", 2)}


def test_a_yosys_that_fails(fresh_cache):
    with pytest.raises(ToolError, match=r"^Yosys failed.*; log: .*yosys\.log$"):
        ecp5_estimate.estimate("module top(; endmodule", "top")
