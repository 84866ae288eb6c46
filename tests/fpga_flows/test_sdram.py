"""What the SDRAM controller costs on an ECP5, as docs/memory.md says."""

import pytest

from fpga_flows import fpga
from hw.sdram.chips import SdramTiming, find_chip
from hw.sdram.controller import SdramController
from hw.verilog import to_verilog


@pytest.mark.slow
@pytest.mark.parametrize("name, luts", [("AS4C32M16SB-7", 650), ("MT48LC16M16A2-75", 650)])
def test_cost(name, luts, tmp_path):
    controller = SdramController(SdramTiming(find_chip(name), 100))
    verilog = to_verilog(controller)
    found = fpga.synthesize(
        verilog,
        controller.module_name,
        work=tmp_path,
        frequencies_mhz=(150,),
        seeds=(1, 2, 3),
    )
    assert found.fmax_mhz >= 110
    assert found.luts <= luts
    assert found.brams == found.dsps == 0
