"""What the SDRAM controller costs on an ECP5, as docs/memory.md says."""

import statistics

import pytest

from fpga_flows import ecp5
from hw.sdram.chips import SdramTiming, find_chip
from hw.sdram.controller import SdramController
from hw.verilog import to_verilog


@pytest.mark.slow
@pytest.mark.parametrize("name, luts", [("AS4C32M16SB-7", 650), ("MT48LC16M16A2-75", 650)])
def test_cost(name, luts, tmp_path):
    controller = SdramController(SdramTiming(find_chip(name), 100))
    verilog = to_verilog(controller)
    found = [
        ecp5.synthesize(
            verilog,
            controller.module_name,
            work=tmp_path / str(seed),
            frequency_mhz=150,
            seed=seed,
        )
        for seed in (1, 2, 3)
    ]
    for result in found:
        print(name, result.fmax_mhz, result.luts, result.ffs, dict(result.parts))
    assert statistics.median(result.fmax_mhz for result in found) >= 110
    assert found[0].luts <= luts
    assert found[0].brams == found[0].dsps == 0
