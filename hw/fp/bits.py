"""Combinational blocks that the floating-point datapaths share."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value


def leading_zeros(m: Module, name: str, value: Value) -> tuple[Signal, Signal]:
    """Count of zeros above the highest one of `value`, and whether there is a one at all.

    Both come from one tree of depth log2(width). Without any one, the count is at least the width
    less one, and means nothing more.
    """
    width = 1 << (len(value) - 1).bit_length()
    padding = width - len(value)
    count, _ = _count(m, name, Cat(Const((1 << padding) - 1, padding), value))
    any_one = Signal(name=f"{name}_any")
    m.d.comb += any_one.eq(value.any())
    return count, any_one


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


def lost_by_shift(m: Module, name: str, value: Value, amount: Value, unit: int = 1) -> Signal:
    """Whether a right shift of `value` by `amount` times `unit` places loses a one (sticky bit)."""
    lost = Signal(name=name)
    below = [value[: steps * unit].any() for steps in range(1 << len(amount))]
    m.d.comb += lost.eq(Array(below)[amount])
    return lost
