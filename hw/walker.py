"""Counts through the elements of vectors that come one after the other."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.shape import below


class VectorWalker(wiring.Component):
    """Says of each element where in its vector it is.

    No latency: `step` takes it to the next element in the next clock.

    Parameters
    ----------
    lengths : elements of each vector that there may be.
    strides : 1 for a vector with a word for each element, P for one whose words hold P elements,
        one in each PE.

    Members
    -------
    step : the element is there.
    vector : number of its vector.
    last : it is the last of its vector.
    lane : its number modulo the vector's stride.
    offset : its word, from the vector's first.
    next_offset : what `offset` will be in the next clock.
    """

    def __init__(self, lengths: Sequence[int], strides: Sequence[int] | None = None) -> None:
        self.lengths = tuple(lengths)
        self.strides = tuple(strides or (1 for _ in lengths))
        words = [
            -(-length // stride) for length, stride in zip(self.lengths, self.strides, strict=True)
        ]
        super().__init__(
            {
                "step": In(1),
                "vector": In(below(len(self.lengths))),
                "last": Out(1),
                "lane": Out(below(max(self.strides))),
                "offset": Out(below(max(words))),
                "next_offset": Out(below(max(words))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        element = Signal(below(max(self.lengths)))
        turn = Signal()
        m.d.comb += [
            self.last.eq(element == Array(n - 1 for n in self.lengths)[self.vector]),
            turn.eq(self.lane == Array(n - 1 for n in self.strides)[self.vector]),
            self.next_offset.eq(self.offset),
        ]
        with m.If(self.step):
            m.d.sync += [element.eq(element + 1), self.lane.eq(Mux(turn, 0, self.lane + 1))]
            m.d.comb += self.next_offset.eq(self.offset + turn)
            with m.If(self.last):
                m.d.sync += [element.eq(0), self.lane.eq(0)]
                m.d.comb += self.next_offset.eq(0)
        m.d.sync += self.offset.eq(self.next_offset)
        return m
