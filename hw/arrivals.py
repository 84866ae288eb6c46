"""Vectors that come from another group of layers, an element at a time."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.shape import below
from hw.walker import VectorWalker


class Arrivals(wiring.Component):
    """Says where each element that comes is to lie, and whether a whole vector waits for its use.

    No latency from element to place; a vector waits from the clock after its last element.

    Parameters
    ----------
    length : elements of a vector.
    copies : of the memory, a power of two: a vector for each sample in hand.
    stride : 1, or P for vectors that are spread over P PEs.

    Members
    -------
    step : an element comes.
    lane, offset, copy : where it is to lie.
    waits : a whole vector has come and is not in use.
    use : the oldest of those is, from now on.
    restart, first : the next element is the first of the vector for copy `first`; none waits.
    """

    def __init__(self, length: int, copies: int, stride: int = 1) -> None:
        self.length, self.copies, self.stride = length, copies, stride
        super().__init__(
            {
                "step": In(1),
                "lane": Out(below(stride)),
                "offset": Out(below(-(-length // stride))),
                "copy": Out(below(copies)),
                "waits": Out(1),
                "use": In(1),
                "restart": In(1),
                "first": In(below(copies)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walker = walker = VectorWalker([self.length], [self.stride])
        whole, waiting = Signal(), Signal(range(self.copies + 1))
        m.d.comb += [
            walker.step.eq(self.step),
            self.lane.eq(walker.lane),
            self.offset.eq(walker.offset),
            whole.eq(self.step & walker.last),
            self.waits.eq(waiting != 0),
        ]
        m.d.sync += [
            self.copy.eq(self.copy + whole),
            waiting.eq(waiting + whole - self.use),
        ]
        with m.If(self.restart):
            m.d.sync += [self.copy.eq(self.first), waiting.eq(0)]
        return m
