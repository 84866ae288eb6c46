"""Device files of Linux: registers to be mapped, streams to be read and written."""

import mmap
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from hw.errors import InputError, ToolError

_SETTLED = 0.05  # seconds in which a FIFO beside the core runs empty


class _File:
    """A device file, open for the `with` block or until `close`."""

    def __init__(self, path: str | Path, flags: int) -> None:
        self._path = path
        try:
            self._file = os.open(path, flags)
        except OSError as error:
            raise self._cannot("be opened", error) from None

    def _cannot(self, what: str, error: OSError | ValueError) -> InputError:
        why = getattr(error, "strerror", None) or error
        return InputError(f"device file {self._path} cannot {what}: {why}")

    def close(self) -> None:
        """Close it."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class DeviceFile(_File):
    """Registers in a device file that can be mapped: the `memory` of MemoryMapped.

    Parameters
    ----------
    path : such as /dev/uio0, or /dev/mem (which only root may open).
    offset : of the core's base address in it, bytes: a physical address in /dev/mem; 0 for the
        first map of a UIO device, n pages for its map n.
    size : bytes of the core's address space: 2 to the power of `address_bits` in the JSON that
        `gradwire generate` writes.

    Raises InputError if it cannot be opened or mapped, if `offset` is no multiple of 4, or an
    address is not in it.
    """

    def __init__(self, path: str | Path, *, offset: int = 0, size: int) -> None:
        if offset % 4:
            raise InputError(f"offset must be a multiple of 4 bytes, not {offset:#x}")
        # Without O_SYNC, /dev/mem would be cached.
        super().__init__(path, os.O_RDWR | os.O_SYNC)
        page = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        try:
            self._map = mmap.mmap(self._file, offset - page + size, offset=page)
            # Of an aligned array, numpy reads and writes an element in one access.
            self._words = np.frombuffer(self._map, np.uint32, size // 4, offset - page)
        except (OSError, ValueError, OverflowError) as error:
            os.close(self._file)
            raise self._cannot(f"be mapped, {size} bytes from {offset:#x} on", error) from None

    def read(self, address: int) -> int:
        """The word at `address`."""
        return int(self._words[self._index(address)])

    def write(self, address: int, word: int) -> None:
        """Write a word to `address`."""
        self._words[self._index(address)] = word

    def _index(self, address: int) -> int:
        if not 0 <= address < 4 * len(self._words):
            raise InputError(
                f"an address in {self._path} must be below {4 * len(self._words):#x}, its size, "
                f"not {address:#x}"
            )
        return address // 4

    def close(self) -> None:
        """Unmap and close it."""
        # The map stays as long as an array is in it.
        del self._words
        self._map.close()
        super().close()


class StreamFile(_File):
    """A stream in a device file where a `write` or a `read` is a packet: `samples` or `results`.

    So it is with the drivers of AXI4-Stream FIFOs and of DMA channels that end a packet with each
    transfer. What a driver does otherwise, such as a packet over several transfers, needs a class
    of its own.

    Parameters
    ----------
    path : of the file.
    to_core : whether samples go to it, or results come from it.
    timeout : seconds for which it may stand still, if the driver knows `poll`; if not, the
        driver's own time-out counts.

    Raises InputError if it cannot be opened, ToolError if it fails.
    """

    def __init__(self, path: str | Path, *, to_core: bool, timeout: float = 10.0) -> None:
        super().__init__(path, os.O_WRONLY if to_core else os.O_RDONLY)
        self._timeout = timeout

    def send(self, records: np.ndarray) -> None:
        """Write each row of uint32 words at once. Raises TimeoutError if one is not taken."""
        for record in records:
            data = record.astype(np.uint32).tobytes()
            self._await(writing=True, seconds=self._timeout)
            if (sent := self._do(os.write, data)) != len(data):
                raise ToolError(f"{self._path} takes {sent} bytes of a packet of {len(data)}")

    def wait(self) -> None:
        """Until the core has taken what the driver has."""
        time.sleep(_SETTLED)

    def receive(self, packets: int, words: int) -> np.ndarray:
        """The next packets, of so many words; shape (packets, words), uint32.

        Raises TimeoutError if they do not come.
        """
        found = np.empty((packets, words), np.uint32)
        for packet in found:
            self._await(writing=False, seconds=self._timeout)
            data = self._do(os.read, packet.nbytes)
            if len(data) != packet.nbytes:
                raise ToolError(
                    f"a packet from {self._path} must have {packet.nbytes} bytes, not {len(data)}"
                )
            packet[:] = np.frombuffer(data, np.uint32)
        return found

    def clear(self) -> None:
        """Drop what comes until nothing more does."""
        try:
            while True:
                self._await(writing=False, seconds=_SETTLED)
                if not self._do(os.read, mmap.PAGESIZE):
                    return
        except TimeoutError:
            return

    def _await(self, *, writing: bool, seconds: float) -> None:
        reads, writes = ([], [self._file]) if writing else ([self._file], [])
        readable, writable, _ = select.select(reads, writes, [], seconds)
        if not readable + writable:
            raise TimeoutError

    def _do(self, access: Callable, what: bytes | int) -> int | bytes:
        try:
            return access(self._file, what)
        except (BlockingIOError, TimeoutError):
            # The driver's time-out.
            raise TimeoutError from None
        except OSError as error:
            raise ToolError(f"device file {self._path} has failed: {error.strerror}") from None
