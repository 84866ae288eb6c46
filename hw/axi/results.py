"""The outputs of each sample, as packets of an AXI4-Stream."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.registers import result_words
from hw.design import Design
from hw.shape import below

#: Fills up the outputs of a sample whose run was reset in their midst: a quiet NaN.
FILLER = 0x7FC00000


class ResultSource(wiring.Component):
    """Queues what the core's runs put out; TLAST comes with the last output of each sample.

    The core computes on while the consumer holds the stream up: a run waits for samples only. So a
    sample whose outputs do not all find room when the first one comes is left out as a whole, and
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
    enable : results are wanted.
    reset : of the core.
    prediction, prediction_valid : of the core.
    lost : samples left out since the run began.
    waiting : words in the queue.
    """

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        self.depth = result_words(design)
        super().__init__(
            {
                "m_axis_tdata": Out(32),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "begins": In(1),
                "enable": In(1),
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
        outputs = self.design.layers[-1]
        m.submodules.queue = queue = SyncFIFOBuffered(width=33, depth=self.depth)
        position = Signal(below(outputs))
        # Whether the sample in progress is queued.
        keeps, keeps_next = Signal(), Signal()
        first, last = position == 0, position == outputs - 1
        room = queue.level <= self.depth - outputs
        cut, fills, comes = Signal(), Signal(), Signal()
        m.d.comb += [
            fills.eq(cut & ~first),
            comes.eq(self.prediction_valid | fills),
            keeps_next.eq(Mux(first, self.enable & room, keeps)),
            queue.w_en.eq(comes & keeps_next),
            queue.w_data.eq(Cat(Mux(fills, FILLER, self.prediction), last)),
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
        with m.Elif(comes & first & self.enable & ~room):
            m.d.sync += self.lost.eq(self.lost + 1)
        return m
