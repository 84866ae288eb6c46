"""Where things stand in the charts: in percent of their width and height, so that text keeps its
size on any screen.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import squarify

from gradwire.report.model import Clocks, Cost, Learning, Part

# Marks of an axis, at most: a phone has no room for more.
_TICKS = 5
_UNITS = {"forward": "forward", "backpropagation": "back", "gradient descent": "descent"}

#: Layouts of the treemap, width and height in pixels: for screens and for phones.
WIDE, NARROW = (900, 340), (340, 460)

# A label needs so many pixels: a character's width, a line's height.
_CHARACTER, _LINE = 7.0, 18
_SMALL_PARTS = 0.004  # of the whole: less is told together


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark of an axis, in percent of its length."""

    at: float
    text: str


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a row, in percent of its length."""

    start: float
    length: float


@dataclasses.dataclass(frozen=True)
class GanttRow:
    """An operation: when operands enter the array, and when its last result is there."""

    name: str
    kind: str
    told: str
    issued: Span
    whole: Span


@dataclasses.dataclass(frozen=True)
class Gantt:
    """The schedule of an iteration.

    Members
    -------
    rows : operations in the order of their starts.
    ticks : of the clocks.
    next_sample : where the next sample begins.
    shares : the busy share, stretch by stretch: where, and how high in percent.
    """

    rows: tuple[GanttRow, ...]
    ticks: tuple[Tick, ...]
    next_sample: float
    shares: tuple[tuple[Span, float], ...]


def gantt(clocks: Clocks) -> Gantt:
    """Of a report's clocks."""
    total = max(clocks.per_iteration, *(bar.end for bar in clocks.bars))

    def span(first: float, last: float) -> Span:
        return Span(_percent(first, total), _percent(last - first, total))

    stretch = clocks.per_iteration / max(1, len(clocks.shares))
    return Gantt(
        rows=tuple(
            GanttRow(
                name=f"{bar.unit} {bar.layer}",
                kind=_UNITS.get(bar.unit, "other"),
                told=f"{bar.unit} {bar.layer}, {bar.operation}: clocks {bar.start:,} to "
                f"{bar.issued - 1:,}, last result in {bar.end - 1:,}",
                issued=span(bar.start, bar.issued),
                whole=span(bar.start, bar.end),
            )
            for bar in clocks.bars
        ),
        ticks=tuple(ticks(total)),
        next_sample=_percent(clocks.per_iteration, total),
        shares=tuple(
            (span(index * stretch, (index + 1) * stretch), round(100 * min(1.0, share), 2))
            for index, share in enumerate(clocks.shares)
            if share > 0
        ),
    )


def ticks(total: float) -> Iterable[Tick]:
    """Marks from 0 up, at round numbers."""
    step = next(
        digit * 10**power
        for power in range(15)
        for digit in (1, 2, 5)
        if total / (digit * 10**power) <= _TICKS
    )
    return [Tick(_percent(at, total), f"{at:,}") for at in range(0, math.floor(total) + 1, step)]


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle of a treemap, in percent of its width and height.

    Members
    -------
    text : lines that fit into it.
    told : all that is to say of it.
    kind : of the group that it is in, 0, 1, ...
    """

    x: float
    y: float
    width: float
    height: float
    text: tuple[str, ...]
    told: str
    kind: int


def treemap(cost: Cost, size: tuple[float, float]) -> tuple[Box, ...]:
    """Parts of a cost, those within the same component beside one another.

    `size` is that of the chart in pixels, for the proportions.
    """
    groups = _groups(cost)
    if not groups:
        return ()
    whole = sum(part.amount for _, parts in groups for part in parts)
    sizes = [sum(part.amount for part in parts) for _, parts in groups]
    found = []
    for kind, (place, (name, parts)) in enumerate(
        zip(_layout(sizes, 0, 0, *size), groups, strict=True)
    ):
        inner = _layout([part.amount for part in parts], *place)
        for part, box in zip(parts, inner, strict=True):
            found.append(_box(part, name, box, size, kind, whole, cost.unit))
    return tuple(found)


def groups(cost: Cost) -> list[tuple[int, str]]:
    """Kinds of boxes in the treemap, and the components that they stand for."""
    return [(kind, name or "others") for kind, (name, _) in enumerate(_groups(cost))]


def _groups(cost: Cost) -> list[tuple[str, list[Part]]]:
    """The largest component and its parts, and so on; what is small is together at the end."""
    least = _SMALL_PARTS * cost.total
    groups: dict[str, list[Part]] = {}
    rest: list[Part] = []
    parents = {part.within for part in cost.parts}
    for part in cost.parts:
        if part.amount < least:
            rest.append(part)
            continue
        name = part.name if part.name in parents and part.name else part.within
        groups.setdefault(name, []).append(part)
    # Of one part there is nothing to group.
    alone = [name for name, parts in groups.items() if len(parts) == 1 and name]
    for name in alone:
        groups.setdefault("", []).extend(groups.pop(name))
    small = sum(part.amount for part in rest)
    if small:
        other = Part(name=f"{len(rest)} more", within="", instances=1, amount=small)
        groups.setdefault("", []).append(other)
    found = [(name, sorted(parts, key=lambda part: -part.amount)) for name, parts in groups.items()]
    return sorted(found, key=lambda group: -sum(part.amount for part in group[1]))


def _layout(
    sizes: Sequence[float], x: float, y: float, width: float, height: float
) -> list[tuple[float, float, float, float]]:
    """Rectangles of those sizes, which must be falling, that fill one."""
    whole = squarify.normalize_sizes(list(sizes), width, height)
    boxes = squarify.squarify(whole, x, y, width, height)
    return [(box["x"], box["y"], box["dx"], box["dy"]) for box in boxes]


def _box(
    part: Part,
    group: str,
    place: tuple[float, float, float, float],
    size: tuple[float, float],
    kind: int,
    whole: float,
    unit: str,
) -> Box:
    x, y, width, height = place
    name = part.name or "top"
    if part.name in ("", group):
        name = f"{name}, own logic"
    count = f" x {part.instances:,}" if part.instances > 1 else ""
    amount = f"{part.amount:,.0f} {unit}"
    share = f"{part.amount / whole:.1%}"
    most = int((width - 12) / _CHARACTER)
    called = next((text for text in (f"{name}{count}", name) if len(text) <= most), None)
    # Without its name, a figure tells nothing.
    lines = [called, *(text for text in (amount, share) if len(text) <= most)] if called else []
    text = tuple(lines[: max(0, int((height - 6) / _LINE))])
    where = f" in {group}" if group and part.name != group else ""
    return Box(
        x=_percent(x, size[0]),
        y=_percent(y, size[1]),
        width=_percent(width, size[0]),
        height=_percent(height, size[1]),
        text=text,
        told=f"{name}{count}{where}: {amount}, {share}",
        kind=kind,
    )


@dataclasses.dataclass(frozen=True)
class Mark:
    """A point of a curve: in percent from the left and from the top."""

    x: float
    y: float
    told: str


@dataclasses.dataclass(frozen=True)
class Curve:
    """Accuracy over samples; `paper` are the paper's points."""

    marks: tuple[Mark, ...]
    paper: tuple[Mark, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def curve(learning: Learning) -> Curve:
    """Of a report's training."""
    most = max(1, *(point.samples for point in learning.points))
    theirs = [point for point in learning.paper if point.samples <= most]
    # The first point is that of weights which have learned nothing.
    least = min(point.accuracy for point in [*learning.points[1:], *theirs] or learning.points)
    low = next(low for low in (0.98, 0.95, 0.9, 0.8, 0.6, 0.5, 0.0) if low < least or not low)
    step = (1 - low) / 5 if low else 0.2

    def mark(samples: int, accuracy: float, who: str) -> Mark:
        told = f"{who}: {accuracy:.2%} after {samples:,} samples"
        return Mark(_percent(samples, most), _percent(1 - accuracy, 1 - low), told)

    return Curve(
        marks=tuple(
            mark(point.samples, point.accuracy, "this machine")
            for point in learning.points
            if point.accuracy >= low
        ),
        paper=tuple(mark(p.samples, p.accuracy, "the paper's software") for p in theirs),
        across=tuple(ticks(most)),
        up=tuple(
            Tick(100 - 20 * index, f"{100 * (low + index * step):.4g} %") for index in range(6)
        ),
    )


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 3)
