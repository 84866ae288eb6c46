"""What took long is kept, until something that it depends on changes."""

import json

import pytest

from fpga_flows.kept import kept, version
from hw.errors import ToolError


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


def test_versions():
    assert version("numpy").startswith("numpy 2.")
    assert version("no-such-package") == "no-such-package"
