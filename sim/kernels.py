"""The array's three operations on whole matrices: the golden model's inner loops.

They are written in C++ (kernels.cpp), because additions in the machine's order, each flushed, are
no operation of numpy's. They are compiled when they are first used; the result stays in the cache.
"""

import ctypes
import functools
import hashlib
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw import tool
from hw.design import Accumulation

Array = np.ndarray

_byte = ctypes.c_char.from_buffer

_SOURCE = Path(__file__).with_name("kernels.cpp")

# Contraction would fuse products with sums. Nobody reads the floating-point exceptions that the
# other option preserves, and without it comparisons stay out of vector instructions.
_FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fopenmp-simd"]
_LIBRARY = ["-shared", "-fPIC"]


def accumulate(
    matrix: Array, vector: Array, first: Array | None, order: Accumulation, flush: bool
) -> Array:
    """`vector` @ `matrix`, and `first` before it, each sum in the order of one PE's adder.

    Parameters
    ----------
    matrix : shape (rows, columns).
    vector : shape (rows,).
    first : shape (columns,); counts as the products of a row before the others.
    order : for as many products as there are rows, and one more with `first`.
    flush : whether subnormal results become zero.
    """
    rows, columns = matrix.shape
    if order.length != rows + (first is not None):
        raise ValueError(f"an order of {order.length} additions for {rows} rows")
    sums = np.empty((order.sums + len(order.combines), columns), np.float32)
    _library().gradwire_accumulate(
        flush,
        _address(matrix, rows, columns),
        _address(vector, rows),
        None if first is None else _address(first, columns),
        _address(sums, *sums.shape),
        rows,
        columns,
        order.rotating,
        order.sums,
        _integers(tuple(number for step in order.combines for number in (step.left, step.right))),
        len(order.combines),
    )
    return sums[-1].copy()


def reduce(
    matrix: Array, local: Array, carry: Array | None, blocks: Sequence[int], flush: bool
) -> Array:
    """`matrix` @ `local` + `carry`, each sum as the adder tree makes it, fold by fold.

    Parameters
    ----------
    matrix : shape (rows, columns).
    local : shape (columns,).
    carry : shape (rows,).
    blocks : how the tree sums the products of a fold, see hw.design.reduction_blocks.
    flush : whether subnormal results become zero.
    """
    rows, columns = matrix.shape
    sums = np.empty(rows, np.float32)
    _library().gradwire_reduce(
        flush,
        _address(matrix, rows, columns),
        _address(local, columns),
        None if carry is None else _address(carry, rows),
        _address(sums, rows),
        rows,
        columns,
        _integers(tuple(blocks)),
        len(blocks),
    )
    return sums


def update(before: Array, after: Array, broadcast: Array, local: Array, flush: bool) -> None:
    """`after` becomes `before` + outer product of `broadcast` and `local`.

    Parameters
    ----------
    before, after : shape (rows, columns); may be one and the same.
    broadcast : shape (rows,).
    local : shape (columns,).
    flush : whether subnormal results become zero.
    """
    rows, columns = after.shape
    _library().gradwire_update(
        flush,
        _address(before, rows, columns),
        _address(after, rows, columns),
        _address(broadcast, rows),
        _address(local, columns),
        rows,
        columns,
    )


def _address(array: Array, *shape: int) -> int:
    """Where an array begins that is as the kernels expect it."""
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        found = f"{array.dtype} {array.shape}"
        raise ValueError(f"an array must be contiguous float32 {shape}, not {found}")
    # `array.ctypes.data` takes four times as long.
    return ctypes.addressof(_byte(array)) if array.flags.writeable else array.ctypes.data


@functools.cache
def _integers(values: tuple[int, ...]) -> ctypes.Array:
    return (ctypes.c_int64 * len(values))(*values)


@functools.cache
def _library() -> ctypes.CDLL:
    """The compiled kernels. Raises ToolError if there is no C++ compiler or it fails."""
    library = ctypes.CDLL(str(_compiled()))
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    integers = ctypes.POINTER(ctypes.c_int64)
    library.gradwire_accumulate.argtypes = [
        *(number, pointer, pointer, pointer, pointer),
        *(size, size, number, size, integers, size),
    ]
    library.gradwire_reduce.argtypes = [
        *(number, pointer, pointer, pointer, pointer),
        *(size, size, integers, size),
    ]
    library.gradwire_update.argtypes = [number, pointer, pointer, pointer, pointer, size, size]
    for name in ("accumulate", "reduce", "update"):
        getattr(library, f"gradwire_{name}").restype = None
    return library


def _compiled() -> Path:
    """The library, from the cache or compiled: whole, however many processes want it at once."""
    about = [_SOURCE.read_text(encoding="utf-8"), *_FLAGS, tool.compiler(), platform.platform()]
    key = hashlib.sha256("\0".join(about).encode()).hexdigest()[:32]
    library = tool.cache_dir() / "kernels" / f"{key}.so"
    with tool.lock("kernels"):
        if not library.exists():
            library.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=library.parent) as work:
                made = Path(work) / library.name
                tool.run(
                    [tool.compiler(), *_FLAGS, *_LIBRARY, _SOURCE, "-o", made],
                    tool="the C++ compiler",
                    log=library.with_suffix(".log"),
                )
                made.rename(library)
    return library
