"""What a graph of ONNX holds itself: initializers, constants, and their transposes."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gradwire.models.network import check_count, shown
from hw.errors import InputError

# What FP32 holds exactly, and float64, which is rounded.
NUMBERS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")


def library() -> ModuleType:
    """The library onnx. Raises InputError if it is not installed."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise InputError("ONNX files need the library onnx: pip install gradwire[onnx]") from None
    return onnx


class Constants:
    """The tensors of a graph by name.

    Parameters
    ----------
    file : of the model; data outside it must lie beside it.
    graph : of the model.

    Members
    -------
    others : the nodes that make no constant.

    Raises InputError, here and where a tensor is read, if it is not what it claims.
    """

    def __init__(self, file: Path, graph: Any) -> None:
        self._onnx = library()
        self._file = file
        self._tensors: dict[str, Any] = {}
        self._transposed: set[str] = set()
        for tensor in graph.initializer:
            self._put(tensor.name, tensor)
        left = []
        for node in graph.node:
            if node.op_type == "Constant" and len(node.output) == 1:
                self._put(node.output[0], self._constant(node))
            else:
                left.append(node)
        self.others = []
        for node in left:
            if self._turns(node):
                self._put(node.output[0], self._tensors[node.input[0]])
                self._transposed.add(node.output[0])
            else:
                self.others.append(node)
        check_count(file, (math.prod(tensor.dims) for tensor in self._tensors.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def array(self, name: str, kinds: tuple[str, ...] = NUMBERS) -> np.ndarray:
        """The tensor of that name, whose type must be one of `kinds`.

        BFLOAT16 comes as float32, else its type is that of the file.
        """
        found = self._array(self._tensors[name], f"{self._file}: {shown(name)}", kinds)
        return found.T if name in self._transposed else found

    def _put(self, name: str, tensor: Any) -> None:
        where = f"{self._file}: {shown(name)}"
        if name in self._tensors:
            raise InputError(f"{where} must be one tensor, not several")
        if min(tensor.dims, default=0) < 0:
            raise InputError(f"{where} must have sizes of 0 or more, not {min(tensor.dims)}")
        self._tensors[name] = tensor

    def _constant(self, node: Any) -> Any:
        names = [attribute.name for attribute in node.attribute]
        if names == ["value"]:
            return node.attribute[0].t
        where = f"{self._file}: Constant {shown(node.output[0])}"
        raise InputError(f"{where} must have the attribute value, not {shown(', '.join(names))}")

    def _turns(self, node: Any) -> bool:
        """Whether it transposes a matrix among the tensors that there are so far."""
        if node.op_type != "Transpose" or not len(node.input) == len(node.output) == 1:
            return False
        matrix = self._tensors.get(node.input[0])
        order = [[*attribute.ints] for attribute in node.attribute]
        return (
            matrix is not None
            and node.input[0] not in self._transposed
            and len(matrix.dims) == 2
            and order in ([], [[1, 0]])
        )

    def _array(self, tensor: Any, where: str, kinds: tuple[str, ...]) -> np.ndarray:
        types = self._onnx.TensorProto
        names = {number: name for name, number in types.DataType.items()}
        if (kind := names.get(tensor.data_type, str(tensor.data_type))) not in kinds:
            raise InputError(f"{where} must be {' or '.join(kinds)}, not {kind}")
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        size = math.prod(tensor.dims) * dtype.itemsize
        if tensor.data_location == types.EXTERNAL:
            content = self._beside(tensor, where, size)
        elif tensor.HasField("raw_data"):
            content = tensor.raw_data
        else:
            return self._listed(tensor, where)
        if len(content) != size:
            raise InputError(f"{where} must have {size} bytes, not {len(content)}")
        found = np.frombuffer(content, dtype.newbyteorder("<")).reshape(tensor.dims)
        return found.astype(np.float32) if kind == "BFLOAT16" else found

    def _listed(self, tensor: Any, where: str) -> np.ndarray:
        """A tensor that is a list of numbers and not of bytes."""
        try:
            found = self._onnx.numpy_helper.to_array(tensor)
        except Exception:  # whatever the library raises is about the tensor
            raise InputError(
                f"{where} must have {math.prod(tensor.dims)} numbers, and has not"
            ) from None
        return found if found.dtype.kind != "V" else found.astype(np.float32)

    def _beside(self, tensor: Any, where: str, size: int) -> bytes:
        """Up to `size` bytes of a tensor from a file of its own, which must lie beside the model's.

        Neither paths nor links lead to other folders.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        name, offset = entries.get("location", ""), entries.get("offset", "0")
        # A name that is not UTF-8 comes as bytes.
        plain = isinstance(name, str) and name.isprintable() and "\\" not in name
        path = self._file.parent / name if plain and Path(name).name == name else None
        if path is None or path.is_symlink() or not path.is_file():
            raise InputError(f"{where} must be in a file beside the model's, not in {shown(name)}")
        if not (offset.isascii() and offset.isdigit() and len(offset) < 16):
            raise InputError(f"{where} must begin at a whole number, not {shown(offset)}")
        if (length := entries.get("length", str(size))) != str(size):
            raise InputError(f"{where} must have {size} bytes, not {shown(length)}")
        with path.open("rb") as stream:
            stream.seek(int(offset))
            return stream.read(size)
