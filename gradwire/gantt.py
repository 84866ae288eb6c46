"""Draws schedules as Gantt charts: python -m gradwire.gantt 3-3-3-1 FILE.svg.

Of one array the program of an iteration; of groups, a run of a few samples.
"""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradwire.files import write_files
from gradwire.grouped import AnySchedule, groups_text
from hw.design import parse_topology
from hw.operation import BACKPROPAGATION, FORWARD, GRADIENT_DESCENT, UPDATE, Operation
from hw.pipeline import GroupedSchedule
from hw.schedule import Schedule, design_for, make_schedule
from sim.grouped_cycles import GroupedCycleModel

_WIDTH, _LEFT, _TOP, _ROW = 860, 150, 62, 26  # pixels
_COLOURS = {FORWARD: "#2563eb", BACKPROPAGATION: "#dc2626", GRADIENT_DESCENT: "#16a34a"}
# Of samples, one after the other. White figures are read on all of them.
_SAMPLES = ("#1d4ed8", "#b45309", "#047857", "#be123c", "#6d28d9", "#0e7490", "#4d7c0f", "#475569")
_DIGIT = 6  # pixels


def draw(schedule: AnySchedule) -> str:
    """SVG of one iteration: when each operation is issued, and when its last result is there.

    Of groups: when each takes up the passes of a few samples, from the first clock of a run to its
    last.
    """
    if isinstance(schedule, GroupedSchedule):
        return _draw_groups(schedule)
    ops = sorted(schedule.operations, key=lambda op: op.start)
    total = max(schedule.clocks_per_iteration, *(end(schedule, op) for op in ops))
    scale = (_WIDTH - _LEFT - 20) / total
    bottom = _TOP + _ROW * len(ops) + 16
    x = _LEFT + schedule.clocks_per_iteration * scale
    return _picture(
        bottom + 44,
        [
            _text(20, 24, _title(schedule), size=15),
            _text(20, 44, "solid: the array takes operands; pale: until the last result is there"),
            *_axis(scale, total, bottom),
            _line(x, bottom, "#111827", dash=' stroke-dasharray="4 3"'),
            _text(x, bottom + 32, "the next sample starts", anchor="end"),
            *(part for row, op in enumerate(ops) for part in _bar(schedule, op, row, scale)),
        ],
    )


def _picture(height: int, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            *parts,
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


def _axis(scale: float, total: int, bottom: int) -> list[str]:
    step = next(size for size in _steps() if total / size <= 12)
    parts = []
    for clock in range(0, total + 1, step):
        x = _LEFT + clock * scale
        parts.append(_line(x, bottom, "#e5e7eb"))
        parts.append(_text(x, bottom + 16, str(clock), anchor="middle"))
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


@dataclasses.dataclass(frozen=True)
class _Pass:
    """The array of a group takes up a pass of a sample from clock `first` to before clock `end`."""

    sample: int
    op: Operation
    first: int
    end: int


def _draw_groups(schedule: GroupedSchedule) -> str:
    design, model = schedule.design, GroupedCycleModel(schedule)
    samples = _samples(schedule)
    starts = model.starts(samples, design.batch)
    total = model.run_clocks(starts, design.batch)
    scale = (_WIDTH - _LEFT - 20) / total
    parts, row = [], 0
    for number, begun in enumerate(starts):
        if number:
            y = _TOP + row * _ROW - 1
            parts.append(f'<path d="M20 {y}H{_WIDTH - 20}" stroke="#9ca3af"/>')
        passes = list(_passes(model, number, begun.tolist(), samples))
        for unit in _COLOURS:
            own = [each for each in passes if each.op.unit == unit]
            if own:
                label = f"{number}: {unit}"
                parts.append(_text(_LEFT - 8, _TOP + row * _ROW + 15, label, anchor="end"))
                parts += _blocks(own, row, scale)
                row += 1
    bottom = _TOP + row * _ROW + 10
    title = f"{design.schedule}: {groups_text(design)}, {samples} samples in {total:,} clocks"
    note = "group: pass; when its array takes operands; each sample has its number and colour"
    return _picture(
        bottom + 28,
        [
            _text(20, 24, title, size=15),
            _text(20, 44, note),
            *_axis(scale, total, bottom),
            *parts,
        ],
    )


def _samples(schedule: GroupedSchedule) -> int:
    """So many that a chart has all groups at work at once, or two batches, and can be read."""
    design = schedule.design
    length = design.pipelining(design.batch).length
    if design.schedule == "sequential":
        return 3
    if design.schedule == "fill-drain":
        return min(2 * design.batch, 16)
    return (length + 2) * (2 if design.schedule == "ping-pong" else 1)


def _passes(
    model: GroupedCycleModel, number: int, begun: list[int], samples: int
) -> Iterator[_Pass]:
    """Those of a group whose iterations began in the clocks `begun`."""
    group = model.groups[number]
    iterations = group.iterations(samples, model.schedule.design.batch).tolist()
    for sample, iteration in enumerate(iterations):
        for op in group.program.operations:
            first = begun[iteration + op.behind] + group.program.clock(op)
            yield _Pass(sample, op, first, first + op.clocks)


def _blocks(passes: Sequence[_Pass], row: int, scale: float) -> Iterator[str]:
    """Bars in a row, with the samples' numbers in them, or behind them, where there is room."""
    passes = sorted(passes, key=lambda each: each.first)
    ends = [*(each.first for each in passes[1:]), float("inf")]
    for each, following in zip(passes, ends, strict=True):
        x, wide = _LEFT + each.first * scale, (each.end - each.first) * scale
        y, number = _TOP + row * _ROW, str(each.sample)
        colour = _SAMPLES[each.sample % len(_SAMPLES)]
        yield (
            f'<rect x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="{_ROW - 8}" '
            f'fill="{colour}"><title>sample {number}, {each.op.name}, {each.op.operation}: clocks '
            f"{each.first} to {each.end - 1}</title></rect>"
        )
        needed = _DIGIT * len(number) + 2
        if needed <= wide:
            yield _text(x + wide / 2, y + 16, number, anchor="middle", size=10, fill="white")
        elif needed + 2 <= (following - each.end) * scale:
            yield _text(x + wide + 2, y + 16, number, size=10, fill=colour)


def _line(x: float, bottom: int, colour: str, dash: str = "") -> str:
    return f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{colour}"{dash}/>'


def _text(
    x: float, y: float, text: str, anchor: str = "start", size: int = 12, fill: str = "#111827"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{fill}">{text}</text>'
    )


if __name__ == "__main__":
    topology, file = sys.argv[1], Path(sys.argv[2])
    picture = draw(make_schedule(design_for(parse_topology(topology))))
    write_files(file.parent, {file.name: picture.encode()})
