"""Files that mean ill: one line on standard error, exit code 2, nothing executed or written."""

import os
import random
import tracemalloc
import zipfile

import numpy as np
import pytest
from model_examples import library, random_network, random_weights

from gradwire import models, saved
from hw.errors import InputError

MUTATIONS = 200


@pytest.fixture
def file(folder):
    """A place for a model, in the current folder."""
    return folder / "model.npz"


def mutated(content, number):
    """Some bytes of it changed, left out, doubled or cut off at the end, from a seed."""
    rng = random.Random(number)
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(changed))
        size = rng.choice((1, 4, 40))
        way = rng.choice(("bit", "byte", "word", "cut", "double", "end"))
        if way == "bit":
            changed[place] ^= 1 << rng.randrange(8)
        elif way == "byte":
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif way == "word":
            changed[place : place + 4] = rng.randbytes(4)
        elif way == "cut":
            del changed[place : place + size]
        elif way == "double":
            changed[place:place] = changed[place : place + size]
        elif place:
            del changed[place:]
    return bytes(changed)


def test_mutations_change_something():
    content = bytes(range(256))
    found = {mutated(content, n) for n in range(MUTATIONS)} - {content}
    assert len(found) > MUTATIONS * 0.9


@pytest.mark.parametrize("to", ["onnx", "pt", "npz"])
def test_mutated_files(run, folder, to):
    library({"pt": "torch", "npz": "numpy"}.get(to, to))
    content = models.write(random_network("relu,sigmoid-exact"), to)
    model = folder / f"model.{to}"
    codes = []
    for number in range(MUTATIONS):
        model.write_bytes(mutated(content, number))
        codes.append(imports_or_refuses(run, folder, model, f"mutation {number}"))
    assert {0, 2} == set(codes), codes


def imports_or_refuses(run, folder, model, what):
    """Runs the import; returns its exit code. What is written is a valid start, or nothing."""
    result = run("import", model.name, "-o", "out/W.npz")
    written = folder / "out" / "W.npz"
    if result.exit_code == 0:
        found = models.read(written)
        assert all(np.isfinite(w).all() for w in found.weights.weights), what
        assert saved.load(written, found.design).trained == 0, what
        written.unlink()
        (folder / "out").rmdir()
    else:
        assert (result.exit_code, result.stdout) == (2, ""), f"{what}: {result.output}"
        assert result.stderr.startswith("gradwire: "), f"{what}: {result.stderr}"
        line = result.stderr.removesuffix("\n")
        assert line.isprintable() and len(line) < 300, f"{what}: {line!r}"
    assert list(folder.iterdir()) == [model], what
    return result.exit_code


def refused(file, named):
    with pytest.raises(InputError, match=named):
        models.read(file)


def test_what_would_take_much_memory(file):
    """It is refused before memory is taken."""
    np.savez_compressed(file, weights1=np.zeros(140_000_000, np.uint8))
    assert file.stat().st_size < 200_000
    tracemalloc.start()
    try:
        refused(file, r"it would take 140\d+ bytes, of at most 135266304")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    np.savez_compressed(file, weights1=np.zeros((1 << 24) + 1, np.uint8).reshape(-1, 1))
    refused(file, f"must have at most {models.MOST_PARAMETERS} parameters, not 16777217")


def test_large_files(file):
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    refused(file, f"must have at most 135266304 bytes, not {1 << 40}")


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 2**62), (-1, 6), (29,), ()])
def test_arrays_that_are_not_as_large_as_they_claim(file, shape):
    with zipfile.ZipFile(file, "w") as archive, archive.open("weights1.npy", "w") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(120))
    refused(file, "'weights1' holds 120 bytes, which are not .* of float32")


class Attack:
    """What unpickling would do: make a folder."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_arrays(file, folder):
    objects = np.array([[Attack()]], object)
    np.savez(file, weights1=objects)
    refused(file, "'weights1' holds Python objects")
    np.savez(file, weights1=np.zeros(1, [("a", "f4"), ("b", object)]))
    refused(file, "'weights1' holds Python objects")
    assert list(folder.iterdir()) == [file]


def test_archives_of_other_kinds(file):
    for content in (b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), bytes(1000)):
        file.write_bytes(content)
        refused(file, "must be a file of weights|must have a layer")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("weights1.npy", b"")
    refused(file, "'weights1' is compressed in another way")
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for name in ("weights1.npy", "weights1.npy"):
            with archive.open(name, "w") as stream:
                np.save(stream, np.ones((1, 1)))
    refused(file, "it has two arrays 'weights1'")


def test_folders_and_pipes(fails, folder):
    (folder / "model.onnx").mkdir()
    assert "Is a directory" in fails("import", "model.onnx")
    os.mkfifo(folder / "model.npz")
    assert "model.npz must be a file, and is not" in fails("import", "model.npz")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\x3a\xff\xff\xff\xff\x07", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00",
     b"no model at all", b"\x3a" * 100_000],
)  # fmt: skip
def test_lengths_that_are_not_so(onnx, fails, folder, content):
    (folder / "model.onnx").write_bytes(content)
    line = fails("import", "model.onnx")
    assert "must be an ONNX file" in line or "must have one opset" in line
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_files_to_go_on_from(run, folder):
    """--resume reads what anyone may have written, too."""
    content = saved.beginning(random_weights((3, 4, 1)), {})
    words = ("train", "3-4-1", "--resume", "W.npz", "--samples", "0", "--tests", "1")
    for number in range(MUTATIONS):
        (folder / "W.npz").write_bytes(mutated(content, number))
        result = run(*words)
        assert result.exit_code in (0, 2), f"mutation {number}: {result.output}"
        assert result.stderr.count("\n") == (result.exit_code == 2)
