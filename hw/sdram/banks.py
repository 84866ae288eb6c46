"""What each bank is at, and which commands it may be given."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.sdram.chips import BANK_BITS, BANKS, SdramTiming
from hw.shape import below


class BankStates(wiring.Component):
    """Follows the commands as they are decided; a clock later it knows.

    Parameters
    ----------
    timing : of the chip.

    Members
    -------
    activate, precharge : commands for `bank`.
    row : to be activated.
    write : command for `write_bank`.
    precharge_all : of all banks.
    open : a row of the bank is open, or will be when `may_access`.
    open_row : its number.
    may_access, may_activate, may_precharge : the next clock is not too early for it, if the bank
        is given no command in this one.
    apart : since the last activation of any bank it is too early for another.
    may_precharge_all : all banks may be precharged, now.
    """

    clocked = True

    def __init__(self, timing: SdramTiming) -> None:
        self.timing = timing
        super().__init__(
            {
                "bank": In(BANK_BITS),
                "activate": In(1),
                "precharge": In(1),
                "row": In(timing.chip.row_bits),
                "write": In(1),
                "write_bank": In(BANK_BITS),
                "precharge_all": In(1),
                "open": Out(BANKS),
                "open_row": Out(timing.chip.row_bits).array(BANKS),
                "may_access": Out(BANKS),
                "may_activate": Out(BANKS),
                "may_precharge": Out(BANKS),
                "apart": Out(1),
                "may_precharge_all": Out(1),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"sdram_bank_states_{self.timing.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timing = self.timing
        since, closable = Signal(below(timing.rrd)), Signal(BANKS)
        m.d.comb += [self.apart.eq(since != 0), self.may_precharge_all.eq(closable.all())]
        m.d.sync += since.eq(Mux(self.activate, timing.rrd - 1, since - (since != 0)))
        for number in range(BANKS):
            chosen = self.bank == number
            activate = self.activate & chosen
            precharge = (self.precharge & chosen) | self.precharge_all
            write = self.write & (self.write_bank == number)
            # One counter for both, as only one of them runs.
            wait = Signal(below(max(timing.rcd, timing.rp)), name=f"wait_{number}")
            opened = Signal(below(timing.ras), name=f"opened_{number}")
            written = Signal(below(timing.wr), name=f"written_{number}")
            m.d.comb += [
                self.may_access[number].eq(_ends(wait)),
                self.may_activate[number].eq(_ends(wait)),
                self.may_precharge[number].eq(_ends(opened) & _ends(written)),
                closable[number].eq((opened == 0) & (written == 0)),
            ]
            m.d.sync += [
                wait.eq(wait - (wait != 0)),
                opened.eq(Mux(activate, timing.ras - 1, opened - (opened != 0))),
                written.eq(Mux(write, timing.wr - 1, written - (written != 0))),
            ]
            with m.If(precharge):
                m.d.sync += [self.open[number].eq(0), wait.eq(timing.rp - 1)]
            with m.Elif(activate):
                m.d.sync += [
                    self.open[number].eq(1),
                    self.open_row[number].eq(self.row),
                    wait.eq(timing.rcd - 1),
                ]
        return m


def _ends(counter: Signal) -> Value:
    """Whether `counter`, which counts down, is 0 in the next clock."""
    return counter[1:] == 0 if len(counter) > 1 else Const(1)
