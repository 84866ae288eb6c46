"""Arrays in numpy's .npz files, from anyone: nothing in them is executed, or believed unchecked."""

import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hw.errors import InputError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(file: Path, most_bytes: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, in its order; none of them can be written to.

    Raises InputError if it is no such file, or would take more than `most_bytes` of memory; OSError
    if it cannot be read.
    """
    with file.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return _read_archive(archive, most_bytes)
        except InputError as error:
            why = str(error)
        except Exception:  # whatever zipfile, zlib and numpy raise is about the file
            why = "it cannot be understood"
    raise InputError(f"{file} must be a file of weights (.npz), and is not: {why}")


def _read_archive(archive: zipfile.ZipFile, most_bytes: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if (size := sum(member.file_size for member in members)) > most_bytes:
        raise InputError(f"it would take {size} bytes, of at most {most_bytes}")
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{name!r} is compressed in another way than numpy does it")
        if name in arrays:
            raise InputError(f"it has two arrays {name!r}")
        with archive.open(member) as stream:
            arrays[name] = _read_array(name, stream)
    return arrays


def _read_array(name: str, stream: BinaryIO) -> np.ndarray:
    shape, by_columns, kind = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if kind.hasobject:
        raise InputError(f"{name!r} holds Python objects")
    content = stream.read()
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(content):
        raise InputError(f"{name!r} holds {len(content)} bytes, which are not {shape} of {kind}")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")
