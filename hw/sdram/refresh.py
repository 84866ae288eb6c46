"""Initialisation after power-up, and refresh."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.sdram.chips import SdramTiming
from hw.shape import below


class RefreshControl(wiring.Component):
    """Initialises the chip, and then interrupts its use for refreshes.

    After reset: t_power_up without commands, precharge all, refreshes, mode register.

    From half of the interval on, a refresh is done as soon as the rest of the controller pauses;
    after `timing.refresh_after` clocks, in any case. From then, closing the rows takes so long at
    most that the refresh comes in time.

    Parameters
    ----------
    timing : of the chip.

    Members
    -------
    now : a refresh is wanted now, until `refreshed`.
    pause : nothing would be lost by a refresh now.
    may_precharge_all : no bank forbids it.
    running : other commands may be given; a refresh begins with the fall of it.
    precharge_all, refresh, set_mode : commands to be given.
    refreshed : the last clock of a refresh, once initialized. All banks are closed.
    initialized : from the first `running` on.
    """

    clocked = True

    def __init__(self, timing: SdramTiming) -> None:
        self.timing = timing
        super().__init__(
            {
                "now": In(1),
                "pause": In(1),
                "may_precharge_all": In(1),
                "running": Out(1),
                "precharge_all": Out(1),
                "refresh": Out(1),
                "set_mode": Out(1),
                "refreshed": Out(1),
                "initialized": Out(1),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"sdram_refresh_control_{self.timing.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timing = self.timing
        wants = self._wants(m)
        count = timing.chip.power_up_refreshes
        missing = Signal(range(count + 1), init=count)
        wait = Signal(
            below(max(timing.power_up, timing.rp, timing.rfc, timing.mrd)), init=timing.power_up - 1
        )
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.FSM(init="CLOSE"):
            with m.State("CLOSE"), m.If((wait == 0) & self.may_precharge_all):
                m.d.comb += self.precharge_all.eq(1)
                m.d.sync += wait.eq(timing.rp - 1)
                m.next = "REFRESH"
            with m.State("REFRESH"), m.If(wait == 0):
                m.d.comb += self.refresh.eq(1)
                m.d.sync += [wait.eq(timing.rfc - 1), missing.eq(missing - (missing != 0))]
                with m.If(self.initialized):
                    m.next = "END"
                with m.Elif(missing == 1):
                    m.next = "MODE"
            with m.State("MODE"), m.If(wait == 0):
                m.d.comb += self.set_mode.eq(1)
                m.d.sync += wait.eq(timing.mrd - 1)
                m.next = "END"
            with m.State("END"), m.If(wait == 0):
                m.d.comb += self.refreshed.eq(self.initialized)
                m.d.sync += [self.running.eq(1), self.initialized.eq(1)]
                m.next = "RUN"
            with m.State("RUN"), m.If(wants):
                m.d.sync += self.running.eq(0)
                m.next = "CLOSE"
        return m

    def _wants(self, m: Module) -> Signal:
        """Whether the time for a refresh has come."""
        after = self.timing.refresh_after
        since = Signal(range(self.timing.refresh_interval + 1))
        may, must, wants = Signal(), Signal(), Signal()
        m.d.comb += wants.eq(must | self.now | (may & self.pause))
        with m.If(self.refresh):
            m.d.sync += [since.eq(0), may.eq(0), must.eq(0)]
        with m.Else():
            m.d.sync += since.eq(since + 1)
            with m.If(since == after // 2):
                m.d.sync += may.eq(1)
            with m.If(since == after):
                m.d.sync += must.eq(1)
        return wants
