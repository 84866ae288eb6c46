"""A whole system at the end of a serial line: packets that are put together here, and broken ones.

Nothing of the host's code is used; the numbers are those of docs/link.md.
"""

import struct
import zlib

import numpy as np
import pytest

from hw import tool
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule
from hw.system import System
from sim import simulator
from sim.bench.link import simulated

IDENTIFY, STATUS, WRITE, READ, SAMPLES, TRAIN, INFER, STOP, PREDICTIONS, RESET = range(1, 11)
OK, FRAME, CRC, LENGTH, COMMAND, ADDRESS, VALUE, BUSY = range(0x80, 0x88)

CLOCK, BAUD, GAP = 1e6, 250e3, 400  # 4 clocks a bit, 40 a byte
SILENCE = GAP + 300  # clocks; the longest work on a packet here is far shorter

BANKS, BANK_WORDS, BIAS_WORDS, RECORD = 3, 7, 7, 4  # of 3-3-3-1 on 3 PEs


@pytest.fixture(scope="module")
def system():
    schedule = make_schedule(design_for((3, 3, 3, 1)))
    return System(schedule, CLOCK, BAUD, GAP / CLOCK)


def framed(text):
    escape = {0xC0: b"\xdb\xdc", 0xDB: b"\xdb\xdd"}
    return b"\xc0" + b"".join(escape.get(byte, bytes([byte])) for byte in text) + b"\xc0"


def checked(packet):
    return framed(packet + struct.pack("<I", zlib.crc32(packet)))


def request(command, sequence, argument=0, *body):
    return checked(struct.pack(f"<BBH{len(body)}I", command, sequence, argument, *body))


def problem(frame):
    """What the machine must find wrong with a frame; None if nothing."""
    text, escaped = bytearray(), False
    for byte in frame:
        if escaped:
            if byte not in (0xDC, 0xDD):
                return FRAME
            text.append({0xDC: 0xC0, 0xDD: 0xDB}[byte])
            escaped = False
        elif byte == 0xDB:
            escaped = True
        else:
            text.append(byte)
    if escaped:
        return FRAME
    if len(text) % 4 or not 8 <= len(text) <= 4 * 514:
        return LENGTH
    return None if struct.pack("<I", zlib.crc32(text[:-4])) == text[-4:] else CRC


class Line:
    """What a host without any code does."""

    def __init__(self, port):
        self.port = port
        self.sequence = 0

    def answers(self, data, silence=SILENCE):
        """All answers to some bytes: status, sequence, command, words. Each must be well formed."""
        self.port.write(data)
        text = self.port.read_all(silence)
        assert not text or text[0] == text[-1] == 0xC0
        found = []
        for frame in filter(None, text.split(b"\xc0")):
            assert problem(frame) is None, frame.hex()
            packet = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            status, sequence, command, zero, *words = struct.unpack(
                f"<4B{len(packet) // 4 - 1}I", packet
            )
            assert zero == 0
            found.append((status, sequence, command, words[:-1]))
        return found

    def answer(self, data):
        (found,) = self.answers(data)
        return found

    def ask(self, command, argument=0, *body):
        """Status and words of the answer to a good packet."""
        self.sequence = (self.sequence + 1) % 256
        sent = request(command, self.sequence, argument, *body)
        status, sequence, echoed, words = self.answer(sent)
        assert (sequence, echoed) == (self.sequence, command)
        return status, words

    def banks(self):
        sizes = [BANK_WORDS] * BANKS + [BIAS_WORDS]
        return [self.ask(READ, bank, 0, size)[1] for bank, size in enumerate(sizes)]


@pytest.fixture
def line(system):
    with simulated(system, optimize=0) as port:
        yield Line(port)


def words(rng, count):
    return [int(word) for word in rng.integers(0, 1 << 32, count)]


def floats(rng, count):
    return [int(word) for word in rng.standard_normal(count).astype(np.float32).view(np.uint32)]


def test_commands_and_errors(line):
    design = design_for((3, 3, 3, 1))
    assert (design.bank_words, design.bias_words, design.record_words) == (7, 7, RECORD)
    status, identity = line.ask(IDENTIFY)
    assert status == OK
    assert identity[0] == int.from_bytes(b"gwl1", "little")
    assert identity[2:] == [3, 1, BANKS, BANK_WORDS, BIAS_WORDS, 256, 1, 512, 256]
    idle = [0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert line.ask(STATUS) == (OK, idle)
    values = words(np.random.default_rng(1), 7)
    for bank in range(BANKS + 1):
        assert line.ask(WRITE, bank, 0, *values) == (OK, [])
    assert line.ask(WRITE, 1, 5, 0xC0C0C0C0, 0xDBDBDBDB) == (OK, [])
    assert line.ask(READ, 1, 4, 3) == (OK, [values[4], 0xC0C0C0C0, 0xDBDBDBDB])
    assert line.ask(READ, 2, 4, 3) == (OK, values[4:])
    before = line.banks()

    for command, argument, body, expected in [
        (0, 0, [], COMMAND),
        (11, 0, [1], COMMAND),  # this machine does not initialize its weights
        (255, 0, [], COMMAND),
        (OK, 0, [], COMMAND),
        (IDENTIFY, 0, [0], LENGTH),
        (STATUS, 0, [1, 2], LENGTH),
        (STATUS, 1, [], VALUE),
        (WRITE, 0, [], LENGTH),
        (WRITE, 0, [0], LENGTH),
        (WRITE, 0, [6, 1, 2], ADDRESS),
        (WRITE, 0, [0xFFFFFFFF, 1, 2], ADDRESS),
        (WRITE, 4, [0, 1], ADDRESS),
        (WRITE, 0x100, [0, 1], ADDRESS),
        (WRITE, 0, [0, *range(8)], ADDRESS),
        (READ, 0, [0], LENGTH),
        (READ, 0, [0, 1, 2], LENGTH),
        (READ, 0, [0, 0], VALUE),
        (READ, 0, [0, 513], VALUE),
        (READ, 0, [0, 0xFFFFFFFF], VALUE),
        (READ, 0, [7, 1], ADDRESS),
        (READ, 3, [1, 7], ADDRESS),
        (READ, 5, [0, 1], ADDRESS),
        (SAMPLES, 0, [], LENGTH),
        (SAMPLES, 1, [1], VALUE),
        (TRAIN, 0, [1, 0, 0, 0], LENGTH),
        (TRAIN, 0, [0, 0, 0, 0, 0], VALUE),
        (TRAIN, 1, [1, 0, 0, 0, 0], VALUE),  # a batch of 2
        (INFER, 0, [0], VALUE),
        (INFER, 1, [1], VALUE),
        (INFER, 0, [1, 1], LENGTH),
        (STOP, 0, [1], LENGTH),
        (PREDICTIONS, 1, [1], LENGTH),
        (RESET, 1, [], VALUE),
    ]:
        assert line.ask(command, argument, *body) == (expected, []), (command, argument, body)
    assert line.ask(STATUS) == (OK, idle)
    assert line.banks() == before


def test_a_run_stops_and_resets_and_says_that_it_is_busy(line):
    assert line.ask(TRAIN, 0, 100, 0, 0, 0, 0) == (OK, [])
    for command, argument, body in [
        (WRITE, 0, [0, 1]),
        (READ, 0, [0, 1]),
        (TRAIN, 0, [1, 0, 0, 0, 0]),
        (INFER, 0, [1]),
    ]:
        assert line.ask(command, argument, *body) == (BUSY, [])
    # Three records and a half.
    assert line.ask(SAMPLES, 0, *[0] * 14) == (OK, [14])
    flags, trained, clocks, _, stalls, _, accepted, predictions, lost = line.ask(STATUS)[1]
    assert (flags, trained, accepted, predictions, lost) == (1, 3, 14, 3, 0)
    assert clocks > stalls > 0
    assert line.ask(STOP) == (OK, [])
    # The run waits for a sample, and ends without it, or with it.
    line.ask(SAMPLES, 0, 0, 0)
    assert line.ask(STATUS)[1][0] & 3 == 2
    assert line.ask(RESET) == (OK, [])
    assert line.ask(STATUS) == (OK, [0] * 9)


def test_the_buffer_takes_what_it_has_room_for_and_says_how_much(line):
    taken = 0
    for _ in range(2):
        taken += line.ask(SAMPLES, 0, *range(512))[1][0]
    # 256 in the buffer, and what is loaded already.
    assert taken == 1024
    more = 0
    while found := line.ask(SAMPLES, 0, *range(6))[1][0]:
        more += found
    assert more % RECORD == 0 and 0 < more <= 4 * RECORD
    assert line.ask(STATUS)[1][6] == taken + more


def test_a_repetition_is_answered_again_and_not_carried_out_again(line):
    rng = np.random.default_rng(2)
    for bank in range(BANKS + 1):
        line.ask(WRITE, bank, 0, *floats(rng, 7))
    assert line.ask(SAMPLES, 0, *floats(rng, RECORD)) == (OK, [RECORD])
    sample = request(SAMPLES, 200, 0, *floats(rng, RECORD))
    first = line.answer(sample)
    assert first == (OK, 200, SAMPLES, [RECORD])
    assert line.answer(sample) == first
    # Back to back.
    assert line.answers(sample * 2, SILENCE + 800) == [first, first]
    assert line.ask(STATUS)[1][6] == 2 * RECORD
    # Not the last request any more: carried out.
    assert line.answer(sample) == first
    assert line.ask(STATUS)[1][6] == 3 * RECORD

    start = request(INFER, 7, 0, 2)
    assert line.answer(start) == line.answer(start) == (OK, 7, INFER, [])
    get = request(PREDICTIONS, 9, 1)
    first = line.answer(get)
    assert first[:3] == (OK, 9, PREDICTIONS) and len(first[3]) == 1
    assert line.answer(get) == first
    # What was refused in between does not matter.
    assert line.answer(request(0, 10))[0] == COMMAND
    assert line.answer(get) == first
    status, second = line.ask(PREDICTIONS, 5)
    assert status == OK and len(second) == 1 and second != first[3]
    assert line.ask(PREDICTIONS, 5) == (OK, [])


class Mutator:
    """Packets that must change nothing: broken ones, ones that ask for what there is not."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def good(self):
        """A request that would change something, or ask for something."""
        pick = self.rng.integers
        kinds = [
            (IDENTIFY, 0, []),
            (STATUS, 0, []),
            (WRITE, pick(4), [0, *words(self.rng, pick(1, 8))]),
            (READ, pick(4), [0, pick(1, 8)]),
            (SAMPLES, 0, words(self.rng, RECORD * pick(1, 8))),
            (TRAIN, 0, [pick(1, 100), 0x3E99999A, 0, 0, 0]),
            (INFER, 0, [pick(1, 100)]),
            (STOP, 0, []),
            (PREDICTIONS, pick(10), []),
            (RESET, 0, []),
        ]
        command, argument, body = kinds[pick(len(kinds))]
        return request(command, int(pick(256)), int(argument), *map(int, body))

    def flip(self, data):
        data = bytearray(data)
        for _ in range(self.rng.integers(1, 5)):
            data[self.rng.integers(len(data))] ^= 1 << self.rng.integers(8)
        return bytes(data)

    def truncate(self, data):
        return data[: self.rng.integers(2, len(data))]

    def behead(self, data):
        return data[self.rng.integers(2, len(data) - 1) :]

    def cut(self, data):
        start, end = sorted(self.rng.integers(1, len(data), 2))
        return data[:start] + data[end + 1 :]

    def insert(self, data):
        place = self.rng.integers(1, len(data))
        return data[:place] + self.rng.bytes(self.rng.integers(1, 6)) + data[place:]

    def splice(self, data):
        other = self.good()
        return data[: self.rng.integers(1, len(data))] + other[self.rng.integers(len(other)) :]

    def noise(self, data):
        return self.rng.bytes(self.rng.integers(2, 60))

    def broken(self):
        """Bytes in which no packet is whole."""
        kinds = [
            self.flip,
            self.truncate,
            self.behead,
            self.cut,
            self.insert,
            self.splice,
            self.noise,
        ]
        while True:
            data = kinds[self.rng.integers(len(kinds))](self.good())
            *frames, rest = data.split(b"\xc0")
            if any([*frames, rest]) and all(map(problem, filter(None, frames))):
                return data

    def refused(self):
        """A packet with a good checksum, and the status, sequence and command of its answer."""
        pick, sequence = self.rng.integers, int(self.rng.integers(256))
        some = [int(word) for word in words(self.rng, pick(8, 12))]
        unknown = int(self.rng.choice([0, *range(11, 256)]))
        command, argument, body, status = [
            (unknown, int(pick(1 << 16)), some[: pick(8)], COMMAND),
            (int(self.rng.choice([IDENTIFY, STATUS, STOP, RESET, TRAIN, INFER])), 0, some, LENGTH),
            (READ, int(pick(4)), some[:1], LENGTH),
            (READ, int(pick(1 << 16)), [int(pick(8)), int(pick(8, 512))], ADDRESS),
            (WRITE, int(pick(4, 1 << 16)), [0, *some[:2]], ADDRESS),
            (WRITE, int(pick(4)), [int(pick(1, 1 << 32)), *some[:7]], ADDRESS),
            (SAMPLES, int(pick(1, 1 << 16)), some, VALUE),
            (TRAIN, int(pick(1, 1 << 16)), [9, *some[:4]], VALUE),
        ][pick(8)]
        return request(command, sequence, argument, *body), (status, sequence, command)

    def ragged(self):
        """A packet that is no whole number of words, or has too many; its checksum is good."""
        size = int(self.rng.choice([5, 6, 7, 9, 30, 2056]))
        return checked(bytes([WRITE]) + self.rng.bytes(size - 1))


def mutate(line, count, seed, progress=lambda done: None):
    """Send so many packets that must change nothing; returns how many of each kind there were."""
    mutator, rng = Mutator(seed), np.random.default_rng(seed)
    for bank in range(BANKS + 1):
        assert line.ask(WRITE, bank, 0, *words(rng, 7)) == (OK, [])
    before, accepted, kinds = line.banks(), 0, {}
    for number in range(count):
        where = f"seed {seed}, packet {number}"
        kind = str(rng.choice(["broken", "refused", "ragged", "twice"], p=[0.75, 0.12, 0.03, 0.1]))
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind == "broken":
            data = mutator.broken()
            *whole, rest = data.split(b"\xc0")
            expected = [*map(problem, filter(None, whole)), *([FRAME] if rest else [])]
            found = line.answers(data)
            # Frames that come while one is being answered may run together.
            assert 1 <= len(found) <= len(expected), f"{where}: {data.hex()}"
            for status, *others in found:
                assert status in (FRAME, CRC, LENGTH), f"{where}: {data.hex()}"
                assert others == [0, 0, []], f"{where}: {data.hex()}"
            if len(expected) == 1:
                assert found[0][0] == expected[0], f"{where}: {data.hex()}"
        elif kind == "refused":
            data, expected = mutator.refused()
            assert line.answers(data, 150) == [(*expected, [])], f"{where}: {data.hex()}"
        elif kind == "ragged":
            data = mutator.ragged()
            assert line.answers(data, 150) == [(LENGTH, 0, 0, [])], f"{where}: {data.hex()}"
        else:
            if accepted > 200 * RECORD:
                assert line.ask(RESET) == (OK, [])
                accepted = 0
            data = request(SAMPLES, number % 256, 0, *words(rng, RECORD))
            expected = [(OK, number % 256, SAMPLES, [RECORD])]
            assert line.answers(data, 150) == expected, where
            assert line.answers(data, 150) == expected, where
            accepted += RECORD
        if number % 100 == 99 or number == count - 1:
            flags, *others = line.ask(STATUS)[1]
            assert (flags & ~4, others) == (0, [0, 0, 0, 0, 0, accepted, 0, 0]), where
            assert line.banks() == before, where
    return kinds


def test_mutated_packets(line):
    kinds = mutate(line, 400, seed=1)
    assert all(kinds[kind] >= 5 for kind in ("broken", "refused", "ragged", "twice")), kinds


@pytest.mark.slow
def test_ten_thousand_mutated_packets(system):
    with simulated(system) as port:
        kinds = mutate(Line(port), 10_000, seed=2)
    assert sum(kinds.values()) == 10_000


def test_noise_on_an_idle_line_and_breaks(line):
    """What a host that is plugged in, or switched on, may send."""
    rng = np.random.default_rng(3)
    before = line.banks()
    for size in (1, 2, 700, 3000):
        for status, *_ in line.answers(rng.bytes(size) + b"\xc0"):
            assert status in (FRAME, CRC, LENGTH)
    assert line.ask(IDENTIFY)[0] == OK
    assert line.banks() == before


def test_a_host_that_goes_away_in_the_middle(system):
    """As Ctrl-C makes it."""
    with pytest.raises(KeyboardInterrupt), simulated(system, optimize=0) as port:
        port._connection.send((request(IDENTIFY, 1), 10_000, False))
        raise KeyboardInterrupt


def test_a_simulator_that_fails_is_one_line(system, monkeypatch, fresh_cache):
    def fail(build, test_module, *, log, **_):
        log.write_text("it said this\n", encoding="utf-8")
        raise ToolError(f"the simulator failed; log: {log.absolute()}")

    monkeypatch.setattr(simulator, "build", lambda *_, **__: None)
    monkeypatch.setattr(simulator, "run", fail)
    with (
        pytest.raises(ToolError, match=r"^the simulator failed; log: .*link.log$") as caught,
        simulated(system) as port,
    ):
        port.write(b"\xc0")
        port.read_until(b"\xc0")
    assert str(tool.cache_dir()) in str(caught.value)
