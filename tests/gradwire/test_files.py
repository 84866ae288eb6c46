"""Files are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from gradwire.files import check_folder, write_files
from hw.errors import InputError, ToolError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written(tmp_path):
    folder = tmp_path / "a" / "b"
    assert write_files(folder, {"x": b"1", "y": b"2"}) == [folder / "x", folder / "y"]
    assert (folder / "x").read_bytes() == b"1"
    assert write_files(folder, {"x": b"3"}) == [folder / "x"]
    assert (folder / "x").read_bytes() == b"3"
    assert names(folder) == ["x", "y"]


def test_others_may_read_what_was_written(tmp_path):
    (plain,) = write_files(tmp_path, {"x": b""})
    (tmp_path / "y").touch()
    assert plain.stat().st_mode == (tmp_path / "y").stat().st_mode


@pytest.mark.parametrize("crash", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_crash_while_writing_leaves_what_was_there(tmp_path, monkeypatch, crash):
    (tmp_path / "x").write_bytes(b"old")
    real = Path.chmod

    def chmod(path, mode):
        # Called when a file has been written: here for the second one.
        if path.name.startswith(".y"):
            raise crash
        real(path, mode)

    monkeypatch.setattr(Path, "chmod", chmod)
    with pytest.raises((KeyboardInterrupt, ToolError)):
        write_files(tmp_path, {"x": b"new", "y": b"new"})
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_crash_while_renaming_leaves_no_temporary_file(tmp_path, monkeypatch):
    def replace(path, place):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(InputError, match=r"output folder .* cannot be written: broken disk"):
        write_files(tmp_path, {"x": b"new"})
    assert names(tmp_path) == []


def test_check_folder(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be written: it is a file"):
        check_folder(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        check_folder(tmp_path)
