"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from hw.errors import InputError, ToolError


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write `files`, by name, to `folder`, which is made if it is not there; returns their paths.

    They are written under temporary names beside their places and then renamed, in order, so that
    whatever happens, no file is half-written. Raises InputError when the folder cannot be written,
    ToolError when the disk is full.
    """
    written: dict[Path, Path] = {}
    try:
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                with tempfile.NamedTemporaryFile(
                    dir=folder, prefix=f".{name}.", suffix=".tmp", delete=False
                ) as file:
                    written[folder / name] = Path(file.name)
                    file.write(content)
                # Temporary files are their owner's only; these are for everyone whom umask lets.
                Path(file.name).chmod(0o666 & ~_umask())
            for place, temporary in written.items():
                temporary.replace(place)
    finally:
        for temporary in written.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return list(written)


def check_folder(folder: Path) -> None:
    """Make `folder` and see that it can be written, before work is done that would be lost.

    Raises InputError when it cannot.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes to `folder`, into an InputError that names it.

    It is a ToolError if the disk is full.
    """
    try:
        yield
    except OSError as error:
        here, there = folder.absolute(), Path(error.filename or folder).absolute()
        if not (here.is_relative_to(there) or there.is_relative_to(here)):
            raise  # about another folder, such as the cache
        why = error.strerror or str(error)
        if isinstance(error, FileExistsError) and not folder.is_dir():
            why = "it is a file"
        said = f"output folder {folder} cannot be written: {why}"
        # A full disk is no one's bad input.
        raise (ToolError if error.errno == errno.ENOSPC else InputError)(said) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
