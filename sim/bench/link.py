"""A system in simulation, with an SDRAM and behind a serial port: what a host program talks to
instead of a board.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from hw.errors import ToolError
from hw.system import System
from hw.verilog import to_verilog
from sim import simulator
from sim.bench import sdram
from sim.bench.remote import running

BENCH = Path(__file__).parent / "link_bench.sv"

# Clocks for which a read waits for a byte.
_PATIENCE = 5_000


class SimulatedPort:
    """The host's end of a serial line into the simulation.

    Simulated time passes while bytes are on the line or something is waited for, and stands still
    otherwise: the same calls always give the same run.

    Parameters
    ----------
    connection : to the bench.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._out = bytearray()
        self._in = bytearray()

    def write(self, data: bytes) -> None:
        """Send `data`, with the next read."""
        self._out += data

    def read_until(self, expected: bytes) -> bytes:
        """What comes, up to an END, which `expected` must be; less if the line falls silent."""
        if expected not in self._in:
            self._exchange(_PATIENCE, whole=True)
        end = self._in.find(expected) + 1 or len(self._in)
        found = bytes(self._in[:end])
        del self._in[:end]
        return found

    def read_all(self, silence: int) -> bytes:
        """What comes until the line has been silent for so many clocks."""
        self._exchange(silence, whole=False)
        found = bytes(self._in)
        self._in.clear()
        return found

    def _exchange(self, patience: int, *, whole: bool) -> None:
        try:
            self._connection.send((bytes(self._out), patience, whole))
            self._in += self._connection.recv()
        except (EOFError, OSError):
            raise ToolError("the simulator has ended") from None
        self._out.clear()


@contextlib.contextmanager
def simulated(
    system: System, *, keep: Path | None = None, seed: int = 1, optimize: int = 2
) -> Iterator[SimulatedPort]:
    """`system` and its SDRAM in Verilator, for the `with` block.

    Parameters
    ----------
    system : small divisors make it fast.
    keep : folder for the bench's files; a temporary one by default.
    seed : of uninitialised memories in the simulation.
    optimize : the C++ compiler's level, see sim.simulator.build.

    Raises ToolError when the simulator is missing or fails, and when a command to the SDRAM breaks
    one of its rules.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        build = _build(system, folder, optimize)
        log = folder / "simulation.log"
        with running(build, "sim.bench.link_bench", log, seed, sdram.complaint) as connection:
            yield SimulatedPort(connection)


def _build(system: System, folder: Path, optimize: int) -> simulator.Build:
    timing = system.timing
    header = [
        f"`define SYSTEM {system.module_name}",
        f"`define DIVISOR {system.divisor}",
        f"`define ROW_BITS {timing.chip.row_bits}",
        sdram.chip_macro(timing.chip, timing.frequency_mhz),
    ]
    source = folder / "link.sv"
    parts = [*header, BENCH.read_text(encoding="utf-8"), to_verilog(system)]
    source.write_text("\n".join(parts), encoding="utf-8")
    public = ["finished", "exchange", "count", "patience", "whole"]
    return simulator.build([sdram.MODEL, source], "link_bench", public=public, optimize=optimize)
