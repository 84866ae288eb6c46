import pytest
from amaranth.hdl import Const

from hw.copies import address, address_shape, depth


@pytest.mark.parametrize("words", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("copies", [1, 2, 4, 8])
def test_every_word_of_every_copy_has_its_own_address(words, copies):
    shape = address_shape(words, copies)
    found = {
        value(address(Const(word, 8), Const(copy, 3), words, copies))
        for word in range(words)
        for copy in range(copies)
    }
    assert len(found) == words * copies
    assert max(found) < depth(words, copies) <= 1 << shape.width


def test_of_the_number_of_a_copy_the_low_bits_count():
    assert value(address(Const(5, 8), Const(6, 3), 8, 4)) == 2 << 3 | 5


def value(cat) -> int:
    bits = 0
    for part in reversed(cat.parts):
        bits = bits << len(part) | sliced(part)
    return bits


def sliced(part) -> int:
    return part.value.value >> part.start & (1 << len(part)) - 1
