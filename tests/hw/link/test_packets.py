"""Packets in and out, against frames that are put together here."""

import struct
import zlib

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hw.link.protocol import PACKET_WORDS, Status
from hw.link.receiver import PacketReceiver
from hw.link.transmitter import PacketTransmitter

GAP = 60


def checked(packet):
    return packet + struct.pack("<I", zlib.crc32(packet))


def framed(text):
    escape = {0xC0: b"\xdb\xdc", 0xDB: b"\xdb\xdd"}
    return b"\xc0" + b"".join(escape.get(byte, bytes([byte])) for byte in text) + b"\xc0"


def words(text):
    return list(struct.unpack(f"<{len(text) // 4}I", text))


class Bench:
    """A receiver: bytes (None for an error of the line) at random moments; packets are taken."""

    def __init__(self, seed=1):
        self.unit = PacketReceiver(GAP)
        self.rng = np.random.default_rng(seed)
        self.found = []

    async def send(self, ctx, data, pause=3):
        for byte in data:
            ctx.set(self.unit.byte_valid, 1)
            ctx.set(self.unit.byte, 0xC0 if byte is None else byte)
            ctx.set(self.unit.byte_error, byte is None)
            await ctx.tick()
            ctx.set(self.unit.byte_valid, 0)
            ctx.set(self.unit.byte, int(self.rng.integers(256)))
            for _ in range(self.rng.integers(pause + 1)):
                await ctx.tick()

    async def take(self, ctx):
        """The held packet: its words, or what is wrong."""
        unit = self.unit
        if ctx.get(unit.problem):
            found = Status(ctx.get(unit.problem))
        else:
            found = [ctx.get(unit.header)]
            for index in range(ctx.get(unit.words)):
                ctx.set(unit.address, index)
                await ctx.tick()
                found.append(ctx.get(unit.word))
            found.append(ctx.get(unit.crc))
        ctx.set(unit.taken, 1)
        await ctx.tick()
        ctx.set(unit.taken, 0)
        assert not ctx.get(unit.valid)
        self.found.append(found)

    def run(self, bench):
        simulator = Simulator(self.unit)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return self.found

    def receive(self, frames):
        """What each of `frames` is; each must be one packet."""

        async def bench(ctx):
            for frame in frames:
                await self.send(ctx, frame)
                await ctx.tick().repeat(2)
                assert ctx.get(self.unit.valid)
                await self.take(ctx)
            for _ in range(2 * GAP):
                await ctx.tick()
                assert not ctx.get(self.unit.valid)

        return self.run(bench)


packets = st.integers(1, 8).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


@settings(max_examples=40)
@given(st.lists(packets, min_size=1, max_size=4), st.integers(0, 99))
@example([b"\xc0\xdb\xdc\xdd", b"\xdb\xdb\xc0\xc0\xc0\xdb\xdd\xdc"], 0)
def test_packets_come_as_they_were_sent(texts, seed):
    found = Bench(seed).receive([framed(checked(text)) for text in texts])
    assert found == [words(checked(text)) for text in texts]


def test_the_longest_packet():
    text = np.random.default_rng(3).bytes(4 * (PACKET_WORDS + 1))
    assert Bench().receive([framed(checked(text))]) == [words(checked(text))]


GOOD = checked(b"\x02\x01\x00\x00")
BROKEN = {
    "a bit": (framed(bytes([GOOD[0] ^ 1]) + GOOD[1:]), Status.BAD_CRC),
    "a byte too few": (framed(GOOD[:-1]), Status.BAD_LENGTH),
    "a byte too many": (framed(GOOD + b"\0"), Status.BAD_LENGTH),
    "a word alone": (framed(checked(b"")), Status.BAD_LENGTH),
    "one byte": (b"\xc0\x05\xc0", Status.BAD_LENGTH),
    "too long": (framed(checked(bytes(4 * (PACKET_WORDS + 2)))), Status.BAD_LENGTH),
    "much too long": (framed(checked(bytes(4 * 3 * PACKET_WORDS))), Status.BAD_LENGTH),
    "no such escape": (b"\xc0\xdb\x00" + GOOD[1:] + b"\xc0", Status.BAD_FRAME),
    "an escape at the end": (b"\xc0" + GOOD + b"\xdb\xc0", Status.BAD_FRAME),
    "an error of the line": ([0xC0, *GOOD[:4], None, *GOOD[4:], 0xC0], Status.BAD_FRAME),
    "an error of the line alone": ([None, 0xC0], Status.BAD_FRAME),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_said_and_the_next_packet_comes(name):
    frame, status = BROKEN[name]
    found = Bench().receive([frame, framed(GOOD), frame, framed(GOOD)])
    assert found == [status, words(GOOD)] * 2


@pytest.mark.parametrize("length", [2, 5, 9])
def test_a_packet_without_an_end_is_given_up(length):
    bench = Bench()

    async def drive(ctx):
        await bench.send(ctx, framed(GOOD)[:length], pause=0)
        await ctx.tick().repeat(GAP - 2)
        assert not ctx.get(bench.unit.valid)
        await ctx.tick().repeat(4)
        await bench.take(ctx)
        await bench.send(ctx, framed(GOOD))
        await ctx.tick()
        await bench.take(ctx)

    assert bench.run(drive) == [Status.BAD_FRAME, words(GOOD)]


def test_ends_alone_are_no_packet():
    bench = Bench()

    async def drive(ctx):
        for _ in range(3):
            await bench.send(ctx, b"\xc0\xc0")
            await ctx.tick().repeat(2 * GAP)
            assert not ctx.get(bench.unit.valid)

    bench.run(drive)


def test_what_comes_while_a_packet_is_held_is_lost_and_told():
    bench = Bench()

    async def drive(ctx):
        await bench.send(ctx, framed(GOOD))
        await bench.send(ctx, framed(checked(b"\x03\x02\x00\x00"))[:6])
        await bench.take(ctx)
        await bench.send(ctx, framed(checked(b"\x03\x02\x00\x00"))[6:])
        await ctx.tick()
        await bench.take(ctx)
        # Only its END comes through.
        await bench.send(ctx, framed(GOOD))
        await bench.send(ctx, framed(GOOD))
        await bench.take(ctx)
        await bench.send(ctx, framed(GOOD)[:1])
        await ctx.tick()
        await bench.take(ctx)
        await bench.send(ctx, framed(GOOD)[1:])
        await ctx.tick()
        await bench.take(ctx)

    good = words(GOOD)
    assert bench.run(drive) == [good, Status.BAD_FRAME, good, Status.BAD_FRAME, good]


@settings(max_examples=30)
@given(st.lists(packets, min_size=1, max_size=3), st.integers(0, 99))
@example([b"\xc0\xdb\xdc\xdd", b"\xdb\xdb\xc0\xc0\xc0\xdb\xdd\xdc"], 0)
@example([bytes(4 * (PACKET_WORDS + 1))], 1)
def test_packets_go_out_framed(texts, seed):
    unit = PacketTransmitter()
    rng = np.random.default_rng(seed)
    sent = []

    async def drive(ctx):
        for text in texts:
            header, *body = words(text)
            ctx.set(unit.header, header)
            ctx.set(unit.words, len(body))
            ctx.set(unit.start, 1)
            await ctx.tick()
            ctx.set(unit.start, 0)
            ctx.set(unit.header, 0)
            ctx.set(unit.words, 0)
            while ctx.get(unit.busy):
                ready = int(rng.integers(3) > 0)
                ctx.set(unit.o.ready, ready)
                held = ctx.get(unit.o.valid), ctx.get(unit.o.payload)
                address = ctx.get(unit.address)
                await ctx.tick()
                if all((held[0], ready)):
                    sent.append(held[1])
                elif held[0]:
                    assert (ctx.get(unit.o.valid), ctx.get(unit.o.payload)) == held
                # A clock after its number.
                ctx.set(unit.word, body[address] if address < len(body) else 0)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert bytes(sent) == b"".join(framed(checked(text)) for text in texts)
