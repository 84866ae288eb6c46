"""`python -m sim.fpu_vectors`: test vectors, such as Berkeley TestFloat's, through the RTL.

For example: testfloat_gen f32_add | python -m sim.fpu_vectors --op add --subnormals ieee -
"""

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import typer

from hw import tool
from hw.errors import InputError, ToolError
from hw.fp.adder import Adder
from hw.fp.format import NAMED, FloatFormat
from hw.fp.multiplier import Multiplier
from hw.fp.pipeline import Operator
from sim.bench.fpu import Fpu, fpu

OPERATORS = {"add": Adder, "sub": Adder, "mul": Multiplier}
_SHOWN = 5  # mismatches that are printed; all are counted
_BLOCK = 1 << 24  # bytes read at a time
_CHUNK = 1 << 22  # vectors simulated at a time: starting the simulator takes a second
_NO_DIGIT = 16

_IS_SPACE = np.zeros(256, bool)
_IS_SPACE[list(b" \t\r\n\v\f")] = True
_DIGIT = np.full(256, _NO_DIGIT, np.uint8)
_DIGIT[list(b"0123456789ABCDEF")] = _DIGIT[list(b"0123456789abcdef")] = range(16)


@dataclass(frozen=True)
class Vectors:
    """Test vectors.

    Members
    -------
    lines : number of each one's line in its file, from 1.
    a, b, expected : encodings, uint32.
    """

    lines: np.ndarray
    a: np.ndarray
    b: np.ndarray
    expected: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)


@dataclass
class Outcome:
    """What a comparison found.

    Members
    -------
    vectors, mismatches : counts.
    shown : the first few mismatches, a line of text each.
    """

    vectors: int = 0
    mismatches: int = 0
    shown: list[str] = field(default_factory=list)


def read_vectors(source: BinaryIO, format: FloatFormat) -> Iterator[Vectors]:
    """Vectors of a stream of lines `a b expected` in hex, a block at a time.

    Further columns and empty lines are ignored. Raises InputError with the number of a line that
    is anything else.
    """
    line, rest = 1, b""
    while block := source.read(_BLOCK):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if whole or newline:
            yield _parse(whole + newline, line, format)
            line += whole.count(b"\n") + 1
        if len(rest) > _BLOCK:
            raise _malformed(line, rest, format)
    if rest:
        yield _parse(rest + b"\n", line, format)


def _parse(text: bytes, first_line: int, format: FloatFormat) -> Vectors:
    """Vectors of whole lines, without any Python for each."""
    characters = np.frombuffer(b"\n" + text, np.uint8)
    space = _IS_SPACE[characters]
    edges = np.flatnonzero(space[1:] != space[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    line_ends = np.flatnonzero(characters[1:] == ord("\n")) + 1
    words = np.diff(np.searchsorted(starts, line_ends), prepend=0)
    first_word = np.cumsum(words) - words
    used = np.flatnonzero(words)
    bad = words[used] < 3
    first_word = first_word[used]
    columns = []
    for column in range(3):
        word = np.minimum(first_word + column, len(starts) - 1)
        value, wrong = _from_hex(characters, starts[word], ends[word], format.width)
        columns.append(value)
        bad |= wrong
    if bad.any():
        index = int(used[np.argmax(bad)])
        raise _malformed(first_line + index, text.split(b"\n", index + 1)[index], format)
    return Vectors(used + first_line, *columns)


def _from_hex(
    characters: np.ndarray, starts: np.ndarray, ends: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values of words of hexadecimal digits, and which of the words are something else."""
    value = np.zeros(len(starts), np.uint32)
    digits = -(-width // 4)
    wrong = ends - starts > digits
    for place in range(digits):
        at = ends - 1 - place
        digit = np.where(at >= starts, _DIGIT[characters[np.maximum(at, 0)]], 0)
        wrong |= digit == _NO_DIGIT
        value |= digit.astype(np.uint32) << np.uint32(4 * place)
    return value, wrong


def _malformed(line: int, text: bytes, format: FloatFormat) -> InputError:
    shown = ascii(text[:40].decode("latin-1").strip())
    digits = -(-format.width // 4)
    return InputError(
        f"line {line} must begin with three hexadecimal numbers of at most {digits} digits, "
        f"a b expected, not {shown}"
    )


def _chunks(blocks: Iterator[Vectors]) -> Iterator[Vectors]:
    """The same vectors, in fewer and larger portions."""
    waiting: list[Vectors] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= _CHUNK:
            yield _join(waiting)
            waiting = []
    if any(map(len, waiting)):
        yield _join(waiting)


def _join(parts: list[Vectors]) -> Vectors:
    names = ("lines", "a", "b", "expected")
    return Vectors(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def make_operator(op: str, format: str, subnormals: str, stages: int | None = None) -> Operator:
    """The unit that computes `op` in the format of that name.

    Raises InputError where one of them is unknown, or the unit cannot have so many stages.
    """
    if op not in OPERATORS:
        raise InputError(f"op must be {_either(OPERATORS)}, not {op!r}")
    if format not in NAMED:
        raise InputError(f"format must be {_either(NAMED)}, not {format!r}")
    more = {} if stages is None else {"stages": stages}
    try:
        return OPERATORS[op](NAMED[format], subnormals=subnormals, **more)
    except ValueError as error:
        raise InputError(str(error)) from None


def _either(names: dict[str, object]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def compare(op: str, operator: Operator, source: BinaryIO) -> Outcome:
    """Run all vectors of `source` through the RTL of `operator`.

    Any NaN equals any NaN. Raises InputError for what is no vector, and where there is none;
    ToolError when the simulator fails.
    """
    outcome = Outcome()
    with fpu(operator) as unit:
        for vectors in _chunks(read_vectors(source, operator.format)):
            _compare_chunk(op, operator.format, unit, vectors, outcome)
    if not outcome.vectors:
        raise InputError("there are no vectors: the file is empty")
    return outcome


def _compare_chunk(
    op: str, format: FloatFormat, unit: Fpu, vectors: Vectors, outcome: Outcome
) -> None:
    # a - b is a + (-b), of a NaN too.
    b = vectors.b ^ np.uint32(format.sign_mask) if op == "sub" else vectors.b
    found = unit.results(vectors.a, b)
    both_nan = _is_nan(format, found) & _is_nan(format, vectors.expected)
    wrong = np.flatnonzero((found != vectors.expected) & ~both_nan)
    outcome.vectors += len(vectors)
    outcome.mismatches += len(wrong)
    digits = -(-format.width // 4)
    for i in wrong[: _SHOWN - len(outcome.shown)]:
        a, b, expected, got = (
            f"{column[i]:0{digits}x}" for column in (vectors.a, vectors.b, vectors.expected, found)
        )
        outcome.shown.append(
            f"line {vectors.lines[i]}: a={a} b={b} expected={expected} found={got}"
        )


def _is_nan(format: FloatFormat, bits: np.ndarray) -> np.ndarray:
    return (bits & np.uint32(format.sign_mask - 1)) > format.infinity


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number, not {text!r}") from None


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Lines of a b expected in hex, further columns ignored; - for standard input.",
            show_default=False,
        ),
    ],
    op: Annotated[
        str,
        typer.Option(help=f"Operation: {_either(OPERATORS)}.", show_default=False),
    ],
    format: Annotated[str, typer.Option(help=f"Format: {_either(NAMED)}.")] = "binary32",
    subnormals: Annotated[
        str, typer.Option(help="ieee, or flush: subnormals become zero.")
    ] = "ieee",
    stages: Annotated[
        int | None,
        typer.Option(
            parser=_whole, metavar="N", help="Register ranks of the unit.", show_default=False
        ),
    ] = None,
) -> None:
    """Run test vectors through the RTL of the adder or the multiplier, in Verilator.

    The vectors are such as Berkeley TestFloat's testfloat_gen prints them. Any NaN equals any NaN.
    Exit codes: 0 all equal, 1 a mismatch or a tool that failed, 2 bad input.
    """
    operator = make_operator(op, format, subnormals, stages)
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
        outcome = compare(op, operator, source)
    typer.echo(
        f"{format} {op}, {subnormals}, {operator.stages} stages: {outcome.vectors:,} vectors, "
        f"{outcome.mismatches:,} mismatches"
    )
    for line in outcome.shown:
        typer.echo(line)
    if outcome.mismatches:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; ends with SystemExit, errors in one line and without a traceback."""
    try:
        code = app(prog_name="python -m sim.fpu_vectors", standalone_mode=False) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _say("interrupted", 130)
    except typer.TyperException as error:  # an argument or option that is not as it must be
        code = _say(error.format_message(), error.exit_code)
    except InputError as error:
        code = _say(str(error), 2)
    except ToolError as error:
        code = _say(str(error), 1)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does. Nothing is left to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        code = _say(": ".join(filter(None, [error.filename, error.strerror])), 2)
    finally:
        tool.stop()
    sys.exit(code)


def _say(message: str, code: int) -> int:
    print("fpu_vectors:", " ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
