"""Memories that hold the same vectors of several samples: their addresses."""

from amaranth.hdl import Cat, Shape, Value, unsigned

from hw.shape import below


def depth(words: int, copies: int) -> int:
    """Words of a memory with `copies` copies of `words` words; they begin at powers of two."""
    return ((copies - 1) << Shape.cast(below(words)).width) + len(below(words))


def address_shape(words: int, copies: int) -> Shape:
    """Shape of its addresses."""
    return unsigned(Shape.cast(below(words)).width + (copies - 1).bit_length())


def address(word: Value, copy: Value, words: int, copies: int) -> Value:
    """Of `word` in a copy; of its number the low bits count."""
    bits = Shape.cast(below(words)).width
    return Cat(Value.cast(word)[:bits], Value.cast(copy)[: (copies - 1).bit_length()])
