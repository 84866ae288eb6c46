"""Packets from bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.wiring import In, Out

from hw.link.protocol import CRC, END, ESC, ESC_END, ESC_ESC, PACKET_WORDS, Status

_MOST_WORDS = PACKET_WORDS + 2  # with header and CRC


class PacketReceiver(wiring.Component):
    """Collects a packet, checks it, and holds it until it is taken.

    Packets are framed as RFC 1055 says (SLIP). A packet is whole 32-bit words, least significant
    byte first: the header, the body, and the CRC-32 of both. A frame that is broken is held too,
    with what is wrong with it, so that it gets an answer; so is one of which nothing has come for
    `gap` clocks. What arrives while a packet is held is lost, and the frame that it belongs to is
    broken.

    Parameters
    ----------
    gap : clocks without a byte after which a frame that has begun is given up.

    Members
    -------
    byte, byte_valid, byte_error : from the UART.
    valid : a packet is held; what follows holds then.
    problem : what is wrong with it, a Status; 0 if nothing is.
    header : its first word.
    words : of its body.
    crc : its last word.
    taken : it may be overwritten.
    address, word : word of the body, a clock after its number.
    """

    clocked = True

    def __init__(self, gap: int) -> None:
        self.gap = gap
        super().__init__(
            {
                "byte": In(8),
                "byte_valid": In(1),
                "byte_error": In(1),
                "valid": Out(1),
                "problem": Out(8),
                "header": Out(32),
                "words": Out(range(PACKET_WORDS + 1)),
                "crc": Out(32),
                "taken": In(1),
                "address": In(range(PACKET_WORDS)),
                "word": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"packet_receiver_{self.gap}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self.begun, self.broken, self.finished = Signal(), Signal(), Signal()
        data, data_valid, cut = self._unframe(m)
        late = self._gap(m)
        length = self._collect(m, data, data_valid)
        m.submodules.check = check = Processor(CRC)
        m.d.comb += [
            check.data.eq(data),
            check.valid.eq(data_valid),
            check.start.eq(self.taken),
        ]
        with m.If(self.finished):
            m.d.sync += [self.begun.eq(0), self.broken.eq(0), self.valid.eq(1)]
            with m.If(self.broken | cut | late):
                m.d.sync += self.problem.eq(Status.BAD_FRAME)
            with m.Elif(length):
                m.d.sync += self.problem.eq(Status.BAD_LENGTH)
            with m.Elif(~check.match_detected):
                m.d.sync += self.problem.eq(Status.BAD_CRC)
            with m.Else():
                m.d.sync += self.problem.eq(0)
        with m.If(self.taken):
            m.d.sync += self.valid.eq(0)
        return m

    def _unframe(self, m: Module) -> tuple[Value, Value, Value]:
        """A packet's next byte, whether there is one, whether the frame ends within an escape."""
        data, data_valid, escaped = Signal(8), Signal(), Signal()
        end = self.byte_valid & ~self.byte_error & (self.byte == END)
        m.d.comb += data.eq(self.byte)
        with m.If(self.byte_valid & ~end):
            m.d.sync += self.begun.eq(1)
            # While a packet is held, there is no room for another.
            with m.If(self.byte_error | self.valid):
                m.d.sync += self.broken.eq(1)
            with m.Elif(escaped):
                m.d.sync += escaped.eq(0)
                m.d.comb += [
                    data_valid.eq((self.byte == ESC_END) | (self.byte == ESC_ESC)),
                    data.eq(Mux(self.byte == ESC_END, END, ESC)),
                ]
                with m.If(~data_valid):
                    m.d.sync += self.broken.eq(1)
            with m.Elif(self.byte == ESC):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.comb += data_valid.eq(1)
        with m.If(end & self.begun & ~self.valid):
            m.d.comb += self.finished.eq(1)
        with m.If(self.finished):
            m.d.sync += escaped.eq(0)
        return data, data_valid, escaped

    def _gap(self, m: Module) -> Value:
        """Whether the frame is given up, in this clock."""
        left, late = Signal(range(self.gap)), Signal()
        with m.If(self.byte_valid | ~self.begun | self.valid):
            m.d.sync += left.eq(self.gap - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Else():
            m.d.comb += [late.eq(1), self.finished.eq(1)]
        return late

    def _collect(self, m: Module, data: Value, data_valid: Value) -> Value:
        """Bytes to words, those of the body to the memory; whether the packet has a bad length."""
        m.submodules.body = body = memory.Memory(shape=32, depth=PACKET_WORDS, init=[])
        write, read = body.write_port(), body.read_port()
        lane, count, too_long = Signal(2), Signal(range(_MOST_WORDS + 1)), Signal()
        word = Cat(self.crc[8:], data)
        last = data_valid & (lane == 3)
        m.d.comb += [
            read.addr.eq(self.address),
            self.word.eq(read.data),
            write.addr.eq(count - 1),
            write.data.eq(word),
            # The header has a register, and the CRC is the last word, wherever it is.
            write.en.eq(last & (count != 0) & (count <= PACKET_WORDS)),
            self.words.eq(count - 2),
        ]
        with m.If(data_valid):
            m.d.sync += [lane.eq(lane + 1), self.crc.eq(word)]
        with m.If(last):
            with m.If(count == 0):
                m.d.sync += self.header.eq(word)
            with m.If(count == _MOST_WORDS):
                m.d.sync += too_long.eq(1)
            with m.Else():
                m.d.sync += count.eq(count + 1)
        with m.If(self.taken):
            m.d.sync += [lane.eq(0), count.eq(0), too_long.eq(0)]
        return too_long | (lane != 0) | (count < 2)
