"""Combinational blocks that the floating-point datapaths share."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


def leading_zeros(m: Module, name: str, value: Value) -> Signal:
    """Count of zeros above the highest one of `value`, as a tree of depth log2(width).

    Of an all-zero value, the count is at least the width less one (and means nothing more).
    """
    width = 1 << (len(value) - 1).bit_length()
    padding = width - len(value)
    return _count(m, name, Cat(Const((1 << padding) - 1, padding), value))[0]


def _count(m: Module, name: str, value: Value) -> tuple[Value, Value]:
    """Leading zeros of a value whose width is a power of two, and whether it is not zero."""
    if len(value) == 2:
        return ~value[1], value.any()
    half = len(value) // 2
    low, _ = _count(m, f"{name}_l", value[:half])
    high, high_any = _count(m, f"{name}_h", value[half:])
    count = Signal((half * 2 - 1).bit_length(), name=name)
    m.d.comb += count.eq(Cat(Mux(high_any, high, low), ~high_any))
    return count, value.any()


def shift_right_sticky(m: Module, name: str, value: Value, amount: Value) -> Signal:
    """`value` shifted right, with one more bit below: whether any one was shifted out.

    The result is one bit wider than `value`. Any amount is right, also beyond the width.
    """
    levels = (len(value) - 1).bit_length()
    shifted = Cat(Const(0, 1), value)
    for level in range(min(levels, len(amount))):
        step = Signal(len(value) + 1, name=f"{name}_{1 << level}")
        distance = 1 << level
        moved = Cat(shifted[: distance + 1].any(), shifted[distance + 1 :])
        m.d.comb += step.eq(Mux(amount[level], moved, shifted))
        shifted = step
    out = Signal(len(value) + 1, name=name)
    beyond = amount[levels:].any() if len(amount) > levels else Const(0)
    m.d.comb += out.eq(Mux(beyond, shifted.any(), shifted))
    return out
