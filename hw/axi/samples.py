"""Training vectors from an AXI4-Stream: only whole records reach the core's buffer as such."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.register_slice import RegisterSlice
from hw.design import Design
from hw.shape import below
from hw.verilog import place


class SampleSink(wiring.Component):
    """Checks that TLAST comes with the last word of each record, and passes the words on.

    A record whose TLAST comes too early or not in time is never complete in the core: the word at
    which that is seen is not passed on, so that the network is never trained on it. From there on
    words are taken and dropped, and `record_error` stays, until the core is reset. In reset words
    are taken and dropped too; what is left then of a record of which words were taken follows them.

    Words take 2 clocks; one a clock.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    s_axis_tdata, s_axis_tlast, s_axis_tvalid, s_axis_tready : AXI4-Stream; `s_axis_tready` comes
        from a flip-flop.
    reset : of the core.
    record_error : a record had its TLAST at the wrong word.
    o : the core's stream of training vectors.
    """

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        super().__init__(
            {
                "s_axis_tdata": In(32),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "reset": In(1),
                "record_error": Out(1),
                "o": Out(stream.Signature(32)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_sample_sink"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self.design.record_words
        part = RegisterSlice(33)
        place(m, "register_slice", part, platform)
        position, skips = Signal(below(words)), Signal()
        # The last word that came was not the last of its record.
        within, within_next = Signal(), Signal()
        last, drops, wrong = part.o.payload[32], Signal(), Signal()
        taken = part.o.valid & part.o.ready
        m.d.comb += [
            part.i.payload[:32].eq(self.s_axis_tdata),
            part.i.payload[32].eq(self.s_axis_tlast),
            part.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(part.i.ready),
            drops.eq(self.reset | skips | self.record_error),
            wrong.eq(last != (position == words - 1)),
            part.o.ready.eq(drops | wrong | self.o.ready),
            self.o.valid.eq(part.o.valid & ~drops & ~wrong),
            self.o.payload.eq(part.o.payload),
            within_next.eq(Mux(taken, ~last, within)),
        ]
        m.d.sync += within.eq(within_next)
        with m.If(self.reset):
            m.d.sync += [position.eq(0), self.record_error.eq(0), skips.eq(within_next)]
        with m.Elif(taken & skips):
            m.d.sync += skips.eq(~last)
        with m.Elif(taken & ~drops):
            m.d.sync += [self.record_error.eq(wrong), position.eq(Mux(last, 0, position + 1))]
        return m
