"""From requests of any length to segments that lie in one row each."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.sdram.chips import BANK_BITS, SdramChip

WORDS_BITS = 16


def request_layout(chip: SdramChip) -> data.StructLayout:
    """A request: `words` words from word `address` on, to be written or read."""
    return data.StructLayout({"address": chip.address_bits, "words": WORDS_BITS, "write": 1})


def segment_layout(chip: SdramChip) -> data.StructLayout:
    """A part of a request that lies in one row: one word at `column`, and `more` behind it."""
    return data.StructLayout(
        {
            "bank": BANK_BITS,
            "row": chip.row_bits,
            "column": chip.column_bits,
            "more": chip.column_bits,
            "write": 1,
        }
    )


class RequestSplitter(wiring.Component):
    """Cuts requests where rows end. Latency 1 clock; a segment a clock.

    The bank's number lies between row and column in the address: what follows a row lies in
    another bank, whose row can be opened meanwhile. The chip's first word follows its last.

    Members
    -------
    request : stream of `request_layout`; one of no words gives no segment.
    segment : stream of `segment_layout`.
    """

    clocked = True

    def __init__(self, chip: SdramChip) -> None:
        self.chip = chip
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(chip))),
                "segment": Out(stream.Signature(segment_layout(chip))),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"sdram_request_splitter_{self.chip.row_bits}_{self.chip.column_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns = self.chip.column_bits
        address, write = Signal(self.chip.address_bits), Signal()
        more = Signal(WORDS_BITS)  # words of the request behind the first
        column, place = address[:columns], address[columns:]

        # Of the last word, counted from the beginning of the row.
        end = Signal(WORDS_BITS + 1)
        crossing, done = Signal(), Signal()
        segment = self.segment.payload
        m.d.comb += [
            end.eq(more + column),
            crossing.eq(end[columns:].any()),
            segment.bank.eq(place[:BANK_BITS]),
            segment.row.eq(place[BANK_BITS:]),
            segment.column.eq(column),
            segment.more.eq(Mux(crossing, ~column, more)),
            segment.write.eq(write),
            done.eq(self.segment.ready & ~crossing),
            self.request.ready.eq(~self.segment.valid | done),
        ]
        with m.If(self.request.ready):
            request = self.request.payload
            m.d.sync += [
                self.segment.valid.eq(self.request.valid & (request.words != 0)),
                address.eq(request.address),
                more.eq(request.words - 1),
                write.eq(request.write),
            ]
        with m.Elif(self.segment.ready):
            m.d.sync += [
                Cat(column, place).eq(Cat(column & 0, place + 1)),
                more.eq(Cat(end[:columns], end[columns:] - 1)),
            ]
        return m
