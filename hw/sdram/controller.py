"""The SDRAM controller."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.sdram.banks import BankStates
from hw.sdram.chips import BANK_BITS, DATA_BITS, SdramChip, SdramTiming
from hw.sdram.refresh import RefreshControl
from hw.sdram.splitter import RequestSplitter, request_layout, segment_layout
from hw.verilog import place

# Words that may have been asked for and not been taken: more than are on their way at a time.
_READ_AHEAD = 16


class Command(enum.Enum, shape=3):
    """RAS, CAS and WE, from the low bit up; 1 is a low pin."""

    NONE = 0b000
    ACTIVATE = 0b001
    READ = 0b010
    REFRESH = 0b011
    PRECHARGE = 0b101
    WRITE = 0b110
    SET_MODE = 0b111


def pins_signature(chip: SdramChip) -> wiring.Signature:
    """The chip's pins but for its clock, as the controller drives them.

    cs, ras, cas and we are 1 where the pin is low.
    """
    return wiring.Signature(
        {
            "clk_en": Out(1),
            "cs": Out(1),
            "ras": Out(1),
            "cas": Out(1),
            "we": Out(1),
            "ba": Out(BANK_BITS),
            "a": Out(chip.row_bits),
            "dqm": Out(DATA_BITS // 8),
            "dq_o": Out(DATA_BITS),
            "dq_oe": Out(1),
            "dq_i": In(DATA_BITS),
        }
    )


class SdramController(wiring.Component):
    """Reads and writes an SDR SDRAM in requests of any length, a word a clock.

    Requests are done in their order: what is read is what was written last before. The data of
    writes come through `i`, in the order of the requests, those of reads leave through `o`. Each
    word is a command of its own (burst length 1). Rows stay open. While a segment (the part of a
    request in one row) is being read or written, the row of the next one is opened, if it lies in
    another bank; in addresses the bank lies between row and column, so that this is so wherever a
    request runs over the end of a row.

    Refresh never comes later than `timing.refresh_interval` after the one before. In the second
    half of that time it is done when there is nothing to do, or when data is waited for.

    A reset begins with the initialisation again. There is no refresh meanwhile, and what is stored
    may be lost.

    Clocks from the transfer of a read request to its first word at `o`, with nothing else under
    way, L being the CAS latency:

    - row open: L + 6;
    - bank closed: max(rcd, 2) + L + 6;
    - another row open: max(rp, 2) + max(rcd, 2) + L + 6, if it has been open long enough.

    A refresh in between adds at most what closing, `rp`, `rfc` and opening take. Words follow each
    other without a gap over the ends of rows and requests, but for the commands that open rows:
    two clocks a row at most. From a write to a read the clock goes on; from a read to a write it
    takes L + 2 clocks.

    Pins come from registers, and dq_i goes into one. The chip's clock is `clk`, shifted as the
    board needs: by half a period at most, as long as words read are there in the other half.

    Parameters
    ----------
    timing : of the chip at the clock frequency.

    Members
    -------
    request : stream of `hw.sdram.splitter.request_layout`: address of the first word, number of
        words, write. A request of no words does nothing. After the last address comes the first.
    i : stream of words to write.
    o : stream of words read. What is not taken stops reading, and loses nothing.
    refresh : a refresh is wanted now, until `refreshed`.
    refreshed : a refresh ends, and all rows are closed.
    initialized : the chip is; requests are taken before, and wait.
    pins : see `pins_signature`.
    """

    clocked = True

    def __init__(self, timing: SdramTiming) -> None:
        self.timing = timing
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(timing.chip))),
                "i": In(stream.Signature(DATA_BITS)),
                "o": Out(stream.Signature(DATA_BITS)),
                "refresh": In(1),
                "refreshed": Out(1),
                "initialized": Out(1),
                "pins": Out(pins_signature(timing.chip)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"sdram_controller_{self.timing.name}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        splitter = RequestSplitter(self.timing.chip)
        banks, refresh = BankStates(self.timing), RefreshControl(self.timing)
        place(m, "splitter", splitter, platform)
        place(m, "banks", banks, platform)
        place(m, "refresh", refresh, platform)
        wiring.connect(m, wiring.flipped(self.request), splitter.request)

        current, following = (_Slot(self.timing.chip, name) for name in ("current", "following"))
        access, pause, credit = Signal(), Signal(), Signal()
        for_current, for_following = self._open_rows(m, current, following, banks, refresh)
        self._access(m, current, for_following, banks, refresh, access, pause, credit)
        self._advance(m, current, following, splitter, access)
        # What a slot knows is a clock old.
        m.d.sync += [
            current.known.eq(~(refresh.precharge_all | for_current)),
            following.known.eq(~(refresh.precharge_all | for_following | splitter.segment.ready)),
        ]
        self._read(m, access & ~current.segment.write, credit)
        self._drive(m, current, access, banks, refresh)
        m.d.comb += [
            refresh.pause.eq(pause | ~(current.valid | following.valid | splitter.segment.valid)),
            refresh.may_precharge_all.eq(banks.may_precharge_all),
            refresh.now.eq(self.refresh),
            self.refreshed.eq(refresh.refreshed),
            self.initialized.eq(refresh.initialized),
        ]
        return m

    def _open_rows(
        self,
        m: Module,
        current: "_Slot",
        following: "_Slot",
        banks: BankStates,
        refresh: RefreshControl,
    ) -> tuple[Signal, Signal]:
        """Opens the rows of both segments, the current one's first; the commands for each."""
        for_current, for_following = Signal(), Signal()
        wanted, activate, precharge = Signal(), Signal(), Signal()
        for slot in (current, following):
            slot.look_up(m, banks)
        with m.If(current.hit):
            # It may not take the current segment's bank.
            apart = following.segment.bank != current.segment.bank
            m.d.comb += [
                wanted.eq(following.valid & following.known & apart),
                activate.eq(following.may_activate),
                precharge.eq(following.may_precharge),
                banks.bank.eq(following.segment.bank),
                banks.row.eq(following.segment.row),
            ]
        with m.Else():
            m.d.comb += [
                wanted.eq(current.known),
                activate.eq(current.may_activate),
                precharge.eq(current.may_precharge),
                banks.bank.eq(current.segment.bank),
                banks.row.eq(current.segment.row),
            ]
        allowed = wanted & current.valid & refresh.running
        command = banks.activate | banks.precharge
        m.d.comb += [
            banks.activate.eq(allowed & activate & ~banks.apart),
            banks.precharge.eq(allowed & precharge),
            banks.precharge_all.eq(refresh.precharge_all),
            for_current.eq(command & ~current.hit),
            for_following.eq(command & current.hit),
        ]
        return for_current, for_following

    def _access(
        self,
        m: Module,
        current: "_Slot",
        other: Value,
        banks: BankStates,
        refresh: RefreshControl,
        access: Signal,
        pause: Signal,
        credit: Signal,
    ) -> None:
        """Reads or writes the current segment's next word, but for clocks of an `other` command."""
        write = current.segment.write
        # The chip lets go of the data pins a clock after its last word.
        turn = self.timing.cas + 2
        turning = Signal(range(turn))
        has_data = Signal()
        m.d.comb += [
            has_data.eq(Mux(write, self.i.valid, credit)),
            access.eq(
                current.valid
                & current.known
                & current.may_access
                & refresh.running
                & ~other
                & has_data
                & ~(write & (turning != 0))
            ),
            pause.eq(current.valid & ~has_data),
            self.i.ready.eq(access & write),
            banks.write.eq(access & write),
            banks.write_bank.eq(current.segment.bank),
        ]
        m.d.sync += turning.eq(Mux(access & ~write, turn - 1, turning - (turning != 0)))

    def _advance(
        self,
        m: Module,
        current: "_Slot",
        following: "_Slot",
        splitter: RequestSplitter,
        access: Signal,
    ) -> None:
        """Through the current segment, and from one segment to the next."""
        free = Signal()
        segment = current.segment
        m.d.comb += [
            free.eq(~current.valid | (access & (segment.more == 0))),
            splitter.segment.ready.eq(~following.valid | free),
        ]
        current.learn(m, current)
        following.learn(m, following)
        with m.If(access):
            m.d.sync += [
                segment.column.eq(segment.column + 1),
                segment.more.eq(segment.more - 1),
            ]
        with m.If(free):
            m.d.sync += [
                current.valid.eq(following.valid),
                segment.eq(following.segment),
            ]
            current.learn(m, following)
            # The bank's state does not know yet of what is being written.
            with m.If(access & segment.write):
                m.d.sync += current.may_precharge.eq(0)
        with m.If(splitter.segment.ready):
            m.d.sync += [
                following.valid.eq(splitter.segment.valid),
                following.segment.eq(splitter.segment.payload),
            ]

    def _read(self, m: Module, read: Value, credit: Signal) -> None:
        """Catches what is read; `credit` is only high while there is room for a word more."""
        m.submodules.words = words = fifo.SyncFIFO(width=DATA_BITS, depth=_READ_AHEAD)
        arrived = delay(m, read, self.timing.cas + 2, "read", reset=True)
        caught = Signal(DATA_BITS, reset_less=True)
        room = Signal(range(_READ_AHEAD + 1), init=_READ_AHEAD)
        m.d.sync += [
            caught.eq(self.pins.dq_i),
            room.eq(room - read + (self.o.valid & self.o.ready)),
            # Of the clock before: one word more may have been asked for since.
            credit.eq(room > 1),
        ]
        m.d.comb += [
            words.w_en.eq(arrived),
            words.w_data.eq(caught),
            self.o.valid.eq(words.r_rdy),
            self.o.payload.eq(words.r_data),
            words.r_en.eq(self.o.ready),
        ]

    def _drive(
        self,
        m: Module,
        current: "_Slot",
        access: Signal,
        banks: BankStates,
        refresh: RefreshControl,
    ) -> None:
        """The pins, a clock after the decision."""
        pins, write = self.pins, current.segment.write
        command = Signal(Command)
        address, bank = Signal(self.timing.chip.row_bits), Signal(BANK_BITS)
        every_bank = 1 << 10
        with m.If(banks.activate):
            m.d.comb += [
                command.eq(Command.ACTIVATE),
                bank.eq(banks.bank),
                address.eq(banks.row),
            ]
        with m.Elif(banks.precharge):
            m.d.comb += [command.eq(Command.PRECHARGE), bank.eq(banks.bank)]
        with m.Elif(access):
            m.d.comb += [
                command.eq(Mux(write, Command.WRITE, Command.READ)),
                bank.eq(current.segment.bank),
                address.eq(current.segment.column),
            ]
        with m.Elif(refresh.precharge_all):
            m.d.comb += [command.eq(Command.PRECHARGE), address.eq(every_bank)]
        with m.Elif(refresh.refresh):
            m.d.comb += command.eq(Command.REFRESH)
        with m.Elif(refresh.set_mode):
            # Burst length 1, sequential.
            m.d.comb += [command.eq(Command.SET_MODE), address.eq(self.timing.cas << 4)]
        # As they are at the pins: a register that is part of a pin cannot be inverted behind it.
        low = Signal(3, init=~0)
        m.d.comb += [
            pins.clk_en.eq(1),
            pins.cs.eq(1),
            Cat(pins.ras, pins.cas, pins.we).eq(~low),
        ]
        m.d.sync += [
            low.eq(~command.as_value()),
            pins.dqm.eq(Mux(refresh.initialized, 0, 3)),
            pins.dq_oe.eq(access & write),
        ]
        # No reset: the registers of a pin, which are of both directions, share one.
        m.d.comb += [
            pins.ba.eq(delay(m, bank, 1, "ba")),
            pins.a.eq(delay(m, address, 1, "a")),
            pins.dq_o.eq(delay(m, self.i.payload, 1, "dq_o")),
        ]


class _Slot:
    """A segment, and what is known of its bank.

    Members
    -------
    valid, segment : the segment.
    known : what follows is true.
    hit : its row is open.
    may_access, may_activate, may_precharge : what its bank needs next, as soon as it may be.
    found : the same three and `hit`, for the next clock.
    """

    def __init__(self, chip: SdramChip, name: str) -> None:
        self.segment = Signal(segment_layout(chip), name=name)
        self.valid, self.known = Signal(name=f"{name}_valid"), Signal(name=f"{name}_known")
        flags = ("hit", "may_access", "may_activate", "may_precharge")
        self.hit, self.may_access, self.may_activate, self.may_precharge = self._flags = [
            Signal(name=f"{name}_{flag}") for flag in flags
        ]
        self.found = [Signal(name=f"{name}_found_{flag}") for flag in flags]

    def look_up(self, m: Module, banks: BankStates) -> None:
        """Compares with the bank's state."""
        hit, may_access, may_activate, may_precharge = self.found
        with m.Switch(self.segment.bank):
            for number, row in enumerate(banks.open_row):
                with m.Case(number):
                    is_open = banks.open[number]
                    m.d.comb += [
                        hit.eq(is_open & (row == self.segment.row)),
                        may_access.eq(hit & banks.may_access[number]),
                        may_activate.eq(~is_open & banks.may_activate[number]),
                        may_precharge.eq(is_open & ~hit & banks.may_precharge[number]),
                    ]

    def learn(self, m: Module, source: "_Slot") -> None:
        """Takes over what has been found for the segment of `source`."""
        m.d.sync += [flag.eq(found) for flag, found in zip(self._flags, source.found, strict=True)]
