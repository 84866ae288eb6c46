"""Draws what an exploration has found: every machine by its size and speed, and the front."""

from collections.abc import Sequence

from gradwire.explore.search import Found, Point
from gradwire.explore.space import Asked

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 460, 84, 24, 70, 56  # pixels
_INK, _PALE, _FRONT, _BEST = "#111827", "#9ca3af", "#2563eb", "#dc2626"
_MOST_TICKS = 9


def draw(found: Found, asked: Asked) -> str:
    """SVG: LUT4s to the right, samples a second upwards."""
    there = asked.available["luts"]
    most_luts = max(there, *(point.luts for point in found.points))
    most_samples = 1.05 * max(point.samples_per_second for point in found.points)

    def at(luts: float, samples: float) -> tuple[float, float]:
        x = _LEFT + luts / most_luts * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - samples / most_samples * (_HEIGHT - _TOP - _BOTTOM)

    topology = "-".join(map(str, asked.layers))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(20, 24, f"Machines for {topology} on {asked.target}", size=15),
        _text(20, 44, "filled: synthesized; ringed: also placed; hollow: by the models"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 12, "LUT4s", anchor="end"),
        _text(20, _TOP - 8, "samples/s"),
    ]
    left, bottom = at(0, 0)
    for samples in _ticks(most_samples):
        _, y = at(0, samples)
        parts.append(f'<path d="M{left} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#e5e7eb"/>')
        parts.append(_text(left - 8, y + 4, f"{samples:,}", anchor="end"))
    for luts in _ticks(most_luts):
        x, _ = at(luts, 0)
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="{_INK}"/>')
        parts.append(_text(x, bottom + 20, f"{luts:,}", anchor="middle"))
    x, _ = at(there, 0)
    parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{_INK}" stroke-dasharray="4 3"/>')
    parts.append(_text(x - 6, _TOP + 12, "all LUTs of the chip", anchor="end"))
    parts.append(_line([at(each.luts, each.samples_per_second) for each in found.front]))
    for point in sorted(found.points, key=lambda each: each is found.best):
        x, y = at(point.luts, point.samples_per_second)
        parts.append(_mark(point, x, y, found))
    x, y = at(found.best.luts, found.best.samples_per_second)
    pes = found.best.design.processing_elements
    text = f"{pes} PEs, {found.best.samples_per_second:,.0f} samples/s"
    parts.append(_text(x - 10, y - 8, text, anchor="end"))
    return "\n".join([*parts, "</svg>", ""])


def _mark(point: Point, x: float, y: float, found: Found) -> str:
    colour = _PALE
    if point is found.best:
        colour = _BEST
    elif point in found.front:
        colour = _FRONT
    fill = colour if point.synthesized else "white"
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{colour}"/>'
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}">'
        f"<title>{_told(point)}</title></circle>{ring if point.placed else ''}"
    )


def _told(point: Point) -> str:
    design = point.design
    return (
        f"{design.processing_elements} PEs, stages {design.multiplier_stages}, "
        f"{design.adder_stages}, {design.broadcast_stages}: {point.luts:,} LUT4s, "
        f"{point.samples_per_second:,.0f} samples/s"
    )


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{path}" stroke="{_FRONT}" fill="none"/>'


def _ticks(most: float) -> list[int]:
    steps = (digit * 10**power for power in range(12) for digit in (1, 2, 5))
    step = next(size for size in steps if most / size <= _MOST_TICKS)
    return list(range(0, int(most) + 1, step))


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{_INK}">{text}</text>'
    )
