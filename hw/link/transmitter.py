"""Bytes from packets."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.wiring import In, Out

from hw.link.protocol import CRC, END, ESC, ESC_END, ESC_ESC, PACKET_WORDS


class PacketTransmitter(wiring.Component):
    """Sends a packet, framed as `PacketReceiver` takes it.

    It takes a clock for each byte, if the stream is always ready, and one for each word.

    Members
    -------
    start : begin to send, while not `busy`.
    header : first word; read with `start`.
    words : of the body; read with `start`.
    busy : from the clock after `start` until the last byte has been taken.
    address, word : word of the body, a clock after its number.
    o : stream of bytes.
    """

    clocked = True

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "header": In(32),
                "words": In(range(PACKET_WORDS + 1)),
                "busy": Out(1),
                "address": Out(range(PACKET_WORDS)),
                "word": In(32),
                "o": Out(stream.Signature(8)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return "packet_transmitter"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.check = check = Processor(CRC)
        word, lane, left = Signal(32), Signal(2), Signal.like(self.words)
        checked, escaped = Signal(), Signal()
        byte = word[:8]
        special = (byte == END) | (byte == ESC)
        taken = self.o.valid & self.o.ready
        m.d.comb += [self.busy.eq(1), check.data.eq(byte)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), check.start.eq(1)]
                m.d.sync += [
                    word.eq(self.header),
                    left.eq(self.words),
                    self.address.eq(0),
                    checked.eq(0),
                ]
                with m.If(self.start):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(END)]
                with m.If(taken):
                    m.next = "BYTES"
            with m.State("BYTES"):
                plain = Mux(special, ESC, byte)
                escape = Mux(byte == END, ESC_END, ESC_ESC)
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(Mux(escaped, escape, plain))]
                with m.If(taken):
                    m.d.sync += escaped.eq(special & ~escaped)
                    with m.If(~special | escaped):
                        m.d.comb += check.valid.eq(1)
                        m.d.sync += [lane.eq(lane + 1), word.eq(word >> 8)]
                        with m.If(lane == 3):
                            m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "BYTES"
                with m.If(left != 0):
                    m.d.sync += [
                        word.eq(self.word),
                        left.eq(left - 1),
                        self.address.eq(self.address + 1),
                    ]
                with m.Elif(~checked):
                    m.d.sync += [word.eq(check.crc), checked.eq(1)]
                with m.Else():
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(END)]
                with m.If(taken):
                    m.next = "IDLE"
        return m
