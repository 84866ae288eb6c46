"""Results that took long, kept in the cache folder until something that they depend on changes."""

import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hw import tool

_FILE = "kept.json"
_SOURCES = (".cpp", ".py", ".sv", ".v")


def kept(kind: str, causes: Sequence[str], make: Callable[[Path], Any]) -> Any:
    """What `make` returned for the same causes before, else what it returns now.

    Args:
        kind: Name of the folder below the cache folder.
        causes: All that the result depends on.
        make: Called with a folder of its own, for netlists and logs, which stays; returns what
            can stand in JSON.

    Raises:
        What `make` raises; nothing is kept then.
    """
    key = hashlib.sha256(json.dumps(list(causes)).encode()).hexdigest()[:32]
    folder = tool.cache_dir() / kind / key
    # Of several processes that want the same result, one works it out.
    with tool.lock(f"{kind}-{key}"):
        file = folder / _FILE
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass
        folder.mkdir(parents=True, exist_ok=True)
        found = make(folder)
        part = folder / f"{_FILE}.{os.getpid()}"
        part.write_text(json.dumps(found), encoding="utf-8")
        part.replace(file)
        return found


@functools.cache
def code(*packages: str) -> str:
    """Digest of all source files of packages of ours, as a cause."""
    found = hashlib.sha256()
    for package in packages:
        folder = Path(importlib.import_module(package).__path__[0])
        for file in sorted(folder.rglob("*")):
            if file.suffix in _SOURCES:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                found.update(f"{package}/{file.relative_to(folder)} {content}\n".encode())
    return found.hexdigest()


def version(package: str) -> str:
    """Name and version of an installed package, as a cause; the name alone if it is not there."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
