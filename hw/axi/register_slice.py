"""A stage between two sides of a stream whose outputs all come from flip-flops."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class RegisterSlice(wiring.Component):
    """Passes a stream on, a clock later, one transfer a clock.

    There are two places: when `o` stops, what `i` has been promised room for waits in the second.
    In reset it takes nothing.

    Parameters
    ----------
    width : of the payload, bits.

    Members
    -------
    i, o : streams.
    """

    clocked = True

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"register_slice_{self.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ready, waits, waiting = Signal(), Signal(), Signal(self.width, reset_less=True)
        comes = self.i.valid & ready
        m.d.comb += self.i.ready.eq(ready)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(waits | comes),
                self.o.payload.eq(Mux(waits, waiting, self.i.payload)),
                waits.eq(0),
                ready.eq(1),
            ]
        with m.Elif(comes):
            m.d.sync += [waiting.eq(self.i.payload), waits.eq(1), ready.eq(0)]
        with m.Else():
            m.d.sync += ready.eq(~waits)
        return m
