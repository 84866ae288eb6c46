"""A whole system at the end of a serial line: packets that are put together here, and broken ones.

Nothing of the host's code is used; the numbers are those of docs/link.md.
"""

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from hw import tool
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import find_chip
from hw.system import System
from sim import simulator
from sim.bench import sdram
from sim.bench.link import simulated

IDENTIFY, STATUS, WRITE, READ, WRITE_SAMPLES, READ_SAMPLES = range(1, 7)
TRAIN, INFER, STOP, PREDICTIONS, RESET = range(7, 12)
OK, FRAME, CRC, LENGTH, COMMAND, ADDRESS, VALUE, BUSY = range(0x80, 0x88)

CLOCK, BAUD, GAP = 50e6, 12.5e6, 400  # 4 clocks a bit, 40 a byte
SILENCE = GAP + 300  # clocks; the longest work on a short packet is far shorter
LONG = 3000  # longer than the longest work on a long one

BANKS, BANK_WORDS, BIAS_WORDS, RECORD = 3, 7, 7, 4  # of 3-3-3-1 on 3 PEs
CHIP = find_chip("MT48LC16M16A2-75")
SDRAM = 32 << 20 >> 2  # words
RECORDS = SDRAM // RECORD

BUSY_FLAG, DONE, LOADED, INITIALIZING, SDRAM_READY = (1 << bit for bit in range(5))
IDLE = [SDRAM_READY, 0, 0, 0, 0, 0, 0, 0]
RATE = 0x3E99999A  # 0.3


@pytest.fixture(scope="module")
def system():
    schedule = make_schedule(design_for((3, 3, 3, 1)))
    return System(schedule, CLOCK, BAUD, CHIP, GAP / CLOCK)


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
        (found,) = self.answers(data, LONG)
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

    def samples(self):
        """What stands at the beginning of the SDRAM, and at its end."""
        places = ((0, 512), (512, 512), (SDRAM - 100, 100))
        return [self.ask(READ_SAMPLES, 0, *place)[1] for place in places]

    def flags(self):
        return self.ask(STATUS)[1][0]

    def settle(self):
        """Wait for the end of a run."""
        while self.flags() & BUSY_FLAG:
            pass


def prepare(port):
    """A line to a machine whose SDRAM is initialised."""
    line = Line(port)
    assert line.flags() == 0
    while not line.flags() & SDRAM_READY:
        pass
    return line


@pytest.fixture
def line(system):
    with simulated(system, optimize=0) as port:
        yield prepare(port)


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
    assert identity[2:] == [3, 1, BANKS, BANK_WORDS, BIAS_WORDS, 256, 1, 512, 256, RECORD, SDRAM]
    assert line.ask(STATUS) == (OK, IDLE)
    rng = np.random.default_rng(1)
    values = words(rng, 7)
    for bank in range(BANKS + 1):
        assert line.ask(WRITE, bank, 0, *values) == (OK, [])
    assert line.ask(WRITE, 1, 5, 0xC0C0C0C0, 0xDBDBDBDB) == (OK, [])
    assert line.ask(READ, 1, 4, 3) == (OK, [values[4], 0xC0C0C0C0, 0xDBDBDBDB])
    assert line.ask(READ, 2, 4, 3) == (OK, values[4:])
    assert line.ask(WRITE_SAMPLES, 0, SDRAM - 1, 7) == (OK, [])
    assert line.ask(WRITE_SAMPLES, 0, 0, *words(rng, 511)) == (OK, [])
    assert line.ask(READ_SAMPLES, 0, SDRAM - 1, 1) == (OK, [7])
    before = line.banks(), line.samples()

    for command, argument, body, expected in [
        (0, 0, [], COMMAND),
        (12, 0, [1], COMMAND),  # this machine does not initialize its weights
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
        (WRITE_SAMPLES, 0, [], LENGTH),
        (WRITE_SAMPLES, 0, [0], LENGTH),
        (WRITE_SAMPLES, 1, [0, 1], VALUE),
        (WRITE_SAMPLES, 0, [SDRAM, 1], ADDRESS),
        (WRITE_SAMPLES, 0, [SDRAM - 2, 1, 2, 3], ADDRESS),
        (WRITE_SAMPLES, 0, [0xFFFFFFFF, 1], ADDRESS),
        (WRITE_SAMPLES, 0, [0x80000000, 1], ADDRESS),
        (READ_SAMPLES, 0, [0], LENGTH),
        (READ_SAMPLES, 1, [0, 1], VALUE),
        (READ_SAMPLES, 0, [0, 0], VALUE),
        (READ_SAMPLES, 0, [0, 513], VALUE),
        (READ_SAMPLES, 0, [SDRAM - 1, 2], ADDRESS),
        (READ_SAMPLES, 0, [0xFFFFFFFF, 1], ADDRESS),
        (TRAIN, 0, [0, 1, 1, 0, RATE, 0, 0], LENGTH),
        (TRAIN, 0, [0, 1], LENGTH),
        (TRAIN, 0, [0, 0, 1, 0, RATE, 0, 0, 0], VALUE),  # no records
        (TRAIN, 0, [0, 1, 0, 0, RATE, 0, 0, 0], VALUE),  # no samples
        (TRAIN, 1, [0, 1, 1, 0, RATE, 0, 0, 0], VALUE),  # a batch of 2
        (TRAIN, 0, [RECORDS, 1, 1, 0, RATE, 0, 0, 0], ADDRESS),
        (TRAIN, 0, [1, RECORDS, 1, 0, RATE, 0, 0, 0], ADDRESS),
        (TRAIN, 0, [0xFFFFFFFF, 1, 1, 0, RATE, 0, 0, 0], ADDRESS),
        (TRAIN, 0, [1, 0xFFFFFFFF, 1, 0, RATE, 0, 0, 0], ADDRESS),
        (INFER, 0, [0], LENGTH),
        (INFER, 0, [0, 1, 1], LENGTH),
        (INFER, 0, [0, 0], VALUE),
        (INFER, 1, [0, 1], VALUE),
        (INFER, 0, [RECORDS - 1, 2], ADDRESS),
        (STOP, 0, [1], LENGTH),
        (PREDICTIONS, 1, [1], LENGTH),
        (RESET, 1, [], VALUE),
    ]:
        assert line.ask(command, argument, *body) == (expected, []), (command, argument, body)
    assert line.ask(STATUS) == (OK, IDLE)
    assert (line.banks(), line.samples()) == before


def test_samples_are_read_as_they_were_written(line):
    """At random places, over the ends of rows and banks, the last ones written counting."""
    rng = np.random.default_rng(4)
    row = CHIP.columns // 2
    expected = {}
    for size in (1, 2, 511, *rng.integers(1, 512, 12)):
        place = int(rng.choice([0, row, 4 * row, SDRAM - 1100])) + int(rng.integers(600))
        written = words(rng, size)
        expected |= dict(enumerate(written, place))
        assert line.ask(WRITE_SAMPLES, 0, place, *written) == (OK, [])
    places = sorted(expected)
    for _ in range(25):
        place = int(rng.choice(places))
        size = int(rng.integers(1, min(512, SDRAM - place) + 1))
        found = dict(enumerate(line.ask(READ_SAMPLES, 0, place, size)[1], place))
        assert len(found) == size
        assert all(found[each] == expected[each] for each in found if each in expected)


def test_a_run_stops_and_resets_and_says_that_it_is_busy(line):
    rng = np.random.default_rng(5)
    for bank in range(BANKS + 1):
        line.ask(WRITE, bank, 0, *floats(rng, 7))
    line.ask(WRITE_SAMPLES, 0, 0, *floats(rng, 5 * RECORD))
    samples = line.samples()
    forever = (0, 5, 0xFFFFFFFF, 0, RATE, 0, 0, 0)
    assert line.ask(TRAIN, 0, *forever) == (OK, [])
    for command, argument, body in [
        (WRITE, 0, [0, 1]),
        (READ, 0, [0, 1]),
        (WRITE_SAMPLES, 0, [0, 1]),
        (READ_SAMPLES, 0, [0, 1]),
        (TRAIN, 0, forever),
        (INFER, 0, [0, 1]),
    ]:
        assert line.ask(command, argument, *body) == (BUSY, [])
    flags, trained, clocks, _, stalls, _, predictions, lost = line.ask(STATUS)[1]
    assert flags & ~LOADED == SDRAM_READY | BUSY_FLAG
    assert trained > 256 and predictions == 256 and 0 < lost < trained - 250
    # 70 clocks an iteration.
    assert 69 * trained < clocks < 72 * (trained + 1) and stalls == 0
    assert line.ask(STOP) == (OK, [])
    line.settle()
    flags, ended, *_ = line.ask(STATUS)[1]
    assert flags & DONE and ended >= trained
    assert line.ask(STATUS)[1][1] == ended
    # What a run has left does not matter to the next one.
    banks = line.banks()
    assert line.ask(INFER, 0, 0, 5) == (OK, [])
    line.settle()
    outputs = line.ask(PREDICTIONS, 5)[1]
    for _ in range(5):
        assert line.ask(TRAIN, 0, *forever) == (OK, [])
        assert line.ask(RESET) == (OK, [])
        assert line.ask(STATUS) == (OK, IDLE)
    assert line.samples() == samples
    for bank, values in enumerate(banks):
        assert line.ask(WRITE, bank, 0, *values) == (OK, [])
    assert line.ask(INFER, 0, 0, 5) == (OK, [])
    line.settle()
    assert line.ask(PREDICTIONS, 5)[1] == outputs


@pytest.mark.parametrize("ends", [RESET, STOP])
def test_a_run_that_waits_for_the_sdram_ends(system, ends):
    """It begins when the SDRAM is initialised, 10,000 clocks after the reset."""
    with simulated(system, optimize=0) as port:
        line = Line(port)
        for sequence, command, body, expected in [
            (1, TRAIN, (0, 5, 1000, 0, RATE, 0, 0, 0), []),
            (2, STATUS, (), [BUSY_FLAG, *[0] * 7]),
            (3, ends, (), []),
            (4, STATUS, (), [0] * 8),
        ]:
            answers = line.answers(request(command, sequence, 0, *body), 100)
            assert answers == [(OK, sequence, command, expected)]
        while not line.flags() & SDRAM_READY:
            pass
        assert line.ask(STATUS) == (OK, IDLE)


def test_samples_that_wait_for_the_sdram_are_written(system):
    with simulated(system, optimize=0) as port:
        line = Line(port)
        asked = request(WRITE_SAMPLES, 1, 0, 3, 7, 8, 9)
        assert line.answers(asked, 100) == []
        assert line.answers(b"", 12_000) == [(OK, 1, WRITE_SAMPLES, [])]
        assert line.ask(READ_SAMPLES, 0, 2, 5)[1][1:4] == [7, 8, 9]


def test_a_repetition_is_answered_again_and_not_carried_out_again(line):
    rng = np.random.default_rng(2)
    start = [floats(rng, 7) for _ in range(BANKS + 1)]
    line.ask(WRITE_SAMPLES, 0, 0, *floats(rng, 2 * RECORD))
    run = (0, 1, 1, 0, RATE, 0, 0, 0)

    def train(sequences, times=1):
        """Weights after runs, from the same ones."""
        for bank, values in enumerate(start):
            line.ask(WRITE, bank, 0, *values)
        for sequence in sequences:
            asked = request(TRAIN, sequence, 0, *run)
            answers = [(OK, sequence, TRAIN, [])] * times
            assert [line.answer(asked) for _ in range(times)] == answers
            # Back to back, too.
            assert line.answers(asked * times, LONG) == answers
        return line.banks()

    once, twice = train([200]), train([201, 202])
    assert once != twice
    assert train([203], times=2) == once

    infer = request(INFER, 7, 0, 0, 2)
    assert line.answer(infer) == line.answer(infer) == (OK, 7, INFER, [])
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
    # Not the last request any more: carried out.
    assert line.answer(get) == (OK, 9, PREDICTIONS, [])


def test_a_broken_rule_of_the_sdram_ends_the_simulation(system, monkeypatch):
    def slower(chip, frequency_mhz):
        return real(dataclasses.replace(chip, t_rcd=100), frequency_mhz)

    real = sdram.chip_macro
    monkeypatch.setattr(sdram, "chip_macro", slower)
    with (
        pytest.raises(ToolError, match=r"^SDRAM: clock \d+: write, bank 0: tRCD; log: .*link.log$"),
        simulated(system, optimize=0) as port,
    ):
        prepare(port).ask(WRITE_SAMPLES, 0, 0, 1)


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
            (WRITE_SAMPLES, 0, [pick(1000), *words(self.rng, pick(1, 40))]),
            (READ_SAMPLES, 0, [pick(1000), pick(1, 20)]),
            (TRAIN, 0, [0, pick(1, 100), pick(1, 200), pick(3), RATE, 0, 0, 0]),
            (INFER, 0, [pick(100), pick(1, 100)]),
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
        some = [int(word) for word in words(self.rng, pick(9, 12))]
        unknown = int(self.rng.choice([0, *range(12, 256)]))
        others = [IDENTIFY, STATUS, STOP, RESET, TRAIN, INFER, READ_SAMPLES]
        beyond = int(pick(SDRAM - 3, 1 << 32))
        command, argument, body, status = [
            (unknown, int(pick(1 << 16)), some[: pick(8)], COMMAND),
            (int(self.rng.choice(others)), 0, some, LENGTH),
            (READ, int(pick(4)), some[:1], LENGTH),
            (READ, int(pick(1 << 16)), [int(pick(8)), int(pick(8, 512))], ADDRESS),
            (WRITE, int(pick(4, 1 << 16)), [0, *some[:2]], ADDRESS),
            (WRITE, int(pick(4)), [int(pick(1, 1 << 32)), *some[:7]], ADDRESS),
            (WRITE_SAMPLES, int(pick(1, 1 << 16)), some, VALUE),
            (WRITE_SAMPLES, 0, [beyond, *some[:4]], ADDRESS),
            (READ_SAMPLES, 0, [beyond, int(pick(4, 512))], ADDRESS),
            (TRAIN, int(pick(1, 1 << 16)), [0, 1, 1, *some[:5]], VALUE),
            (TRAIN, 0, [int(pick(1000)), int(pick(RECORDS + 1, 1 << 32)), 9, *some[:5]], ADDRESS),
            (INFER, 0, [int(pick(RECORDS, 1 << 32)), int(pick(1, 9))], ADDRESS),
        ][pick(12)]
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
    for place in (0, 511, SDRAM - 511):
        assert line.ask(WRITE_SAMPLES, 0, place, *words(rng, 511)) == (OK, [])
    banks, samples, kinds = line.banks(), line.samples(), {}
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
            # The only ones that change something.
            place = int(rng.integers(500))
            some = words(rng, rng.integers(1, 9))
            samples[0][place : place + len(some)] = some
            data = request(WRITE_SAMPLES, number % 256, 0, place, *some)
            expected = [(OK, number % 256, WRITE_SAMPLES, [])]
            assert line.answers(data, 150) == expected, where
            assert line.answers(data, 150) == expected, where
        if number % 100 == 99 or number == count - 1:
            assert line.ask(STATUS) == (OK, IDLE), where
            assert line.banks() == banks, where
            assert line.samples() == samples, where
    return kinds


def test_mutated_packets(line):
    kinds = mutate(line, 400, seed=1)
    assert all(kinds[kind] >= 5 for kind in ("broken", "refused", "ragged", "twice")), kinds


@pytest.mark.slow
def test_ten_thousand_mutated_packets(system):
    with simulated(system) as port:
        kinds = mutate(prepare(port), 10_000, seed=2)
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
