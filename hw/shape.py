"""Shapes of ports and counters."""


def below(count: int) -> range:
    """Shape of a number from 0 to count - 1, of one bit at least: Verilog has no empty ports."""
    return range(max(2, count))
