"""What explorations have found, kept from one to the next.

A file of lines in the user's cache folder, each a result in JSON: of which design, under which key,
and what it is. A line is written when its result is there, so that whatever ends an exploration,
the next one begins with what that one had.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hw
from hw import tool
from hw.design import Design
from hw.errors import ToolError

_NAME = "history.jsonl"


@functools.cache
def sources() -> str:
    """Hash of the sources of the hardware: with others, results are others."""
    found = hashlib.sha256()
    folder = Path(hw.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def key(kind: str, design: Design, *causes: object) -> str:
    """Under which the result `kind` of a design is kept; `causes` is what else it depends on."""
    words = [kind, sources(), dataclasses.asdict(design), *map(str, causes)]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


class History:
    """The results of all explorations of this user.

    Raises ToolError, naming the file, when a result cannot be written.
    """

    def __init__(self) -> None:
        self.path = tool.cache_dir() / "explore" / _NAME
        self._found: dict[str, Mapping[str, Any]] = {}
        self._kinds: dict[str, tuple[str, tuple[int, ...]]] = {}
        for record in self._records():
            self._found[record["key"]] = record["value"]
            self._kinds[record["key"]] = record["kind"], tuple(record["design"]["layers"])

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The result under `key`, if there is one."""
        return self._found.get(key)

    def values(self, kind: str, layers: tuple[int, ...] | None = None) -> list[Mapping[str, Any]]:
        """All results of a kind, of the network of `layers` or of any.

        Those of other sources of the hardware are included.
        """
        return [
            self._found[key]
            for key, (known, of) in self._kinds.items()
            if known == kind and layers in (None, of)
        ]

    def put(self, key: str, kind: str, design: Design, value: Mapping[str, Any]) -> None:
        """Keep a result, at once."""
        self._found[key], self._kinds[key] = value, (kind, design.layers)
        record = {"key": key, "kind": kind, "design": dataclasses.asdict(design), "value": value}
        try:
            with tool.lock("explore"):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab+") as file:
                    # What a full disk has cut off must not spoil this line too.
                    file.seek(0, 2)
                    whole = not file.tell() or (file.seek(-1, 2), file.read(1))[1] == b"\n"
                    file.write(b"" if whole else b"\n")
                    file.write(json.dumps(record).encode() + b"\n")
        except OSError as error:
            why = error.strerror or error
            raise ToolError(f"history {self.path} cannot be written: {why}") from None

    def _records(self) -> Iterator[Mapping[str, Any]]:
        """Those lines that are whole."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and record.keys() >= {"key", "kind", "design", "value"}:
                yield record
