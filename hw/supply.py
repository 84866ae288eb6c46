"""Brings training vectors from SDRAM to the core's buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.design import Design
from hw.schedule import Schedule
from hw.sdram.chips import DATA_BITS, SdramChip
from hw.sdram.splitter import request_layout
from hw.shape import below

# The permutation of an epoch: so many rounds, each of which adds the key, turns it by so many bits,
# multiplies by 1 + 2**_LEFT and adds what lies _RIGHT bits higher. The key has turned all the way
# round when they are over. docs/memory.md says how random that is.
ROUNDS = 8
TURN = 4
LEFT, RIGHT = 2, 3

# G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003: period 2^32 - 1.
XORSHIFT = (13, 17, 5)


def record_size(design: Design) -> int:
    """16-bit words of a record in SDRAM."""
    return design.record_words * 32 // DATA_BITS


def most_records(design: Design, chip: SdramChip) -> int:
    """Records that the chip has room for."""
    return (1 << chip.address_bits) // record_size(design)


class EpochOrder(wiring.Component):
    """Numbers of the records of a run, epoch after epoch.

    With a seed of 0 each epoch goes from 0 to records - 1: a number every other clock. Otherwise
    each has an order of its own, a permutation that the epoch's key makes: the seed is the first
    epoch's key, and each key gives the next one by a step of xorshift. Numbers are permuted in the
    next larger power of two; one that falls outside of the records is permuted again. A number
    takes 10 clocks, and 9 more for each time that it falls outside: less than once on average.

    Parameters
    ----------
    most : records that there may be.

    Members
    -------
    begin_run : begin, while not busy.
    records, samples, seed : of an epoch, and in all; read with `begin_run`.
    cancel : no more.
    busy : from the clock after `begin_run` until the last number has been taken.
    o : stream of numbers.
    """

    clocked = True

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            {
                "begin_run": In(1),
                "records": In(32),
                "samples": In(32),
                "seed": In(32),
                "cancel": In(1),
                "busy": Out(1),
                "o": Out(stream.Signature(below(most))),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"epoch_order_{self.most}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = self.o.payload
        last = Signal.like(number)  # number of the last record
        # All bits that it has, of the clock before: it is there before the first round.
        mask = Signal.like(number)
        m.d.sync += mask.eq(Cat(last[bit:].any() for bit in range(len(last))))
        index, key = Signal.like(number), Signal(32)
        left = Signal(32)  # samples
        ends = Signal()  # the epoch, with this number
        rounds = Signal(range(ROUNDS))
        more = left != 0
        with m.FSM() as fsm:
            with m.State("NEXT"), m.If(more):
                m.d.sync += [
                    number.eq(index),
                    ends.eq(index == last),
                    index.eq(Mux(index == last, 0, index + 1)),
                ]
                with m.If(key == 0):
                    m.next = "PUT"
                with m.Else():
                    m.next = "PERMUTE"
            with m.State("PERMUTE"):
                m.d.sync += [
                    number.eq(_round(m, number, key, mask)),
                    key.eq(key.rotate_left(TURN)),
                    rounds.eq(rounds + 1),
                ]
                with m.If(rounds == ROUNDS - 1):
                    m.next = "PUT"
            with m.State("PUT"):
                m.d.comb += self.o.valid.eq(more & (number <= last))
                with m.If(~more):
                    m.next = "NEXT"
                with m.Elif(~self.o.valid):
                    m.next = "PERMUTE"
                with m.Elif(self.o.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(ends):
                        m.d.sync += key.eq(_xorshift(key))
                    m.next = "NEXT"
        m.d.comb += self.busy.eq(more | ~fsm.ongoing("NEXT"))
        with m.If(self.cancel):
            m.d.sync += left.eq(0)
        with m.If(self.begin_run):
            m.d.sync += [
                last.eq(self.records - 1),
                left.eq(self.samples),
                key.eq(self.seed),
                index.eq(0),
            ]
        return m


def _round(m: Module, number: Signal, key: Value, mask: Signal) -> Value:
    """One to one on the numbers within `mask`, whose low bits are ones."""
    added, multiplied = Signal.like(number), Signal.like(number)
    m.d.comb += [
        added.eq((number + key) & mask),
        multiplied.eq((added + (added << LEFT)) & mask),
    ]
    return multiplied ^ (multiplied >> RIGHT)


def _xorshift(word: Value) -> Value:
    left, right, again = XORSHIFT
    word = word ^ (word << left)[:32]
    word = word ^ (word >> right)
    return word ^ (word << again)[:32]


class SampleSupply(wiring.Component):
    """Fills the core's buffer from SDRAM, part by part, while the core trains.

    Records lie one behind the other from address 0 on, the low half of each word first. As soon as
    `Design.refill_vectors` places are free in the buffer, so many records are asked for, one
    request each, one behind the other: so they come as fast as the SDRAM gives them, whatever
    their order.

    A run begins with a refresh, and starts the core when it has its first sample. So SDRAM, supply
    and core are in the same state every time, and the run takes the same clocks. The core's buffer
    must be empty at the beginning: reset the core with `begin_run`.

    Parameters
    ----------
    schedule : of the core.
    chip : the SDRAM.

    Members
    -------
    begin_run : begin to supply a run, while not busy.
    first : number of the first record.
    records : how many of them make an epoch.
    samples : how many samples the run has, of perhaps several epochs.
    seed : of the order in which an epoch's records come, see EpochOrder. All four are to be held
        until `start`.
    cancel : ask for no more, and do not start the core if it has not been started.
    busy : from the clock after `begin_run` until the last word has been passed on, and the core
        started.
    released, loaded : from the core.
    start : to the core.
    refresh, refreshed : to and from the controller.
    request : stream to the controller.
    i : stream of words from the controller.
    o : stream of words to the core.
    """

    clocked = True

    def __init__(self, schedule: Schedule, chip: SdramChip) -> None:
        self.design = schedule.design
        self.chip = chip
        super().__init__(
            {
                "begin_run": In(1),
                "first": In(32),
                "records": In(32),
                "samples": In(32),
                "seed": In(32),
                "cancel": In(1),
                "busy": Out(1),
                "released": In(1),
                "loaded": In(1),
                "start": Out(1),
                "refresh": Out(1),
                "refreshed": In(1),
                "request": Out(stream.Signature(request_layout(chip))),
                "i": In(stream.Signature(DATA_BITS)),
                "o": Out(stream.Signature(32)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_sample_supply"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.order = order = EpochOrder(most_records(self.design, self.chip))
        m.d.comb += [
            order.begin_run.eq(self.refresh & self.refreshed & ~self.cancel),
            order.records.eq(self.records),
            order.samples.eq(self.samples),
            order.seed.eq(self.seed),
            order.cancel.eq(self.cancel),
        ]
        starting = Signal()
        m.d.comb += self.start.eq(starting & self.loaded & ~self.cancel)
        with m.If(self.begin_run):
            m.d.sync += [self.refresh.eq(1), starting.eq(1)]
        with m.Else():
            with m.If(self.refreshed | self.cancel):
                m.d.sync += self.refresh.eq(0)
            with m.If(self.start | self.cancel):
                m.d.sync += starting.eq(0)
        asked = self._ask(m, order)
        arrived = self._pass_on(m)
        # Records that have been asked for and have not come.
        coming = Signal(range(self.design.buffer_vectors + 1))
        m.d.sync += coming.eq(coming + asked - arrived)
        m.d.comb += self.busy.eq(order.busy | (coming != 0) | starting)
        return m

    def _ask(self, m: Module, order: EpochOrder) -> Value:
        """A request for each record, while there is room; when there is one."""
        design, request = self.design, self.request
        room = Signal(range(design.buffer_vectors + 1))
        part = Signal(range(design.refill_vectors + 1))  # records of this part to be asked for
        size = record_size(design)
        free = ~request.valid | request.ready
        asked = order.o.valid & order.o.ready
        enough = (part == 0) & (room >= design.refill_vectors) & ~self.refresh
        number = order.o.payload + self.first[: len(order.o.payload)]
        m.d.comb += [
            order.o.ready.eq((part != 0) & free),
            request.payload.words.eq(size),
        ]
        m.d.sync += [
            part.eq(Mux(enough, design.refill_vectors, part - asked)),
            room.eq(room - asked + self.released),
        ]
        with m.If(free):
            m.d.sync += [
                request.valid.eq(asked),
                # No multiplier: the array needs them.
                request.payload.address.eq(
                    sum(number << bit for bit in range(size.bit_length()) if size >> bit & 1)
                ),
            ]
        with m.If(self.begin_run):
            m.d.sync += [part.eq(0), room.eq(design.buffer_vectors)]
        return asked

    def _pass_on(self, m: Module) -> Value:
        """Two of the SDRAM's words make one of the core's; when the last of a record goes."""
        low, half = Signal(DATA_BITS), Signal()
        place = Signal(below(self.design.record_words))
        last = place == self.design.record_words - 1
        m.d.comb += [
            self.o.payload.eq(Cat(low, self.i.payload)),
            self.o.valid.eq(self.i.valid & half),
            self.i.ready.eq(~half | self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [half.eq(~half), low.eq(self.i.payload)]
        passed = self.o.valid & self.o.ready
        with m.If(passed):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
        return passed & last
