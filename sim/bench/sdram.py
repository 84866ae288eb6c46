"""Simulate an SDRAM controller, or a sequence of commands, with the model of a chip, in bulk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.errors import ToolError
from hw.sdram.chips import SdramChip, SdramTiming
from hw.sdram.controller import SdramController
from hw.verilog import to_verilog
from sim import simulator

HERE = Path(__file__).parent
MODEL = HERE / "sdram_model.sv"

# How Verilator prints $error.
_ERROR = re.compile(r"%Error: sdram\S*: Assertion failed in \S+: (.*)")

# A request is a row of address, number of words, write (0 or 1), and clocks to wait before it.
Requests = np.ndarray


def sequential(timing: SdramTiming, words: int, count: int, *, write: bool = False) -> Requests:
    """Requests for `count` records of `words` words one behind the other, from address 0 on.

    The first comes when the chip is initialised; the others follow as fast as they are taken.
    """
    starts = np.arange(count) * words
    initialised = timing.power_up + 20 * timing.rfc
    ones = np.ones_like(starts)
    return np.stack([starts, words * ones, write * ones, initialised * (starts == 0)], axis=1)


def model_parameters(chip: SdramChip, frequency_mhz: float) -> dict[str, int]:
    """Parameters of sdram_model.sv; times in fs."""
    times = {
        "T_RCD": chip.t_rcd,
        "T_RP": chip.t_rp,
        "T_RAS": chip.t_ras,
        "T_RAS_MOST": chip.t_ras_most,
        "T_RC": chip.t_rc,
        "T_RRD": chip.t_rrd,
        "T_RFC": chip.t_rfc,
        "T_WR": chip.t_wr,
        "T_MRD": chip.t_mrd,
        "T_REFRESH_INTERVAL": chip.t_refresh_most / chip.rows,
        "T_POWER_UP": chip.t_power_up,
        "CAS_2_PERIOD": chip.cas_periods.get(2, 0),
        "CAS_3_PERIOD": chip.cas_periods.get(3, 0),
        "CLOCK": 1e3 / frequency_mhz,
    }
    return {name: round(1e6 * value) for name, value in times.items()} | {
        "ROW_BITS": chip.row_bits,
        "COLUMN_BITS": chip.column_bits,
        "POWER_UP_REFRESHES": chip.power_up_refreshes,
    }


def chip_macro(chip: SdramChip, frequency_mhz: float) -> str:
    """Verilog: CHIP, the parameters of sdram_model.sv."""
    values = model_parameters(chip, frequency_mhz)
    # Times are more than 32 bits wide.
    return "`define CHIP " + ", ".join(f".{name}(64'd{value})" for name, value in values.items())


def complaint(log: Path) -> str | None:
    """What the model's monitor has said in the log of a simulation that it ended."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    said = _ERROR.search(text)
    return f"SDRAM: {said[1]}" if said else None


def _simulate(
    build: simulator.Build, folder: Path, most: int, plusargs: list[str], seed: int
) -> None:
    """Run a bench for `most` clocks at most; raises ToolError with what its checkers say."""
    log = folder / "simulation.log"
    env = {"GRADWIRE_MOST_CLOCKS": str(most)}
    try:
        simulator.run(
            build, "sim.bench.sdram_bench", log=log, plusargs=plusargs, env=env, seed=seed
        )
    except ToolError:
        # cocotb only says that the simulation ended.
        said = complaint(log)
        if said is None:
            raise
        raise ToolError(f"{said}; log: {log}") from None


@dataclass(frozen=True)
class Result:
    """What a simulation gave.

    Attributes:
        words: Words read, in their order.
        clocks: Length of the simulation in clocks, initialisation included.
        refreshes, activations, reads, writes: Commands that the chip got.
        largest_gap_ns: From one refresh to the next, in ns.
        request_clocks, write_clocks, read_clocks: Clock of each transfer, if they were asked for.
    """

    words: np.ndarray
    clocks: int
    refreshes: int
    largest_gap_ns: float
    activations: int
    reads: int
    writes: int
    request_clocks: np.ndarray
    write_clocks: np.ndarray
    read_clocks: np.ndarray


class SdramBench:
    """A controller's RTL and the model of a chip, in Verilator.

    Parameters
    ----------
    timing : of the controller.
    folder : for the bench's files.
    chip : what the model models; by default the chip that the controller is made for.
    optimize : see `sim.simulator.build`.

    Raises ToolError when the simulator is missing or fails to build.
    """

    def __init__(
        self,
        timing: SdramTiming,
        folder: Path,
        *,
        chip: SdramChip | None = None,
        optimize: int = 1,
    ) -> None:
        self._folder = folder
        controller = SdramController(timing)
        chip = chip or timing.chip
        header = [
            f"`define CONTROLLER {controller.module_name}",
            f"`define ADDRESS_BITS {chip.address_bits}",
            f"`define ROW_BITS {chip.row_bits}",
            chip_macro(chip, timing.frequency_mhz),
        ]
        source = folder / "sdram.sv"
        parts = [*header, (HERE / "sdram_bench.sv").read_text(encoding="utf-8")]
        source.write_text("\n".join([*parts, to_verilog(controller)]), encoding="utf-8")
        self._build = simulator.build(
            [MODEL, source], "sdram_bench", public=["finished"], optimize=optimize
        )

    def run(
        self,
        requests: Requests,
        words: np.ndarray,
        *,
        i_gap: int = 0,
        o_gap: int = 0,
        clocks: bool = False,
        go_on: bool = False,
        seed: int = 1,
    ) -> Result:
        """Run requests.

        Args:
            requests: A row for each: address, number of words, write, clocks before it.
            words: Words to write, of all write requests.
            i_gap: Clocks between words to write, at most.
            o_gap: Clocks for which a word read waits, at most.
            clocks: Whether the clock of each transfer is wanted.
            go_on: Whether violations are tolerated; what is read from then on is garbage.
            seed: Of the gaps and of what was never written.

        Raises:
            ToolError: A command broke a rule of the chip, or the requests do not come to an end.
        """
        address, count, write, gap = np.asarray(requests, np.int64).T
        rows = np.stack([address, count | write << 31, gap], axis=1)
        rows.astype(">u4").tofile(self._folder / "requests.bin")
        np.asarray(words).astype(">u2").tofile(self._folder / "data.bin")
        each = 64 + int(max(i_gap, o_gap))
        most = 1_000_000 + int(gap.sum() + (count.sum() + len(count)) * each)
        plusargs = [f"+i_gap={i_gap}", f"+o_gap={o_gap}"]
        plusargs += ["+clocks"] * clocks + ["+sdram_go_on"] * go_on
        _simulate(self._build, self._folder, most, plusargs, seed)
        return self._result()

    def _result(self) -> Result:
        def read(name: str, kind: type) -> np.ndarray:
            return np.fromfile(self._folder / f"{name}.bin", kind)

        counts = [int(value) for value in read("monitor", np.uint64)]
        clocks, refreshes, gap, activations, reads, writes, _ = counts
        return Result(
            words=read("reads", np.uint16),
            clocks=clocks,
            refreshes=refreshes,
            largest_gap_ns=gap / 1e6,
            activations=activations,
            reads=reads,
            writes=writes,
            request_clocks=read("request_clocks", np.uint32),
            write_clocks=read("write_clocks", np.uint32),
            read_clocks=read("read_clocks", np.uint32),
        )


class CommandBench:
    """The model of a chip alone, in Verilator, for commands of any kind.

    Parameters
    ----------
    chip : what is modelled.
    frequency_mhz : of the clock.
    folder : for the bench's files.

    Raises ToolError when the simulator is missing or fails to build.
    """

    def __init__(self, chip: SdramChip, frequency_mhz: float, folder: Path) -> None:
        self._folder = folder
        source = folder / "commands.sv"
        bench = (HERE / "sdram_commands.sv").read_text(encoding="utf-8")
        source.write_text(f"{chip_macro(chip, frequency_mhz)}\n{bench}", encoding="utf-8")
        self._build = simulator.build(
            [MODEL, source], "sdram_commands", public=["finished"], optimize=0
        )

    def run(
        self, commands: Sequence[tuple[int, int]], *, go_on: bool = False, seed: int = 1
    ) -> np.ndarray:
        """Words at the chip's pins at each edge, from the edge before the first command on.

        Args:
            commands: Pins and word to write of each clock, as in sdram_commands.sv.
            go_on: Whether violations are tolerated; what is read from then on is garbage.
            seed: Of what was never written.

        Raises:
            ToolError: A command broke a rule of the chip.
        """
        np.asarray(commands, ">u4").tofile(self._folder / "commands.bin")
        plusargs = ["+sdram_go_on"] * go_on
        _simulate(self._build, self._folder, len(commands) + 100, plusargs, seed)
        found = np.fromfile(self._folder / "pins.bin", np.uint16)
        if len(found) < len(commands):
            raise ToolError(f"the simulator gave {len(found)} words of {len(commands)} clocks")
        return found
