"""A machine as a bitstream for a board: what `gradwire board build` does."""

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

from fpga_flows import ulx3s
from gradwire.console import Reporter
from gradwire.files import naming, write_files
from hw.design import Design
from hw.errors import InputError
from hw.memories import memories
from hw.schedule import Schedule, design_for, make_schedule
from hw.sdram.chips import find_chip
from hw.system import System

# What a machine has to be on the largest board; a smaller one does not mind.
DEFAULTS = {"sample_format": "bytes", "buffer_vectors": 4, "broadcast_stages": 2}

# Stages where wires cross the FPGA, and leave little of a clock to logic: with so many PEs.
_MANY = 12
_STAGES = {"multiplier_stages": 6, "adder_stages": 7}

# Multipliers beside those of the PEs, and blocks (MULT18X18D) of each.
_OTHER_MULTIPLIERS = 2
_BLOCKS = 4
# Block memories of the link, the largest of memories that LUTs hold, and bits of a block's row and
# rows of it.
_LINK_BRAMS = 3
_FEW_WORDS = 64
_BRAM_BITS, _BRAM_WORDS = 36, 512


def make(layers: tuple[int, ...], pes: int, **parameters: Any) -> Schedule:
    """The machine of so many processing elements; `parameters` are those of Design.

    Those that are None are chosen as suits a board. Raises InputError.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if pes >= _MANY and not given.keys() & _STAGES.keys():
        given |= _STAGES
    return make_schedule(design_for(layers, pes, **given))


def make_largest(layers: tuple[int, ...], board: str, **parameters: Any) -> Schedule:
    """The machine with most processing elements that fits the board, and the fewest of those that
    are as fast; see `make`.
    """
    ulx3s.check_board(board)
    resources = ulx3s.RESOURCES[board]
    best = None
    for pes in range(min(max(layers[1:]), resources["dsps"] // _BLOCKS - 2), 0, -1):
        # Schedules take seconds: not for machines whose weights alone are too many.
        if pes * _least_bank_blocks(layers, pes) > resources["brams"]:
            continue
        schedule = make(layers, pes, **parameters)
        if needs(schedule)["brams"] > resources["brams"]:
            continue
        if best and schedule.clocks_per_sample > best.clocks_per_sample:
            break
        best = schedule
    if not best:
        topology = "-".join(map(str, layers))
        raise InputError(f"no machine for {topology} fits the block memories of {board}")
    return best


def _least_bank_blocks(layers: tuple[int, ...], pes: int) -> int:
    """Block memories of each weight bank, however the layers are mapped."""
    words = sum(
        min(-(-outputs // pes) * (inputs + 1), -(-inputs // pes) * outputs)
        for inputs, outputs in itertools.pairwise(layers)
    )
    # A small bank is made of LUTs.
    return -(-words // _BRAM_WORDS) if words > _FEW_WORDS else 0


def check_fit(schedule: Schedule, board: str) -> None:
    """Raise InputError if the machine needs more than the board has, before hours are spent."""
    for name, needed in needs(schedule).items():
        if needed > (there := ulx3s.RESOURCES[board][name]):
            pes = schedule.design.processing_elements
            raise InputError(
                f"{pes} processing elements need {needed} {name}, and {board} has {there}"
            )


def needs(schedule: Schedule) -> dict[str, int]:
    """Least multipliers and block memories that a machine takes on an ECP5."""
    blocks = _LINK_BRAMS
    for each in memories(schedule):
        if each.words > _FEW_WORDS:
            wide, deep = -(-each.bits // _BRAM_BITS), -(-each.words // _BRAM_WORDS)
            blocks += each.instances * wide * deep
    multipliers = schedule.design.processing_elements + _OTHER_MULTIPLIERS
    return {"dsps": _BLOCKS * multipliers, "brams": blocks}


def build(
    schedule: Schedule,
    board: str,
    clock_mhz: float,
    baud: int,
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write NAME.bit and NAME.json to `folder`; returns what `gradwire board build --json` prints.

    Netlists and logs go to its folder NAME. Raises InputError if the machine cannot be built for
    the board, the clock and the baud rate, or the folder cannot be written; ToolError when a tool
    is missing or fails, or the clock is missed.
    """
    design = schedule.design
    check_fit(schedule, board)
    system = System(schedule, clock_mhz * 1e6, baud, find_chip(ulx3s.SDRAM))
    name = f"{design.name}_{board}".replace("-", "_")
    stages = reporter.stages("bitstream")
    with naming(folder):
        built = ulx3s.build(
            system,
            board=board,
            clock_mhz=clock_mhz,
            work=folder / name,
            seed=seed,
            progress=stages,
        )
    stages.done()
    clocks = schedule.clocks_per_iteration
    about = {
        "topology": design.topology,
        "board": board,
        "design": dataclasses.asdict(design),
        "clock_mhz": built.clock_mhz,
        "fmax_mhz": built.fmax_mhz,
        "baud": baud,
        "sdram": ulx3s.SDRAM,
        "seed": seed,
        **{key: {"used": used, "available": there} for key, (used, there) in built.used.items()},
        "memories": dict(built.memories),
        "clocks_per_iteration": clocks,
        "samples_per_second": round(built.clock_mhz * 1e6 / schedule.clocks_per_sample),
        "sha256": hashlib.sha256(built.bitstream).hexdigest(),
        "train": train_command(design, baud),
    }
    files = {f"{name}.bit": built.bitstream, f"{name}.json": _json(about)}
    paths = [str(path) for path in write_files(folder, files)]
    return about | {"files": paths, "log": str(built.log)}


def train_command(design: Design, baud: int) -> str:
    """How the machine is trained: its options have to be said again."""
    words = ["gradwire", "board", "train", design.topology, "--port", "DEV", "--baud", str(baud)]
    words += ["--pes", str(design.processing_elements), "--mapping", ",".join(design.mapping)]
    said = {"layers", "processing_elements", "mapping"}
    # Those that have other defaults on the command line.
    say = {"multiplier_stages", "adder_stages", "sample_format"}
    for field in dataclasses.fields(Design):
        value = getattr(design, field.name)
        if field.name in said or (value == field.default and field.name not in say):
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return " ".join(words)


def _json(about: dict[str, Any]) -> bytes:
    return (json.dumps(about, indent=2) + "\n").encode()
