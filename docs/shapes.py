"""How much of the multipliers' capacity networks use, by shape: a table and a chart of the docs."""

import functools

from gradwire.console import Reporter
from hw.design import parse_topology
from hw.schedule import Schedule, design_for, make_schedule

SHAPES = (
    "4-8-3",
    "13-32-1",
    "16-64-64-4",
    "64-32-10",
    "128-128-128-128-10",
    "784-30-10",
    "784-100-100-10",
    "784-512-512-10",
    "1024-64-32",
    "3072-256-128-10",
)
FIXED = 32  # processing elements

_WIDTH, _LEFT, _TOP, _BAR, _GAP = 860, 190, 66, 16, 12  # pixels
_SCALE = (_WIDTH - _LEFT - 120) / 100  # pixels a percent
_COLOURS = ("#2563eb", "#9ca3af")


@functools.cache
def schedules() -> dict[str, tuple[Schedule, Schedule]]:
    """Of each shape, with as many PEs as the widest hidden layer has neurons and with FIXED."""
    found = {}
    with Reporter(lines=True) as reporter:
        for done, shape in enumerate(SHAPES):
            reporter("schedules of shapes", done, len(SHAPES))
            layers = parse_topology(shape)
            found[shape] = tuple(
                make_schedule(design_for(layers, pes)) for pes in (max(layers[1:-1]), FIXED)
            )
        reporter("schedules of shapes", len(SHAPES), len(SHAPES))
    return found


def rows() -> list[tuple[object, ...]]:
    """Lines of the table."""
    return [
        (
            s.design.topology,
            s.design.processing_elements,
            f"{s.clocks_per_iteration:,}",
            f"{s.design.limit_clocks:,}",
            f"{s.multiply_add_busy:.1%}",
            ", ".join(s.design.mapping),
        )
        for widest, fixed in schedules().values()
        for s in ((widest, fixed) if widest.design != fixed.design else (widest,))
    ]


def chart() -> str:
    """SVG: two bars for each shape."""
    high = 2 * _BAR + _GAP
    bottom = _TOP + len(SHAPES) * high
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 40}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{bottom + 40}" fill="white"/>',
        _text(20, 24, "Useful multiply-adds, of all that the multipliers could do", size=15),
        *_key(20, _COLOURS[0], "as many processing elements as neurons in the widest hidden layer"),
        *_key(460, _COLOURS[1], f"{FIXED} processing elements"),
    ]
    for percent in range(0, 101, 20):
        x = _LEFT + percent * _SCALE
        parts.append(f'<path d="M{x:.1f} {_TOP - 6}V{bottom}" stroke="#e5e7eb"/>')
        parts.append(_text(x, bottom + 18, f"{percent}%", anchor="middle"))
    for index, (shape, pair) in enumerate(schedules().items()):
        y = _TOP + index * high
        parts.append(_text(_LEFT - 10, y + _BAR + 4, shape, anchor="end"))
        for schedule, colour in zip(pair, _COLOURS, strict=True):
            parts += _bar(y, schedule, colour)
            y += _BAR
    return "\n".join([*parts, "</svg>", ""])


def _bar(y: int, schedule: Schedule, colour: str) -> list[str]:
    percent = 100 * schedule.multiply_add_busy
    pes = schedule.design.processing_elements
    title = f"{schedule.design.topology}, {pes} PEs: {schedule.clocks_per_iteration:,} clocks"
    return [
        f'<rect x="{_LEFT}" y="{y + 1}" width="{percent * _SCALE:.1f}" height="{_BAR - 2}" '
        f'fill="{colour}"><title>{title}</title></rect>',
        _text(_LEFT + percent * _SCALE + 6, y + _BAR - 4, f"{percent:.1f}%, {pes} PEs"),
    ]


def _key(x: int, colour: str, text: str) -> list[str]:
    return [
        f'<rect x="{x}" y="36" width="12" height="12" fill="{colour}"/>',
        _text(x + 18, 46, text),
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#111827">{text}</text>'
    )
