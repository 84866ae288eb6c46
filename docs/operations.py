"""Draws what the array does in each of its three operations, for docs/figures.py."""

from hw.operation import ACCUMULATE, REDUCE, UPDATE
from hw.schedule import Schedule

_PES, _LEFT, _PE, _TOP, _PANEL = 3, 90, 220, 14, 262  # pixels, but for the first
_INK, _BLUE, _RED, _YELLOW = "#374151", "#2563eb", "#dc2626", "#a16207"
# Of the parts of a PE, from its left and its panel's top.
_BANK, _LOCAL, _MULTIPLIER, _ADDER = (50, 74), (140, 74), (82, 130), (82, 184)
_RADIUS = 13


def operations(schedule: Schedule) -> str:
    """SVG of three PEs in ACCUMULATE, REDUCE and UPDATE, with the latencies of `schedule`."""
    lat = schedule.latencies
    panels = [
        (ACCUMULATE, _accumulate, "sum = sum + w x: x goes to all; the sums leave PE after PE"),
        (
            REDUCE,
            _reduce,
            f"w v: v is each PE's own; the sum of all, {lat.root} clocks after w's address",
        ),
        (
            UPDATE,
            _update,
            f"w = w + g v: g goes to all; written {lat.sum} clocks after w's address",
        ),
    ]
    width, height = _LEFT + _PES * _PE + 44, _TOP + len(panels) * _PANEL
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="13">',
            '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{_INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *(
                part
                for number, (name, draw, said) in enumerate(panels)
                for part in _panel(name, said, draw(), _TOP + number * _PANEL)
            ),
            "</svg>",
            "",
        ]
    )


def _panel(name: str, said: str, parts: list[str], y: int) -> list[str]:
    head = [
        f'<text x="20" y="16" font-size="15" fill="{_INK}"><tspan font-weight="bold">{name}</tspan>'
        f'<tspan dx="12" font-size="13">{said}</tspan></text>'
    ]
    return [f'<g transform="translate(0 {y})">', *head, *_common(), *parts, "</g>"]


def _common() -> list[str]:
    """What is there in each operation: banks and arithmetic units."""
    parts = []
    for pe in range(_PES):
        parts += [
            f'<rect x="{_LEFT + pe * _PE}" y="34" width="{_PE - 20}" height="178" rx="6" '
            f'fill="#f9fafb" stroke="#9ca3af"/>',
            _text(_LEFT + pe * _PE + _PE - 30, 204, f"PE {pe}", "end"),
            *_box(pe, _BANK, "weights"),
            *_unit(pe, _MULTIPLIER, "&#215;"),
            *_unit(pe, _ADDER, f"+{pe}"),
        ]
    return parts


def _accumulate() -> list[str]:
    parts = _broadcast("x") + _weights()
    drain = 236
    for pe in range(_PES):
        x, y = _ADDER
        parts += [
            _arrow(pe, _below(_MULTIPLIER), _above(_ADDER)),
            _way(
                f"M{_at(pe, x + _RADIUS)} {y}H{_at(pe, x + 44)}V{y - 26}H{_at(pe, x + 8)}V{y - 12}"
            ),
            _text(_at(pe, x + 50), y - 14, "partial"),
            _text(_at(pe, x + 50), y + 1, "sums"),
            _way(f"M{_at(pe, x)} {y + _RADIUS}V{drain - 9}"),
            f'<rect x="{_at(pe, x) - 24}" y="{drain - 9}" width="48" height="18" fill="#eff6ff" '
            f'stroke="{_BLUE}"/>',
            _text(_at(pe, x), drain + 4, "sum", "middle"),
            _way(f"M{_at(pe, x) - 24} {drain}H{_at(pe - 1, x) + 26 if pe else 70}"),
        ]
    return [*parts, _text(64, drain + 4, "results", "end")]


def _reduce() -> list[str]:
    x, y = _ADDER
    return [
        *_weights(),
        *_local(),
        # As docs/tree-3.svg: products 0 and 1, product 2 and the carried value, both sums.
        _arrow(0, _below(_MULTIPLIER), _above(_ADDER)),
        _way(f"M{_at(1, _MULTIPLIER[0])} {_MULTIPLIER[1] + _RADIUS}V158H{_at(0, x + 7)}V{y - 13}"),
        _way(f"M{_at(2, _MULTIPLIER[0] - 9)} {_MULTIPLIER[1] + 10}V158H{_at(1, x + 7)}V{y - 13}"),
        _way(f"M{_at(1, 14)} {y}H{_at(1, x - _RADIUS)}", _RED),
        _text(_at(1, 12), y - 6, "carried", colour=_RED),
        _text(_at(1, 12), y + 15, "value", colour=_RED),
        _way(f"M{_at(0, x)} {y + _RADIUS}V236H{_at(2, x - 6)}V{y + 12}"),
        _way(f"M{_at(1, x)} {y + _RADIUS}V224H{_at(2, x - 30)}V{y}H{_at(2, x - _RADIUS)}"),
        _way(f"M{_at(2, x + _RADIUS)} {y}H{_at(3, 8)}V232"),
        _text(_at(3, 8), 246, "result", "middle"),
    ]


def _update() -> list[str]:
    parts = _broadcast("g") + _local()
    x, y = _ADDER
    bank_x, bank_y = _BANK
    for pe in range(_PES):
        parts += [
            _arrow(pe, _below(_MULTIPLIER), _above(_ADDER)),
            _way(f"M{_at(pe, bank_x - 14)} {bank_y + 15}V{y}H{_at(pe, x - _RADIUS)}"),
            _text(_at(pe, bank_x - 18), 150, "w", "end"),
            _way(f"M{_at(pe, x)} {y + _RADIUS}V226H{_at(pe, -8)}V{bank_y}H{_at(pe, bank_x - 36)}"),
        ]
    return [*parts, _text(_at(0, 4), 242, "new weights")]


def _weights() -> list[str]:
    """To the multipliers."""
    return [_arrow(pe, _below(_BANK), _above(_MULTIPLIER, -8)) for pe in range(_PES)]


def _broadcast(name: str) -> list[str]:
    """One operand for the multipliers of all PEs, from the left."""
    x, y, bus = _MULTIPLIER[0] + 9, _MULTIPLIER[1], 47
    taps = [_way(f"M{_at(pe, x)} {bus}V{y - 10}") for pe in range(_PES)]
    line = f'<path d="M22 {bus}H{_at(_PES - 1, x)}" stroke="{_INK}"/>'
    return [_text(22, bus - 7, f"{name}, for all"), line, *taps]


def _local() -> list[str]:
    """An operand of each PE's own for its multiplier."""
    x, y = _LOCAL
    end_x, end_y = _MULTIPLIER
    return [
        part
        for pe in range(_PES)
        for part in (
            *_box(pe, (x, y), "v"),
            _way(f"M{_at(pe, x)} {y + 15}V{end_y}H{_at(pe, end_x + _RADIUS)}"),
        )
    ]


def _at(pe: int, x: int) -> int:
    return _LEFT + pe * _PE + x


def _below(place: tuple[int, int]) -> tuple[int, int]:
    return place[0], place[1] + 14


def _above(place: tuple[int, int], shift: int = 0) -> tuple[int, int]:
    return place[0] + shift, place[1] - 14


def _box(pe: int, place: tuple[int, int], text: str) -> list[str]:
    x, y = _at(pe, place[0]), place[1]
    return [
        f'<rect x="{x - 34}" y="{y - 15}" width="68" height="30" fill="#fefce8" '
        f'stroke="{_YELLOW}"/>',
        _text(x, y + 5, text, "middle"),
    ]


def _unit(pe: int, place: tuple[int, int], text: str) -> list[str]:
    x, y = _at(pe, place[0]), place[1]
    return [
        f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="#eff6ff" stroke="{_BLUE}"/>',
        _text(x, y + 5, text, "middle"),
    ]


def _arrow(pe: int, start: tuple[int, int], end: tuple[int, int]) -> str:
    (x0, y0), (x1, y1) = start, end
    return _way(f"M{_at(pe, x0)} {y0}V{(y0 + y1) // 2}H{_at(pe, x1)}V{y1}")


def _way(path: str, colour: str = _INK) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" marker-end="url(#a)"/>'


def _text(x: int, y: int, text: str, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
