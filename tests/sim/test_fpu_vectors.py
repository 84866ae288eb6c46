"""Test vectors through the RTL: right and wrong ones, and what is none."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from hw.errors import InputError, ToolError
from hw.fp.format import BINARY16, BINARY32, E4M3
from sim import fpu_vectors
from sim.fpu_vectors import compare, make_operator, read_vectors

NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
KIND = {"binary32": (np.float32, np.uint32), "binary16": (np.float16, np.uint16)}


def operands(format, count, seed):
    """Encodings of all kinds: finite ones whose exponents are close, zeros, infinities, NaNs."""
    random = np.random.default_rng(seed)
    whole = np.dtype(KIND[format][1])
    anything = random.integers(0, 1 << (8 * whole.itemsize), (2, count))
    ones = np.array(1, KIND[format][0]).view(whole).astype(np.int64)
    near_one = ones + random.integers(-4000, 4000, (2, count))
    top = np.array(np.inf, KIND[format][0]).view(whole).astype(np.int64)
    special = random.choice([0, 1, 2, top - 1, top, top + 1, top + top // 2], (2, count))
    special |= random.integers(0, 2, (2, count)) << (8 * whole.itemsize - 1)
    return np.choose(random.integers(0, 3, (2, count)), [anything, near_one, special]).astype(whole)


def vectors(op, format, count=20_000, seed=5):
    """A file of vectors, as a list of lines."""
    a, b = operands(format, count, seed)
    kind, whole = KIND[format]
    with np.errstate(all="ignore"):
        expected = NUMPY[op](a.view(kind), b.view(kind)).view(whole)
    digits = 2 * a.itemsize
    rows = zip(a, b, expected, strict=True)
    return [f"{x:0{digits}X} {y:0{digits}X} {z:0{digits}X} 01" for x, y, z in rows]


def run(lines, op="add", format="binary32", subnormals="ieee"):
    source = io.BytesIO("\n".join(lines).encode())
    return compare(op, make_operator(op, format, subnormals), source)


def command(*words, text=None):
    done = subprocess.run(
        [sys.executable, "-m", "sim.fpu_vectors", *words],
        input=text,
        capture_output=True,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("format", KIND)
@pytest.mark.parametrize("op", NUMPY)
def test_numpys_vectors(op, format):
    found = run(vectors(op, format), op, format)
    assert (found.vectors, found.mismatches, found.shown) == (20_000, 0, [])


def test_flushed_subnormals():
    # The smallest normal number less the next one; a subnormal number plus one.
    lines = ["00800001 80800000 00000000", "007fffff 3f800000 3f800000"]
    assert run(lines, subnormals="flush").mismatches == 0
    assert run(lines[:1], "add").shown == [
        "line 1: a=00800001 b=80800000 expected=00000000 found=00000001"
    ]


def test_subtracts_infinities_and_nans():
    lines = ["7f800000 7f800000 ffc12345", "7f800000 ff800000 7f800000", "7fc00000 0 7f800001"]
    assert run(lines, "sub").mismatches == 0


def test_wrong_values_are_found():
    lines = vectors("mul", "binary32", 1000)
    for line in range(100, 120):
        a, b, expected, _ = lines[line - 1].split()
        lines[line - 1] = f"{a} {b} {int(expected, 16) ^ 0x80000000:08x}"
    # NaNs of either sign are NaNs.
    magnitude = {n: int(lines[n - 1].split()[2], 16) & 0x7FFFFFFF for n in range(100, 120)}
    wrong = [n for n, bits in magnitude.items() if bits <= BINARY32.infinity]
    found = run(lines, "mul")
    assert 20 > len(wrong) > 5
    assert (found.vectors, found.mismatches) == (1000, len(wrong))
    assert [line.split(":")[0] for line in found.shown] == [f"line {n}" for n in wrong[:5]]


def test_seams_of_blocks_and_chunks(monkeypatch):
    lines = vectors("add", "binary16", 300)
    lines[17] = ""
    monkeypatch.setattr(fpu_vectors, "_BLOCK", 100)
    monkeypatch.setattr(fpu_vectors, "_CHUNK", 100)
    blocks = list(read_vectors(io.BytesIO("\n".join(lines).encode()), BINARY16))
    assert len(blocks) > 50
    seen = [words for b in blocks for words in zip(b.lines, b.a, b.b, b.expected, strict=True)]
    want = [(n, *line.split()[:3]) for n, line in enumerate(lines, 1) if line]
    assert seen == [(n, *(int(word, 16) for word in words)) for n, *words in want]
    a, b, expected, _ = lines[250].split()
    lines[250] = f"{a} {b} {int(expected, 16) ^ 1:x}"
    found = run(lines, "add", "binary16")
    assert (found.vectors, found.mismatches) == (299, 1)
    assert found.shown[0].startswith("line 251: ")


@pytest.mark.parametrize(
    "text", ["0 1", "0 1 g", "0 1 100", "0 0x1 0", "\0\0\0 1 2", "0 1 \xb2", "+1 0 0", "0 -1 0"]
)
@pytest.mark.parametrize("block", [20, 1 << 24])
def test_malformed_lines(monkeypatch, text, block):
    monkeypatch.setattr(fpu_vectors, "_BLOCK", block)
    source = io.BytesIO(f"0 0 0\n\n 1 0 1 0 junk\r\n{text}\n0 0 0\n".encode("latin-1"))
    with pytest.raises(
        InputError, match=r"^line 4 must begin with three hexadecimal numbers of at"
    ):
        list(read_vectors(source, E4M3))


def test_a_line_without_end(monkeypatch):
    monkeypatch.setattr(fpu_vectors, "_BLOCK", 64)
    with pytest.raises(InputError, match=r"^line 1 must begin .*, not '\\x00\\x00"):
        list(read_vectors(io.BytesIO(bytes(1000)), BINARY32))


@pytest.mark.parametrize("text", ["", "\n", " \n\n"])
def test_empty_file(text):
    with pytest.raises(InputError, match=r"^there are no vectors: the file is empty$"):
        run([text])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"op": "div"}, "^op must be add, sub or mul, not 'div'$"),
        (
            {"format": "binary64"},
            "^format must be binary32, binary16, bfloat16, e5m2 or e4m3, not 'binary64'$",
        ),
        ({"subnormals": "keep"}, "^subnormals must be 'ieee' or 'flush', not 'keep'$"),
        ({"stages": 1}, "^stages must be from 2 to 8, not 1$"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(InputError, match=message):
        make_operator(**{"op": "add", "format": "e5m2", "subnormals": "ieee"} | wrong)


def test_command(tmp_path):
    file = tmp_path / "vectors"
    file.write_text("3f800000 3f800000 40000000 00\n")
    assert command("--op", "add", str(file), "--stages", "2") == (
        0,
        "binary32 add, ieee, 2 stages: 1 vectors, 0 mismatches\n",
        "",
    )
    assert command("--op", "sub", "--subnormals", "flush", "-", text=file.read_text()) == (
        1,
        "binary32 sub, flush, 4 stages: 1 vectors, 1 mismatches\n"
        "line 1: a=3f800000 b=3f800000 expected=40000000 found=00000000\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--op", "add", "-"], "there are no vectors: the file is empty"),
        (["--op", "add", "no-such-file"], "no-such-file: No such file or directory"),
        (["--op", "div", "-"], "op must be add, sub or mul, not 'div'"),
        (["--op", "add"], "Missing argument 'FILE'."),
        (
            ["--op", "add", "--stages", "x", "-"],
            "Invalid value for '--stages': must be a whole number, not 'x'",
        ),
    ],
)
def test_bad_input_is_one_line(words, message):
    assert command(*words) == (2, "", f"fpu_vectors: {message}\n")


def test_a_tool_that_fails(monkeypatch, tmp_path, fresh_cache):
    monkeypatch.setenv("CXX", "false")
    file = tmp_path / "vectors"
    file.write_text("0 0 0\n")
    code, out, errors = command("--op", "mul", str(file))
    assert (code, out) == (1, "")
    assert errors.startswith("fpu_vectors: the C++ compiler failed")
    assert errors.count("\n") == 1
    assert (fresh_cache / "verilator" / "compiler.log").exists()
    assert str(fresh_cache) in errors


def test_a_simulation_that_fails(monkeypatch, fresh_cache):
    def fail(build, module, *, log):
        log.write_text("what it said")
        raise ToolError(f"the simulator failed; log: {log}")

    monkeypatch.setattr("sim.simulator.build", lambda *words, **options: None)
    monkeypatch.setattr("sim.simulator.run", fail)
    kept = fresh_cache / "fpu_vectors.log"
    fresh_cache.mkdir()
    with pytest.raises(ToolError, match=f"^the simulator failed; log: {kept}$"):
        run(["0 0 0"])
    assert kept.read_text() == "what it said"
