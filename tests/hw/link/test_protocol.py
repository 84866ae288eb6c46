"""The numbers in docs/link.md are those of the machine."""

import re
from pathlib import Path

import pytest

from hw.link.protocol import STATUS_FLAGS, STATUS_WORDS, Command, Status, identity
from hw.schedule import design_for

PAGE = (Path(__file__).parents[3] / "docs" / "link.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("names", [Command, Status])
def test_numbers(names):
    rows = re.findall(r"^\| `(\w\w)` \| (\w+) \|", PAGE, re.M)
    said = {name: int(number, 16) for number, name in rows}
    assert set(said) == {*Command.__members__, *Status.__members__}
    for each in names:
        assert said[each.name] == each


def test_lengths_of_lists():
    for name, words in (("IDENTIFY", identity(design_for((3, 3, 1)), 0)), ("STATUS", STATUS_WORDS)):
        (row,) = re.findall(rf"^\| `..` \| {name} \| 0 \| \| (.*) \|$", PAGE, re.M)
        parts = row.replace("low and high word", "low; high").split(";")
        assert len(parts) == len(words), row
    (flags,) = re.findall(r"from bit 0 on: (.*)\. INIT", PAGE.replace("\n", " "))
    assert tuple(flags.split(", ")) == STATUS_FLAGS
