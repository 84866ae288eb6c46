"""The files of others: models of PyTorch, ONNX and numpy, to and fro."""

from collections.abc import Callable
from pathlib import Path

from gradwire.models import graph, numbered, state_dict
from gradwire.models.network import MOST_PARAMETERS, Network
from hw.errors import InputError

__all__ = ["FORMATS", "MOST_PARAMETERS", "Network", "read", "write"]

_READERS: dict[str, Callable[[Path], Network]] = {
    ".npz": numbered.read,
    ".onnx": graph.read,
    ".pt": state_dict.read,
    ".pth": state_dict.read,
}
_WRITERS: dict[str, Callable[[Network], bytes]] = {
    "onnx": graph.write,
    "pt": state_dict.write,
    "npz": numbered.write,
}
FORMATS = tuple(_WRITERS)
_MOST_BYTES = 8 * MOST_PARAMETERS + (1 << 20)  # float64, names and all around them


def read(file: Path, activation: str | None = None) -> Network:
    """The network in a file: ONNX, a state dict of PyTorch, or arrays of numpy (docs/models.md).

    Parameters
    ----------
    file : its name must end in .onnx, .pt, .pth or .npz.
    activation : activation functions, one name for all layers or one for each, joined by commas.
        Where the file has some itself, they must be the same functions. By default those of the
        file, and sigmoid if it has none.

    Nothing of what the file holds is executed. Raises InputError if it is no such file, holds
    what no machine has, weights that are not finite or more than MOST_PARAMETERS, or if a library
    that reads it is missing; OSError if it cannot be read.
    """
    if file.suffix.lower() not in _READERS:
        raise InputError(f"a model must be a file *{', *'.join(_READERS)}, not {file.name!r}")
    size = file.stat().st_size
    if not file.is_file() and not file.is_dir():
        raise InputError(f"{file} must be a file, and is not")
    if size > _MOST_BYTES:
        raise InputError(f"{file} must have at most {_MOST_BYTES} bytes, not {size}")
    return _READERS[file.suffix.lower()](file).with_activation(file, activation)


def write(network: Network, to: str) -> bytes:
    """The content of a file with `network`; `to` is one of FORMATS.

    Raises InputError for another format, or if the library that writes it is missing.
    """
    if to not in _WRITERS:
        raise InputError(f"to must be one of {', '.join(FORMATS)}, not {to!r}")
    return _WRITERS[to](network)
