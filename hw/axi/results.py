"""The outputs and the loss of each sample, as packets of an AXI4-Stream."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.registers import packet_words, result_words
from hw.design import Design
from hw.shape import below

#: Fills up the outputs of a sample whose run was reset in their midst: a quiet NaN.
FILLER = 0x7FC00000


class ResultSource(wiring.Component):
    """Queues what the core's runs put out: a packet of each sample's outputs, its loss, or both.

    The core computes on while the consumer holds the stream up: a run waits for samples only. So a
    sample whose packet does not find room when its first output comes is left out as a whole, and
    counted. Packets are whole, and in the order of the samples. The queue keeps them when the core
    is reset, since what has been offered may not be withdrawn; a packet that the reset cut is
    filled up with quiet NaNs.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    m_axis_tdata, m_axis_tlast, m_axis_tvalid, m_axis_tready : AXI4-Stream; from flip-flops and from
        the output of a memory.
    begins : a run begins.
    wanted : bit 0, outputs; bit 1, losses, if the design has them.
    reset : of the core.
    prediction, prediction_valid, loss, loss_valid : of the core.
    lost : samples left out since the run began.
    waiting : words in the queue.
    """

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        self.depth = result_words(design)
        loss = {"loss": In(32), "loss_valid": In(1)} if design.loss else {}
        super().__init__(
            {
                **loss,
                "m_axis_tdata": Out(32),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "begins": In(1),
                "wanted": In(1 + design.loss),
                "reset": In(1),
                "prediction": In(32),
                "prediction_valid": In(1),
                "lost": Out(32),
                "waiting": Out(range(self.depth + 1)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_result_source"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        outputs, size = self.design.layers[-1], packet_words(self.design)
        m.submodules.queue = queue = SyncFIFOBuffered(width=33, depth=self.depth)
        # In the packet in progress. Every sample has all positions, wanted or not.
        position = Signal(below(size))
        # What of that packet is queued: decided when it begins.
        keeps, keeps_next = Signal.like(self.wanted), Signal.like(self.wanted)
        first, last = position == 0, position == size - 1
        room = queue.level <= self.depth - size
        cut, fills, comes = Signal(), Signal(), Signal()
        word, valid, kept, ends = self.prediction, self.prediction_valid, keeps_next[0], last
        if self.design.loss:
            word = Mux(last, self.loss, word)
            valid = Mux(last, self.loss_valid, valid)
            kept = Mux(last, keeps_next[1], kept)
            ends = last | ((position == outputs - 1) & ~keeps_next[1])
        m.d.comb += [
            fills.eq(cut & ~first),
            comes.eq(valid | fills),
            keeps_next.eq(Mux(first, Mux(room, self.wanted, 0), keeps)),
            queue.w_en.eq(comes & kept),
            queue.w_data.eq(Cat(Mux(fills, FILLER, word), ends)),
            Cat(self.m_axis_tdata, self.m_axis_tlast).eq(queue.r_data),
            self.m_axis_tvalid.eq(queue.r_rdy),
            queue.r_en.eq(self.m_axis_tready),
            self.waiting.eq(queue.level),
        ]
        with m.If(comes):
            m.d.sync += [position.eq(Mux(last, 0, position + 1)), keeps.eq(keeps_next)]
        with m.If(self.reset):
            m.d.sync += cut.eq(1)
        with m.Elif(first):
            m.d.sync += cut.eq(0)
        with m.If(self.begins):
            m.d.sync += self.lost.eq(0)
        with m.Elif(comes & first & self.wanted.any() & ~room):
            m.d.sync += self.lost.eq(self.lost + 1)
        return m
