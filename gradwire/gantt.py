"""Draws the program of an iteration as a Gantt chart: python -m gradwire.gantt 3-3-3-1 FILE.svg."""

import sys
from pathlib import Path

from gradwire.files import write_files
from hw.design import parse_topology
from hw.operation import BACKPROPAGATION, FORWARD, GRADIENT_DESCENT, UPDATE, Operation
from hw.schedule import Schedule, design_for, make_schedule

_WIDTH, _LEFT, _TOP, _ROW = 860, 150, 62, 26  # pixels
_COLOURS = {FORWARD: "#2563eb", BACKPROPAGATION: "#dc2626", GRADIENT_DESCENT: "#16a34a"}


def draw(schedule: Schedule) -> str:
    """SVG of one iteration: when each operation is issued, and when its last result is there."""
    ops = sorted(schedule.operations, key=lambda op: op.start)
    total = max(schedule.clocks_per_iteration, *(end(schedule, op) for op in ops))
    scale = (_WIDTH - _LEFT - 20) / total
    height = _TOP + _ROW * len(ops) + 60
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            _text(20, 24, _title(schedule), size=15),
            _text(20, 44, "solid: the array takes operands; pale: until the last result is there"),
            *_axis(schedule, scale, total, height),
            *(part for row, op in enumerate(ops) for part in _bar(schedule, op, row, scale)),
            "</svg>",
            "",
        ]
    )


def _title(schedule: Schedule) -> str:
    design = schedule.design
    return (
        f"One iteration of {design.topology}, processing elements: {design.processing_elements}, "
        f"clocks: {schedule.clocks_per_iteration}"
    )


def end(schedule: Schedule, op: Operation) -> int:
    """Clock after the last sum at the array's output, or after the last weight is written."""
    last = op.at(op.results)
    if op.operation == UPDATE:
        last = op.at(op.slots) + schedule.latencies.broadcast + schedule.latencies.sum
    return schedule.training.clocks_until(int(last.max()) + 1)


def _axis(schedule: Schedule, scale: float, total: int, height: int) -> list[str]:
    bottom = height - 44
    step = next(size for size in _steps() if total / size <= 12)
    parts = []
    for clock in range(0, total + 1, step):
        x = _LEFT + clock * scale
        parts.append(_line(x, bottom, "#e5e7eb"))
        parts.append(_text(x, bottom + 16, str(clock), anchor="middle"))
    x = _LEFT + schedule.clocks_per_iteration * scale
    parts.append(_line(x, bottom, "#111827", dash=' stroke-dasharray="4 3"'))
    parts.append(_text(x, bottom + 32, "the next sample starts", anchor="end"))
    return parts


def _steps() -> list[int]:
    return [digit * 10**power for power in range(1, 12) for digit in (1, 2, 5)]


def _bar(schedule: Schedule, op: Operation, row: int, scale: float) -> list[str]:
    y, colour = _TOP + row * _ROW, _COLOURS[op.unit]
    start, issued = map(schedule.training.clocks_until, (op.start, op.start + op.clocks))
    spans = ((start, issued, 1), (start, end(schedule, op), 0.25))
    return [_text(_LEFT - 8, y + 15, op.name, anchor="end")] + [
        f'<rect x="{_LEFT + first * scale:.1f}" y="{y + 4}" width="{(last - first) * scale:.1f}" '
        f'height="{_ROW - 10}" fill="{colour}" fill-opacity="{opacity}">'
        f"<title>{op.name}, {op.operation}: clocks {first} to {last - 1}</title></rect>"
        for first, last, opacity in reversed(spans)
    ]


def _line(x: float, bottom: int, colour: str, dash: str = "") -> str:
    return f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{colour}"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#111827">{text}</text>'
    )


if __name__ == "__main__":
    topology, file = sys.argv[1], Path(sys.argv[2])
    picture = draw(make_schedule(design_for(parse_topology(topology))))
    write_files(file.parent, {file.name: picture.encode()})
