"""What took long is kept, until something that it depends on changes."""

import json

import pytest

from fpga_flows import kept as kept_module
from fpga_flows.kept import code, kept, version
from hw.errors import ToolError


class Package:
    """A package in a folder."""

    def __init__(self, folder):
        self.__path__ = [str(folder)]


@pytest.fixture
def make(fresh_cache):
    """Counts its calls, and leaves a file in its folder."""

    def called(folder):
        called.folders.append(folder)
        (folder / "log").write_text("said")
        return {"calls": len(called.folders)}

    called.folders = []
    return called


def test_made_once(make):
    assert kept("kind", ["a", "b"], make) == kept("kind", ["a", "b"], make) == {"calls": 1}
    assert (make.folders[0] / "log").read_text() == "said"


@pytest.mark.parametrize(
    "kind, causes", [("kind", ["a", "c"]), ("kind", ["ab"]), ("k", ["a", "b"])]
)
def test_made_anew_where_something_differs(make, kind, causes):
    kept("kind", ["a", "b"], make)
    assert kept(kind, causes, make) == {"calls": 2}


def test_a_broken_file_is_made_anew(make):
    kept("kind", ["a"], make)
    (make.folders[0] / "kept.json").write_text("{")
    assert kept("kind", ["a"], make) == {"calls": 2}
    assert json.loads((make.folders[0] / "kept.json").read_text()) == {"calls": 2}


def test_a_failure_is_not_kept(make):
    def fail(folder):
        raise ToolError("failed")

    with pytest.raises(ToolError):
        kept("kind", ["a"], fail)
    assert kept("kind", ["a"], make) == {"calls": 1}


def test_code(tmp_path, monkeypatch):
    """Any change of a source file of the packages is another cause; others' files are none."""

    def digest(files):
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "flow"
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        monkeypatch.setattr(kept_module.importlib, "import_module", lambda _: Package(folder))
        return code.__wrapped__("flow")

    files = {"__init__.py": "", "a.py": "1", "below/b.sv": "2"}
    first = digest(files)
    assert digest(files | {"baseline.json": "{}", "__pycache__/a.pyc": ""}) == first
    for change in ({"a.py": "2"}, {"c.py": ""}, {"below/b.sv": "3"}):
        assert digest(files | change) != first
    monkeypatch.undo()
    assert code("fpga_flows") != code("sim") != code("hw", "sim")


def test_versions():
    assert version("numpy").startswith("numpy 2.")
    assert version("no-such-package") == "no-such-package"
