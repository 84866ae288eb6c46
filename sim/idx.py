"""IDX files, the format of MNIST and its relatives: big-endian sizes, then unsigned bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from hw.errors import InputError

# The third byte of the magic number is the type (8: unsigned bytes), the fourth the dimensions.
_UNSIGNED_BYTES = 8


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, gzipped or not.

    Raises InputError, naming the file, if it cannot be read, is of another format, type or number
    of dimensions, or holds fewer or more bytes than it says.
    """
    raw = _read(path)
    magic = _UNSIGNED_BYTES << 8 | dimensions
    header = 4 + 4 * dimensions
    if len(raw) < header:
        raise InputError(f"{path} must have a header of {header} bytes, not {len(raw)} bytes")
    found, *sizes = struct.unpack(f">{1 + dimensions}I", raw[:header])
    if found != magic:
        raise InputError(
            f"{path} must begin with the magic number {magic:#010x}, not {found:#010x}"
        )
    count = math.prod(sizes)
    if len(raw) - header != count:
        raise InputError(f"{path} must hold {count} bytes as it says, not {len(raw) - header}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(sizes)


def find(folder: Path, part: str, kind: str) -> Path:
    """The file of `part` ("train", "t10k") and `kind` ("images-idx3", "labels-idx1").

    Raises InputError if the folder has no such file.
    """
    stem = f"{part}-{kind}-ubyte"
    dotted = f"{part}-{kind.replace('-', '.')}-ubyte"
    for name in (stem, f"{stem}.gz", dotted, f"{dotted}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} must hold {stem} or {stem}.gz: there is neither")


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {reason}") from None
