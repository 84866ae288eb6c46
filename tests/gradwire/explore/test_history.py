"""Results are kept, whatever happens."""

import errno
from pathlib import Path

import pytest

from gradwire.explore import history
from gradwire.explore.history import History, key
from hw.design import Design
from hw.errors import ToolError

DESIGN = Design(layers=(3, 1), processing_elements=1, mapping=("row",))
OTHER = Design(layers=(3, 1), processing_elements=1, mapping=("column",))


@pytest.fixture(autouse=True)
def _own(fresh_cache):
    pass


def put(found, design=DESIGN, value=1):
    found.put(key("clocks", design), "schedules", design, {"clocks": value})


def test_kept_from_one_to_the_next():
    assert History().get(key("clocks", DESIGN)) is None
    put(History())
    put(History(), OTHER, 2)
    found = History()
    assert found.get(key("clocks", DESIGN)) == {"clocks": 1}
    assert found.get(key("clocks", OTHER)) == {"clocks": 2}
    assert found.values("schedules") == [{"clocks": 1}, {"clocks": 2}]
    assert found.values("syntheses") == []


def test_keys_differ_where_results_may(monkeypatch):
    keys = [key("clocks", DESIGN), key("cells", DESIGN), key("clocks", OTHER)]
    keys += [key("clocks", DESIGN, "tool 1"), key("clocks", DESIGN, "tool 2")]
    monkeypatch.setattr(history, "sources", lambda: "others")
    keys.append(key("clocks", DESIGN))
    assert len(set(keys)) == len(keys)


def test_a_line_that_was_cut_off_costs_itself_only():
    put(History())
    put(History(), OTHER)
    path = History().path
    path.write_bytes(path.read_bytes()[:-20])
    put(History(), OTHER, 3)
    assert len(path.read_bytes().splitlines()) == 3
    assert History().get(key("clocks", DESIGN)) == {"clocks": 1}
    assert History().get(key("clocks", OTHER)) == {"clocks": 3}


def test_a_full_disk(monkeypatch):
    put(History())
    found = History()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ToolError, match=r"history .*jsonl cannot be written: No space left"):
        put(found, OTHER)
    monkeypatch.undo()
    assert len(found.path.read_bytes().splitlines()) == 1
