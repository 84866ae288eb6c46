"""Models as state dicts of PyTorch."""

import itertools
import os
import pickle
import sys
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from model_examples import LAYERS, random_network, random_weights, same_weights

from gradwire import models
from gradwire.models import state_dict
from hw.errors import InputError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.pt"


def linear(torch, *sizes, **more):
    """Fully connected layers with functions between them, from a seed."""
    torch.manual_seed(1)
    parts = []
    for inputs, outputs in itertools.pairwise(sizes):
        parts += [torch.nn.Linear(inputs, outputs, **more), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
    return torch.nn.Sequential(*parts)


def test_layers_in_their_order(torch, file):
    module = linear(torch, 4, 7, 2, 3)
    torch.save(module.state_dict(), file)
    found = models.read(file, "relu,tanh,sigmoid")
    assert (found.layers, found.activation) == ((4, 7, 2, 3), "relu,tanh,sigmoid")
    ours = [
        a for pair in zip(found.weights.weights, found.weights.biases, strict=True) for a in pair
    ]
    for one, other in zip(ours, module.parameters(), strict=True):
        np.testing.assert_array_equal(one, other.detach().numpy())
    assert not models.read(file).said


def test_there_and_back(torch, file):
    network = random_network("tanh,identity")
    file.write_bytes(models.write(network, "pt"))
    same_weights(models.read(file).weights, random_weights())
    assert state_dict.module(network) == (
        "nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3), nn.Identity())"
    )


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16", "int8"])
def test_types_that_fp32_holds(torch, file, kind):
    kept = {n: (8 * t).round().to(getattr(torch, kind)) for n, t in state(torch).items()}
    torch.save(kept, file)
    found = models.read(file)
    assert found.rounded == 0
    np.testing.assert_array_equal(found.weights.weights[1], kept["2.weight"].float().numpy())


def state(torch):
    w, b = random_weights().weights, random_weights().biases
    return {
        f"{2 * n}.{name}": torch.from_numpy(arrays[n].copy())
        for n in range(len(w))
        for name, arrays in (("weight", w), ("bias", b))
    }


def test_no_biases_rounding_and_parameters(torch, file):
    torch.save(linear(torch, *LAYERS, bias=False, dtype=torch.float64).state_dict(), file)
    found = models.read(file)
    assert not any(map(np.any, found.weights.biases))
    assert found.rounded == 45
    third = torch.nn.Parameter(torch.full((2, 2), 1 / 3, dtype=torch.float64).T)
    torch.save(OrderedDict(weight=third), file)
    assert models.read(file).rounded == 4


def refused(file, named):
    with warnings.catch_warnings(), pytest.raises(InputError, match=named) as raised:
        warnings.simplefilter("error")
        models.read(file)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda nn: nn.Conv2d(1, 2, 3), r"layer 2 is Conv \('3'\): not supported"),
        (lambda nn: nn.BatchNorm1d(3), r"layer 2 must be fully connected: '3.weight' of shape"),
        (lambda nn: nn.LSTM(3, 3), r"layer 2 must be fully connected: '3.weight_ih_l0' of shape"),
        (lambda nn: nn.Linear(4, 3), r"layer 2 \('3'\) must have 3 inputs, .* not 4"),
        (lambda nn: nn.PReLU(), r"layer 2 must be fully connected: '3.weight' of shape \(1,\)"),
    ],
)
def test_layers_that_are_not_supported(torch, file, make, named):
    module = linear(torch, 2, 3).append(make(torch.nn))
    torch.save(module.state_dict(), file)
    refused(file, named)


def test_what_is_no_state_dict(torch, file):
    for what, named in (
        (linear(torch, 2, 2), "it holds 'torch.nn.modules.container.Sequential"),
        ({"epoch": 3, "state_dict": state(torch)}, "'epoch' is of type int"),
        ([torch.ones(2)], "it is of type list"),
        ({3: torch.ones(2)}, "a name in it is of type int"),
        (torch.ones(2), "it is of type Tensor"),
        ({"a\x1b[31m\n.weight": 1}, r"'a\\x1b\[31m\\n.weight' is of type int"),
        ({"weight": torch.ones(2, 2).to_sparse()}, "it holds 'torch._utils._rebuild_sparse"),
        ({"weight": torch.ones(2, 2, dtype=torch.complex64)}, "must be a number, not complex64"),
        ({"weight": torch.ones(2, 2, device="meta")}, "it holds 'torch._utils._rebuild_meta"),
        ({"weight": torch.full((2, 2), np.nan)}, "each weight must be finite in FP32, not nan"),
    ):
        torch.save(what, file)
        refused(file, named)


class Attack:
    """What unpickling would do: make a file."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_is_not_executed(torch, file, tmp_path, protocol):
    place = tmp_path / "executed"
    torch.save({"0.weight": Attack(place)}, file, pickle_protocol=protocol)
    refused(file, "must be a state dict, .*: it holds '(posix.mkdir|STACK_GLOBAL|nt.mkdir)'")
    file.write_bytes(pickle.dumps({"0.weight": Attack(place)}, protocol))
    refused(file, "it is no archive of PyTorch 1.6 or later")
    torch.save({"0.weight": Attack(place)}, file, _use_new_zipfile_serialization=False)
    refused(file, "it is no archive of PyTorch 1.6 or later")
    assert not place.exists()
    torch.load(file, weights_only=False)
    assert place.is_dir()  # so that it would have been


def rewritten(file, change, compression=zipfile.ZIP_STORED):
    """The archive with its pickle changed."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


@pytest.mark.parametrize(
    "claimed, real",
    [
        (b"K\x06K\x05\x86", b"K\x05K\x06\x86"),  # another shape: the same 30 numbers, but steps
        (b"J\xff\xff\xff\x7fK\x06\x86", b"K\x05K\x06\x86"),  # a shape of billions
        (b"cpuq\x07K\x28", b"cpuq\x07K\x1e"),  # a storage of 40
        (b"cpuq\x07J\xff\xff\xff\x7f", b"cpuq\x07K\x1e"),
        (b"cpuq\x07J\xff\xff\xff\xff", b"cpuq\x07K\x1e"),  # of -1
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"K\x1e"),
    ],
)
def test_sizes_that_are_not_so(torch, file, claimed, real):
    torch.save(OrderedDict(state(torch)), file)

    def change(content):
        assert content.count(real) >= 1
        return content.replace(real, claimed, 1)

    rewritten(file, change)
    refused(file, "must be a state dict|must have")


def test_views_that_repeat_one_number(torch, file):
    torch.save({"weight": torch.ones(1).expand(8192, 8192)}, file)
    assert file.stat().st_size < 5000
    refused(file, f"must have at most {models.MOST_PARAMETERS} parameters, not {8192 * 8192}")


def test_damaged_archives(torch, file):
    torch.save(state(torch), file)
    whole = file.read_bytes()
    place = whole.index(random_weights().weights[1].tobytes())
    file.write_bytes(whole[:place] + b"\x00" + whole[place + 1 :])
    refused(file, "it is damaged")
    file.write_bytes(whole)
    rewritten(file, bytes, zipfile.ZIP_DEFLATED)
    refused(file, "it is compressed")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data", b"")
    refused(file, "it is another kind of archive")
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(file, "must be a state dict")


def test_pytorch_is_missing(monkeypatch, file):
    monkeypatch.setitem(sys.modules, "torch", None)
    file.touch()
    with pytest.raises(InputError, match=r"^state dicts \(.pt\) need PyTorch: pip install "):
        models.read(file)
    with pytest.raises(InputError, match=r"need PyTorch: pip install gradwire\[torch\]$"):
        models.write(random_network("relu"), "pt")
