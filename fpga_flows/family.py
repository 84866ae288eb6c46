"""What the FPGA flow has to know of a family of FPGAs: a description, and no code."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Device:
    """One FPGA.

    Members
    -------
    options : nextpnr's, for the device and its package.
    part : its full name.
    resources : how many "luts", "ffs", "dsps" and "brams" it has.
    synthesis : options of Yosys' command for the family.
    """

    options: tuple[str, ...]
    part: str
    resources: Mapping[str, int]
    synthesis: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """FPGAs that one version of nextpnr places and routes.

    Members
    -------
    name : of the family.
    nextpnr : command that places and routes.
    synthesis : Yosys' command, without its options for the device and the top module.
    finish : Yosys commands on the flat netlist.
    options : of nextpnr, where pins do not matter.
    files : that these options name, with their contents.
    devices : by the names of targets.
    cells : how many "luts", "ffs", "dsps" and "brams" a cell of each type takes up.
    placer : nextpnr's, that does best.
    speeds : speed grades that nextpnr knows, the default first; none if the part says it.
    """

    name: str
    nextpnr: str
    synthesis: str
    finish: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Device]
    cells: Mapping[str, Mapping[str, int]]
    placer: str = "heap"
    speeds: tuple[str, ...] = ()

    def count(self, cells: Counter[str]) -> dict[str, int]:
        """LUTs, flip-flops, multipliers and block memories of cells, counted by type."""
        return {
            name: sum(weight * cells[kind] for kind, weight in weights.items())
            for name, weights in self.cells.items()
        }
