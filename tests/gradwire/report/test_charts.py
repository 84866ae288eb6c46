"""Charts: what they show is where it must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwire.report import charts
from gradwire.report.model import Bar, Clocks, Cost, Learning, Part, Point

AMOUNTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=12)


def cost(parts):
    total = sum(part.amount for part in parts)
    return Cost(target="t", how="", unit="LUT4", total=total, parts=tuple(parts), command="")


def in_a_tree(amounts):
    """Parts of a machine: the even ones below the first."""
    names = ["", *(f"part {n}" for n in range(1, len(amounts)))]
    return [
        Part(
            name=name,
            within=names[min(1, len(names) - 1)] if n > 1 and n % 2 == 0 else "",
            instances=n + 1,
            amount=amount,
        )
        for n, (name, amount) in enumerate(zip(names, amounts, strict=True))
    ]


@given(AMOUNTS, st.sampled_from([charts.WIDE, charts.NARROW]))
def test_areas_of_a_treemap_are_the_amounts(amounts, size):
    made = cost(in_a_tree(amounts))
    boxes = charts.treemap(made, size)
    assert sum(box.width * box.height for box in boxes) == pytest.approx(1e4, rel=1e-2)
    for box in boxes:
        assert box.x >= -0.01 and box.x + box.width <= 100.01
        assert box.y >= -0.01 and box.y + box.height <= 100.01
        (share,) = [part for part in box.told.split(", ") if part.endswith("%")]
        shown = box.width * box.height / 100
        assert shown == pytest.approx(float(share.rstrip("%")), abs=0.3)
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            along = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, along) < 0.01, (one, other)


def test_a_treemap_tells_each_part_once():
    parts = in_a_tree([100, 200, 300, 400, 1])
    boxes = charts.treemap(cost(parts), charts.WIDE)
    assert sorted(box.told for box in boxes) == [
        "1 more: 1 LUT4, 0.1%",
        "part 1, own logic x 2: 200 LUT4, 20.0%",
        "part 2 x 3 in part 1: 300 LUT4, 30.0%",
        "part 3 x 4: 400 LUT4, 40.0%",
        "top, own logic: 100 LUT4, 10.0%",
    ]
    assert [name for _, name in charts.groups(cost(parts))] == ["others", "part 1"]


def test_no_parts_no_treemap():
    made = Cost(target="t", how="", unit="LUT4", total=5, parts=(), command="")
    assert charts.treemap(made, charts.WIDE) == ()


def test_labels_fit_or_are_left_out():
    parts = [Part(name="x" * 30, within="", instances=1, amount=n) for n in (9000, 60)]
    large, small = charts.treemap(cost(parts), charts.WIDE)
    assert large.text == ("x" * 30, "9,000 LUT4", "99.3%")
    assert small.text == ()


def test_gantt_is_to_scale():
    bars = (
        Bar(
            unit="forward", layer=1, operation="REDUCE", mapping="row",
            start=0, issued=50, end=80, multiply_adds=1,
        ),
        Bar(
            unit="gradient descent", layer=1, operation="UPDATE", mapping="row",
            start=60, issued=160, end=200, multiply_adds=1,
        ),
    )  # fmt: skip
    clocks = Clocks(
        per_iteration=160, per_sample=160, inference=80, limit=1, multiply_adds=2, busy=0.5,
        bars=bars, shares=(0.25, 0.75), paper=None, command="",
    )  # fmt: skip
    found = charts.gantt(clocks)
    assert found.next_sample == 80
    assert [row.kind for row in found.rows] == ["forward", "descent"]
    assert found.rows[1].issued == charts.Span(30, 50)
    assert found.rows[1].whole == charts.Span(30, 70)
    assert found.shares == ((charts.Span(0, 40), 25), (charts.Span(40, 40), 75))
    assert [(tick.at, tick.text) for tick in found.ticks] == [
        (0, "0"), (25, "50"), (50, "100"), (75, "150"), (100, "200"),
    ]  # fmt: skip


@given(st.integers(1, 10**9))
def test_ticks_are_few_and_round(total):
    found = list(charts.ticks(total))
    assert 1 <= len(found) <= 8
    for tick in found:
        assert 0 <= tick.at <= 100
        assert int(tick.text.replace(",", "")) == pytest.approx(
            tick.at * total / 100, rel=1e-2, abs=1
        )


def curve(*accuracies, paper=()):
    return charts.curve(
        Learning(
            data="red", rate=0.1, seed=1, tests=10, command="",
            points=tuple(
                Point(samples=100 * n, accuracy=a, loss=None) for n, a in enumerate(accuracies)
            ),
            paper=tuple(Point(samples=n, accuracy=a, loss=None) for n, a in paper),
        )
    )  # fmt: skip


def test_curve():
    found = curve(0.1, 0.91, 0.95, paper=[(200, 0.97), (10_000, 0.99)])
    # From 90 % to 100 %: what knows nothing yet is below the chart.
    assert [(mark.x, mark.y) for mark in found.marks] == [(50, 90), (100, 50)]
    # What the paper has beyond our samples is left out.
    assert [(mark.x, mark.y) for mark in found.paper] == [(100, 30)]
    assert [tick.text for tick in found.up][::5] == ["90 %", "100 %"]


@pytest.mark.parametrize("accuracies", [(0.0,), (0.5,), (1.0,), (0.3, 0.0), (0.2, 1.0, 1.0)])
def test_curves_at_the_ends(accuracies):
    for mark in curve(*accuracies).marks:
        assert 0 <= mark.x <= 100 and 0 <= mark.y <= 100
