"""A simulator that does what a program in another process asks of it."""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from hw import tool
from hw.errors import ToolError
from sim import simulator

#: Environment variable with the address that the bench calls.
ADDRESS = "GRADWIRE_LINK"


@contextlib.contextmanager
def running(
    build: simulator.Build,
    module: str,
    log: Path,
    seed: int,
    complaint: Callable[[Path], str | None] = lambda _: None,
) -> Iterator[Connection]:
    """The connection to the bench `module`, which runs for the `with` block.

    Parameters
    ----------
    build : the simulator.
    module : the bench's cocotb side; it ends when the connection does.
    log : file for what the bench prints.
    seed : of uninitialised memories in the simulation.
    complaint : finds in the log what the bench has objected to; None if to nothing.

    Raises ToolError when the simulator is missing or fails.
    """
    bench = _Bench(build, module, log, seed, complaint)
    try:
        yield bench.connection
    finally:
        bench.end()


class _Bench:
    """The simulator, running in a thread, and the connection to it."""

    def __init__(
        self,
        build: simulator.Build,
        module: str,
        log: Path,
        seed: int,
        complaint: Callable[[Path], str | None],
    ) -> None:
        self._error: ToolError | None = None
        self._log = log
        self._complaint = complaint
        with Listener() as listener:
            arguments = (build, module, listener.address, seed)
            self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
            self._connected = False
            self._thread.start()
            self.connection = listener.accept()
            self._connected = True

    def _run(self, build: simulator.Build, module: str, address: str, seed: int) -> None:
        try:
            simulator.run(build, module, log=self._log, env={ADDRESS: address}, seed=seed)
        except ToolError as error:
            said = self._complaint(self._log)
            self._error = ToolError(f"{said}; log: {self._log.absolute()}") if said else error
        finally:
            # If it has failed before it called, nobody else will.
            if not self._connected:
                with contextlib.suppress(OSError):
                    Client(address).close()

    def end(self) -> None:
        """Hang up, wait for the simulator to end, and raise its error, if there was one."""
        self.connection.close()
        self._thread.join()
        if self._error:
            # The folder may be a temporary one: what the tool said shall outlive it.
            kept = tool.cache_dir() / "link.log"
            kept.parent.mkdir(parents=True, exist_ok=True)
            if self._log.exists():
                shutil.copy(self._log, kept)
            raise ToolError(str(self._error).replace(str(self._log.absolute()), str(kept)))
