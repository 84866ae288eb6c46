"""Models in state dicts of PyTorch, as torch.save writes them."""

import io
import pickletools
import warnings
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np

from gradwire.models.network import Network, by_owner, check_count, network, shown
from hw.errors import InputError

_MOST_PICKLED = 1 << 20  # bytes of names and shapes
# What the pickle in a state dict calls; torch.load itself lets more through, some of which may take
# any amount of memory. Types of numbers come as torch.FloatStorage and the like.
_CALLED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
_ACTIVATIONS = {
    "sigmoid": "Sigmoid",
    "sigmoid-exact": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "identity": "Identity",
}


def read(file: Path) -> Network:
    """The network in a state dict of nn.Linear layers, which says nothing of activation functions.

    Raises InputError, see gradwire.models.read.
    """
    torch = _torch()
    _check_archive(file)
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # whatever PyTorch raises is about the file
        raise _no_state_dict(file, "PyTorch cannot load it") from None
    tensors = _tensors(torch, file, found)
    check_count(file, (tensor.numel() for tensor in tensors.values()))
    return network(file, by_owner(file, {n: _array(torch, t) for n, t in tensors.items()}), None)


def write(found: Network) -> bytes:
    """The content of a file with the state dict of the module that `module` names.

    Raises InputError if PyTorch is missing.
    """
    torch = _torch()
    state = {}
    for number, (w, b) in enumerate(zip(found.weights.weights, found.weights.biases, strict=True)):
        state[f"{2 * number}.weight"] = torch.from_numpy(w.copy())
        state[f"{2 * number}.bias"] = torch.from_numpy(b.copy())
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def module(found: Network) -> str:
    """The Python expression of the module that the state dict is for."""
    parts = []
    for w, name in zip(found.weights.weights, found.design.activations, strict=True):
        parts += [f"nn.Linear({w.shape[1]}, {w.shape[0]})", f"nn.{_ACTIVATIONS[name]}()"]
    return f"nn.Sequential({', '.join(parts)})"


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        raise InputError("state dicts (.pt) need PyTorch: pip install gradwire[torch]") from None
    return torch


def _no_state_dict(file: Path, why: str) -> InputError:
    return InputError(
        f"{file} must be a state dict, torch.save(model.state_dict(), ...), and is not: {why}"
    )


def _check_archive(file: Path) -> None:
    """Raise InputError unless the file is an archive as torch.save writes it since PyTorch 1.6.

    Its parts are not compressed, so that none is larger than the file, and its pickle calls only
    what makes tensors.
    """
    with file.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                pickles = [x for x in archive.infolist() if x.filename.endswith("/data.pkl")]
                if any(member.compress_type for member in archive.infolist()):
                    raise _no_state_dict(file, "it is compressed")
                if len(pickles) != 1 or pickles[0].file_size > _MOST_PICKLED:
                    raise _no_state_dict(file, "it is another kind of archive")
                called = _called(archive.read(pickles[0]))
                if archive.testzip():
                    raise _no_state_dict(file, "it is damaged")
        except InputError:
            raise
        except Exception:  # whatever zipfile and pickletools raise is about the file
            raise _no_state_dict(file, "it is no archive of PyTorch 1.6 or later") from None
    for name in called:
        storage = name.startswith("torch ") and name.endswith("Storage")
        if name not in _CALLED and not storage:
            raise _no_state_dict(file, f"it holds {shown(name.replace(' ', '.'))}")


def _called(pickled: bytes) -> list[str]:
    """Whatever a pickle imports, as "module name"; it is read, not executed."""
    operations = list(pickletools.genops(pickled))
    for operation, _, _ in operations:
        if operation.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            return [operation.name]
    return [str(argument) for operation, argument, _ in operations if operation.name == "GLOBAL"]


def _tensors(torch: ModuleType, file: Path, found: object) -> dict[str, object]:
    if not isinstance(found, dict):
        raise _no_state_dict(file, f"it is of type {type(found).__name__}")
    for name, tensor in found.items():
        if not isinstance(name, str):
            raise _no_state_dict(file, f"a name in it is of type {type(name).__name__}")
        if not isinstance(tensor, torch.Tensor):
            raise _no_state_dict(file, f"{shown(name)} is of type {type(tensor).__name__}")
    return found


def _array(torch: ModuleType, tensor: object) -> np.ndarray:
    """In float64 what numpy does not have: bfloat16 and still smaller formats."""
    tensor = tensor.detach()
    wide = tensor.dtype in (torch.float64, torch.float32, torch.float16)
    if tensor.dtype.is_floating_point and not wide:
        tensor = tensor.to(torch.float64)
    return tensor.numpy()
