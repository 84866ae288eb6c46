"""Counts through vectors that come one after the other, in an order known beforehand."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.shape import below


class VectorWalker(wiring.Component):
    """Says of each element which vector it belongs to and where that one's elements lie.

    After the last vector it begins again with the first. No latency: `step` takes it to the next
    element in the next clock.

    Parameters
    ----------
    lengths : elements of each vector.
    first : address of each vector's first element.
    strides : 1 for a vector with an address for each element, P for one whose address advances
        every P elements.

    Members
    -------
    step : the element is there.
    vector : number of its vector.
    last : it is the last of its vector.
    lane : its number modulo the vector's stride.
    address : its address.
    next_address : what `address` will be in the next clock.
    """

    def __init__(
        self, lengths: Sequence[int], first: Sequence[int], strides: Sequence[int] | None = None
    ) -> None:
        self.lengths = tuple(lengths)
        self.first = tuple(first)
        self.strides = tuple(strides or (1 for _ in lengths))
        ends = [
            base + (length - 1) // stride
            for base, length, stride in zip(self.first, self.lengths, self.strides, strict=True)
        ]
        super().__init__(
            {
                "step": In(1),
                "vector": Out(below(len(self.lengths))),
                "last": Out(1),
                "lane": Out(below(max(self.strides))),
                "address": Out(below(max(ends) + 1), init=self.first[0]),
                "next_address": Out(below(max(ends) + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = len(self.lengths)
        element = Signal(below(max(self.lengths)))
        following = [self.first[(index + 1) % count] for index in range(count)]
        turn = Signal()
        m.d.comb += [
            self.last.eq(element == Array(n - 1 for n in self.lengths)[self.vector]),
            turn.eq(self.lane == Array(n - 1 for n in self.strides)[self.vector]),
            self.next_address.eq(self.address),
        ]
        with m.If(self.step):
            m.d.sync += [element.eq(element + 1), self.lane.eq(Mux(turn, 0, self.lane + 1))]
            m.d.comb += self.next_address.eq(self.address + turn)
            with m.If(self.last):
                m.d.sync += [
                    element.eq(0),
                    self.lane.eq(0),
                    self.vector.eq(Mux(self.vector == count - 1, 0, self.vector + 1)),
                ]
                m.d.comb += self.next_address.eq(Array(following)[self.vector])
        m.d.sync += self.address.eq(self.next_address)
        return m
