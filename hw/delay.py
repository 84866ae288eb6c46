"""Delay lines."""

from amaranth.hdl import Module, Signal, Value, ValueLike


def delay(m: Module, value: ValueLike, clocks: int, name: str, *, reset: bool = False) -> Value:
    """`value` as it was `clocks` clocks ago.

    Data needs no reset; what makes something happen does (`reset`), so that nothing that was on
    its way survives one.
    """
    value = Value.cast(value)
    for index in range(clocks):
        register = Signal(value.shape(), name=f"{name}_{index + 1}", reset_less=not reset)
        m.d.sync += register.eq(value)
        value = register
    return value
