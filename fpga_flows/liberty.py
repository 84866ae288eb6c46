"""Liberty files: the cells of a standard-cell library, with their area and timing.

No such file comes with gradwire: the user points at one. What is wrong with it is better said at
once than by the tools, which take a part of a library for a whole one.
"""

import functools
import gzip
import os
import re
import statistics
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.errors import InputError, ToolError

VARIABLE = "GRADWIRE_LIBERTY"

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"[^"]*"')
_CELL = re.compile(r'\bcell\s*\(\s*"?([\w.$]+)"?\s*\)\s*\{')
_AREA = re.compile(r"\barea\s*:\s*([\d.]+)")
_OUTPUT = re.compile(r'\bpin\s*\(\s*"?(\w+)"?\s*\)\s*\{[^{}]*?\bdirection\s*:\s*"?output')
_FLIP_FLOP = re.compile(r"\bff\s*\([^)]*\)\s*\{")
_TABLE = r"\b(?:{kind})\s*\([^)]*\)\s*\{{[^{{}}]*?\bvalues\s*\(([^)]*)\)"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WIRE_LOAD = re.compile(r"^\s*default_wire_load\s*:.*$", re.MULTILINE)
_TIME_UNIT = re.compile(r'\btime_unit\s*:\s*"(\d+)\s*([pn])s"')


@dataclass(frozen=True, eq=False)
class Liberty:
    """A whole library that has flip-flops.

    Attributes:
        file: Where it was read from.
        text: All of it, unzipped.
        cells: Text of each cell by its name.
        flip_flops: Names of the cells that are flip-flops.
    """

    file: Path
    text: str
    cells: Mapping[str, str]
    flip_flops: Sequence[str]

    @property
    def without_wire_load(self) -> str:
        """The library without its default wire load, which OpenSTA would apply unasked."""
        return _WIRE_LOAD.sub("", self.text)

    def overhead_ns(self, cell: str) -> float:
        """What flip-flop `cell` takes of a clock period in ns: clock to output, and setup.

        The medians of the tables stand for the loads and slopes, which are not known here.
        """
        to_output = self._worst(cell, "cell_rise|cell_fall")
        setup = self._worst(cell, "rise_constraint|fall_constraint")
        return (to_output + setup) * self._unit_ns

    def area_um2(self, cell: str) -> float:
        """Area of `cell` in um2; 0 where the library does not say."""
        found = _AREA.search(self.cells[cell])
        return float(found[1]) if found else 0.0

    @functools.cached_property
    def outputs(self) -> Mapping[str, frozenset[str]]:
        """Names of the output pins of each cell."""
        return {name: frozenset(_OUTPUT.findall(body)) for name, body in self.cells.items()}

    @property
    def _unit_ns(self) -> float:
        unit = _TIME_UNIT.search(self.text)
        return int(unit[1]) * (1e-3 if unit[2] == "p" else 1.0) if unit else 1.0

    def _worst(self, cell: str, kind: str) -> float:
        tables = re.findall(_TABLE.format(kind=kind), self.cells[cell])
        medians = [statistics.median(map(float, _NUMBER.findall(table))) for table in tables]
        return max(medians, default=0.0)


def find(file: Path | None) -> Path:
    """`file`, else what $GRADWIRE_LIBERTY names.

    Raises InputError when there is neither, or no such file.
    """
    named = file or os.environ.get(VARIABLE)
    if not named:
        raise InputError(
            f"45 nm needs a Liberty file of standard cells: name it with --liberty F, or in the "
            f"environment variable {VARIABLE}"
        )
    path = Path(named)
    if not path.is_file():
        reason = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputError(f"Liberty file {path} cannot be read: {reason}")
    return path


def read(file: Path) -> Liberty:
    """The library in `file`, plain or gzipped.

    Raises ToolError when it is truncated, is not Liberty or has no flip-flops.
    """
    text = _text(file)
    plain = _STRING.sub("", _COMMENT.sub("", text))
    if not re.match(r"\s*library\s*\(", plain):
        raise ToolError(f"Liberty file {file} is not Liberty: it does not begin with library(...)")
    if missing := plain.count("{") - plain.count("}"):
        raise ToolError(f"Liberty file {file} is truncated: {missing} of its groups do not end")
    cells = _cells(text)
    flip_flops = [name for name, body in cells.items() if _FLIP_FLOP.search(body)]
    if not flip_flops:
        raise ToolError(f"Liberty file {file} has no flip-flops: no cell has a group ff(...)")
    return Liberty(file, text, cells, flip_flops)


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except EOFError:
        raise ToolError(f"Liberty file {file} is truncated: its gzip stream does not end") from None
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ToolError(f"Liberty file {file} cannot be read: {reason}") from None
    return data.decode("utf-8", errors="replace")


def _cells(text: str) -> dict[str, str]:
    """Text of each cell by name, up to the next cell."""
    starts = list(_CELL.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return {start[1]: text[start.end() : end] for start, end in zip(starts, ends, strict=True)}
