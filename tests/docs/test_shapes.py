"""The chart and the table of shapes say what the schedules say."""

from xml.etree import ElementTree

import pytest

from docs import shapes
from docs.shapes import FIXED, chart, rows, schedules
from hw.design import parse_topology

SVG = "{http://www.w3.org/2000/svg}"


# The others take minutes; that the docs show them is a slow test of test_docs.py.
FEW = ("4-8-3", "13-32-1", "784-30-10")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    assert set(FEW) < set(shapes.SHAPES) and len(shapes.SHAPES) == 10
    monkeypatch.setattr(shapes, "SHAPES", FEW)
    schedules.cache_clear()
    yield
    schedules.cache_clear()


def test_every_shape_is_there_twice():
    found = schedules()
    assert tuple(found) == FEW
    for shape, (widest, fixed) in found.items():
        assert widest.design.topology == fixed.design.topology == shape
        assert widest.design.processing_elements == max(parse_topology(shape)[1:-1])
        assert fixed.design.processing_elements == FIXED


def test_rows_agree_with_themselves():
    for shape, pes, clocks, limit, busy, mapping in rows():
        least, taken = int(limit.replace(",", "")), int(clocks.replace(",", ""))
        # The limit is rounded up to a whole clock, the share to a tenth of a percent.
        share = float(busy.rstrip("%")) / 100
        assert (least - 1) / taken - 0.0005 <= share <= least / taken + 0.0005
        assert share <= 1 and pes >= 1
        assert len(mapping.split(", ")) == shape.count("-")


def test_bars_are_as_long_as_the_shares():
    root = ElementTree.fromstring(chart())
    bars = [bar for bar in root.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    made = [schedule for pair in schedules().values() for schedule in pair]
    assert len(bars) == len(made) == 2 * len(FEW)
    pixels = [
        float(bar.get("width")) / s.multiply_add_busy for bar, s in zip(bars, made, strict=True)
    ]
    assert pixels == pytest.approx([550] * len(made), rel=0.01)
    for bar, schedule in zip(bars, made, strict=True):
        assert f"{schedule.clocks_per_iteration:,} clocks" in bar.find(f"{SVG}title").text
