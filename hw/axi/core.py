"""The core with AXI outside: AXI4-Lite for the host, AXI4-Stream for samples and results."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.axi.results import ResultSource
from hw.axi.samples import SampleSink
from hw.axi.slave import AxiLiteSlave
from hw.core import Core
from hw.schedule import Schedule
from hw.verilog import place

_SLAVE = ("s_axi_", "irq")
_SINK = ("s_axis_",)
_SOURCE = ("m_axis_",)


class AxiCore(wiring.Component):
    """A core that a system on chip reaches through AXI. docs/integration.md says how.

    Parameters
    ----------
    schedule : of the core.

    Members
    -------
    s_axi_awaddr, s_axi_awprot, s_axi_awvalid, s_axi_awready : AXI4-Lite, address of a write, in
        bytes.
    s_axi_wdata, s_axi_wstrb, s_axi_wvalid, s_axi_wready : its word.
    s_axi_bresp, s_axi_bvalid, s_axi_bready : its answer.
    s_axi_araddr, s_axi_arprot, s_axi_arvalid, s_axi_arready : address of a read.
    s_axi_rdata, s_axi_rresp, s_axi_rvalid, s_axi_rready : its answer.
    irq : interrupt: high while something that is enabled is pending.
    s_axis_tdata, s_axis_tlast, s_axis_tvalid, s_axis_tready : AXI4-Stream of training vectors,
        `Design.record_words` words a packet.
    m_axis_tdata, m_axis_tlast, m_axis_tvalid, m_axis_tready : AXI4-Stream of results, a packet
        for each sample: its outputs, and then its loss if the design has one.

    All outputs come from flip-flops, but for m_axis_tdata and m_axis_tlast, which come from a
    memory's output register. Raises InputError if the weights need more than 32 bits of address.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self._parts = (
            (AxiLiteSlave(schedule), _SLAVE),
            (SampleSink(self.design), _SINK),
            (ResultSource(self.design), _SOURCE),
        )
        self.map = self._parts[0][0].map
        super().__init__(
            {
                name: member
                for part, prefixes in self._parts
                for name, member in part.signature.members.items()
                if name.startswith(prefixes)
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_axi"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slave, samples, results = (part for part, _ in self._parts)
        core = Core(self.schedule)
        place(m, "slave", slave, platform)
        place(m, "samples", samples, platform)
        place(m, "results", results, platform)
        place(m, "core", core, platform, reset=slave.reset_core)
        for name, member in self.signature.members.items():
            part = next(part for part, prefixes in self._parts if name.startswith(prefixes))
            ours, theirs = getattr(self, name), getattr(part, name)
            m.d.comb += ours.eq(theirs) if member.flow == Out else theirs.eq(ours)
        for name, member in slave.core.signature.members.items():
            ours, theirs = getattr(slave.core, name), getattr(core, name)
            m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)
        wiring.connect(m, samples.o, core.i)
        m.d.comb += [
            samples.reset.eq(slave.reset_core),
            slave.record_error.eq(samples.record_error),
            results.begins.eq(slave.begins),
            results.wanted.eq(slave.results),
            results.reset.eq(slave.reset_core),
            results.prediction.eq(core.prediction),
            results.prediction_valid.eq(core.prediction_valid),
            *(
                [results.loss.eq(core.loss), results.loss_valid.eq(core.loss_valid)]
                if self.design.loss
                else []
            ),
            slave.results_lost.eq(results.lost),
            slave.results_waiting.eq(results.waiting),
        ]
        return m
