"""A core with AXI outside in simulation: what a driver talks to instead of a chip.

The masters are those of cocotbext-axi, which has to be installed.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from hw.design import Design
from hw.errors import ToolError
from sim.bench.axi import build
from sim.bench.remote import running


class _Remote:
    """One of the bench's interfaces.

    Simulated time passes while something is asked for, and stands still otherwise: the same calls
    always give the same run.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ask(self, *request: object) -> object:
        try:
            self._connection.send(request)
            return self._connection.recv()
        except (EOFError, OSError):
            raise ToolError("the simulator has ended") from None


class SimulatedMemory(_Remote):
    """Registers and weights, by an AXI4-Lite master; addresses in bytes."""

    def read(self, address: int) -> int:
        """The word there. Raises ToolError if the core refuses."""
        word = self._ask("read", address)
        if word is None:
            raise ToolError(f"the core refuses a read of {address:#x}")
        return word

    def write(self, address: int, word: int) -> None:
        """Write it. Raises ToolError if the core refuses."""
        if not self._ask("write", address, word):
            raise ToolError(f"the core refuses a write to {address:#x}")


class SimulatedSamples(_Remote):
    """The master of the stream of samples, with a queue."""

    def send(self, records: np.ndarray) -> None:
        """Each row of uint32 words is a packet, which goes when the core takes it."""
        self._ask("send", [record.astype("<u4").tobytes() for record in records])

    def wait(self) -> None:
        """Until all has been taken. Raises TimeoutError if that does not happen."""
        if not self._ask("wait"):
            raise TimeoutError


class SimulatedResults(_Remote):
    """The slave of the stream of results; takes packets only when they are asked for."""

    def receive(self, packets: int, words: int) -> np.ndarray:
        """The next packets, each of so many words; shape (packets, words), uint32.

        Raises TimeoutError if there are not so many, ToolError if one has another size.
        """
        found = self._ask("receive", packets)
        if found is None:
            raise TimeoutError
        for packet in found:
            if len(packet) != 4 * words:
                raise ToolError(f"a packet of results must be of {4 * words} bytes")
        return np.frombuffer(b"".join(found), "<u4").reshape(packets, words)

    def clear(self) -> None:
        """Drop what comes until nothing more does."""
        self._ask("clear")


@dataclasses.dataclass(frozen=True)
class SimulatedCore:
    """What a driver has of a core.

    Members
    -------
    memory, samples, results : its interfaces.
    """

    memory: SimulatedMemory
    samples: SimulatedSamples
    results: SimulatedResults


@contextlib.contextmanager
def simulated_core(design: Design, *, seed: int = 1) -> Iterator[SimulatedCore]:
    """The core of `design` in Verilator, for the `with` block.

    `seed` is of uninitialised memories in the simulation. Raises ToolError when the simulator is
    missing or fails, and when the core breaks a rule of AXI.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = folder / "simulation.log"
        made = build(design, folder)
        with running(made, "sim.bench.axi_host_bench", log, seed) as connection:
            yield SimulatedCore(
                SimulatedMemory(connection),
                SimulatedSamples(connection),
                SimulatedResults(connection),
            )
