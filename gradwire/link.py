"""The host's end of the link to a machine on a board, or in simulation: docs/link.md."""

import contextlib
import dataclasses
import itertools
import os
import struct
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from hw.design import Design
from hw.errors import InputError, ToolError
from hw.link.protocol import (
    END,
    ESC,
    ESC_END,
    ESC_ESC,
    PACKET_WORDS,
    STATUS_FLAGS,
    STATUS_WORDS,
    Command,
    Status,
    identity,
    prediction_words,
)
from sim.bench.log import addresses, flatten, unflatten
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights

_END = bytes([END])
_ESCAPES = ((ESC, bytes([ESC, ESC_ESC])), (END, bytes([ESC, ESC_END])))

_ATTEMPTS = 5
# Answers to earlier requests that may come before the one that is waited for.
_STRAYS = 100

# Requests that are on the way at a time, where they may be. What lies between two of them means
# nothing, and gives the machine the time to carry out the first: it takes 1,100 clocks at most, and
# a byte 40 at least.
_BURST = 16
_BETWEEN = 32 * _END

# Of a serial port: seconds for an answer, and bytes that may wait to be sent before the request.
_LATENCY, _WAITING = 1.0, 8192

_REASONS = {
    Status.BAD_FRAME: "its frame came broken",
    Status.BAD_CRC: "its checksum is wrong",
    Status.BAD_LENGTH: "its length is wrong",
    Status.BAD_COMMAND: "it knows no such command",
    Status.BAD_ADDRESS: "there is no such word",
    Status.BAD_VALUE: "a value is out of range",
    Status.BUSY: "it is busy",
}


class Port(Protocol):
    """A line to a machine, such as pyserial's Serial."""

    def write(self, data: bytes) -> object:
        """Send `data`."""

    def read_until(self, expected: bytes) -> bytes:
        """What comes up to `expected`, that included; less if its time is over."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A packet from the machine.

    Members
    -------
    status : OK, or why not.
    sequence, command : of the request; 0 if that could not be read.
    words : uint32.
    """

    status: Status
    sequence: int
    command: int
    words: np.ndarray

    @property
    def unread(self) -> bool:
        """Whether the request came broken, so that it should be sent again."""
        return self.command == 0


def encode(command: int, sequence: int, argument: int = 0, body: Sequence[int] = ()) -> bytes:
    """A request as it goes on the line; `body` are 32-bit words."""
    header = struct.pack("<BBH", command, sequence, argument)
    return frame(header + np.asarray(body, "<u4").tobytes())


def frame(packet: bytes) -> bytes:
    """`packet` with its checksum, as it goes on the line."""
    packet += struct.pack("<I", zlib.crc32(packet))
    for byte, escape in _ESCAPES:
        packet = packet.replace(bytes([byte]), escape)
    return _END + packet + _END


def decode(text: bytes) -> Answer | None:
    """The answer that came between two ENDs; None if it is broken."""
    for byte, escape in reversed(_ESCAPES):
        text = text.replace(escape, bytes([byte]))
    if len(text) < 8 or len(text) % 4 or zlib.crc32(text[:-4]) != struct.unpack("<I", text[-4:])[0]:
        return None
    status, sequence, command, zero = text[:4]
    if status not in list(Status) or zero:
        return None
    return Answer(Status(status), sequence, command, np.frombuffer(text[4:-4], "<u4"))


class Link:
    """Requests and answers over a line that may lose or change some of them.

    Parameters
    ----------
    port : the line.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._sequence = 0

    def request(self, command: Command, argument: int = 0, body: Sequence[int] = ()) -> np.ndarray:
        """The machine's answer, uint32 words.

        Raises ToolError if it refuses, or does not answer however often it is asked. The machine
        knows a request that it has already carried out, and does not do it again.
        """
        packet = self._packet(command, argument, body)
        for _ in range(_ATTEMPTS):
            self._port.write(packet)
            answer = self._answer(command, [self._sequence])
            if answer and not answer.unread:
                return answer.words
        raise _silent(command)

    def request_each(
        self, command: Command, requests: Iterable[tuple[int, Sequence[int]]]
    ) -> Iterator[int]:
        """Arguments and bodies of many requests; yields now and then how many are carried out.

        The line does not wait for answers, of which a USB port gives a few hundred a second. So it
        must not matter whether a request is carried out twice, or after the next one.

        Raises ToolError as `request` does.
        """
        requests, done = iter(requests), 0
        while burst := list(itertools.islice(requests, _BURST)):
            self._burst(command, burst)
            done += len(burst)
            yield done

    def _burst(self, command: Command, requests: Sequence[tuple[int, Sequence[int]]]) -> None:
        left = {}
        for argument, body in requests:
            packet = self._packet(command, argument, body)
            left[self._sequence] = packet
        for _ in range(_ATTEMPTS):
            for packet in left.values():
                self._port.write(packet + _BETWEEN)
            last = [*left][-1]
            # Answers come in the order of the requests: behind the last one's nothing comes.
            while last in left and (answer := self._answer(command, left)):
                if not answer.unread:
                    del left[answer.sequence]
            if not left:
                return
        raise _silent(command)

    def _packet(self, command: Command, argument: int, body: Sequence[int]) -> bytes:
        self._sequence = (self._sequence + 1) % 256
        return encode(command, self._sequence, argument, body)

    def _answer(self, command: Command, sequences: Container[int]) -> Answer | None:
        """To one of the requests on the way, or to one that came broken; None if none comes."""
        for _ in range(_STRAYS):
            text = self._port.read_until(_END)
            if not text.endswith(_END):
                return None
            answer = decode(text[:-1])
            if answer and answer.unread:
                return answer
            if answer and answer.command == command and answer.sequence in sequences:
                if answer.status != Status.OK:
                    why = _REASONS[answer.status]
                    raise ToolError(f"the machine refuses {_name(command)}: {why}")
                return answer
        return None


def _silent(command: Command) -> ToolError:
    return ToolError(f"the machine does not answer: {_name(command)} was sent {_ATTEMPTS} times")


def _name(command: Command) -> str:
    return f'the request "{command.name.lower().replace("_", " ")}"'


@dataclasses.dataclass(frozen=True)
class BoardStatus:
    """What the machine says of itself.

    Members
    -------
    busy : a run is in progress, or samples that it has asked for are still coming.
    done, loaded, initializing, trained, clocks, stalls : see hw.core.Core.
    sdram_initialized : the SDRAM can be read and written; what is asked of it before waits.
    prediction_words : predictions that wait to be read.
    lost_predictions : of this run, for which there was no room.
    """

    busy: bool
    done: bool
    loaded: bool
    initializing: bool
    sdram_initialized: bool
    trained: int
    clocks: int
    stalls: int
    prediction_words: int
    lost_predictions: int


class Board:
    """A machine with a link: trains, infers, and gives its weights back.

    To begin with, a run that is still in progress is ended; weights and samples stay.

    Parameters
    ----------
    port : the line to it.
    design : that it should be.

    Members
    -------
    sdram_words : of 32 bits, in the machine's SDRAM.

    Raises ToolError, as all its methods do, if it does not answer or refuses, and InputError if it
    is another machine.
    """

    def __init__(self, port: Port, design: Design) -> None:
        self.design = design
        self._link = Link(port)
        self.sdram_words = self._identify()
        self.reset()

    def reset(self) -> None:
        """End a run at once; its weights stay, perhaps in the midst of an update."""
        self._link.request(Command.RESET)

    def _identify(self) -> int:
        """Checks what it is; words of its SDRAM."""
        expected = identity(self.design, sdram_words=0)
        found = self._link.request(Command.IDENTIFY).tolist()
        if len(found) != len(expected):
            raise ToolError(
                f"the machine describes itself in {len(found)} words, not {len(expected)}"
            )
        words = dict(zip(expected, found, strict=True))
        for name, theirs in words.items():
            if name not in ("design", "sdram_words") and theirs != expected[name]:
                what = name.replace("_", " ")
                raise InputError(f"{what} of the machine must be {expected[name]}, not {theirs}")
        if words["design"] != expected["design"]:
            raise InputError(
                f"the machine must be {self.design.name} in every parameter; this one has another "
                "mapping, activation function or number of stages"
            )
        return words["sdram_words"]

    def status(self) -> BoardStatus:
        """What it is doing."""
        words = self._link.request(Command.STATUS).tolist()
        found = dict(zip(STATUS_WORDS, words, strict=True))
        flags = {name: bool(found["flags"] >> bit & 1) for bit, name in enumerate(STATUS_FLAGS)}
        return BoardStatus(
            **flags,
            trained=found["trained"],
            clocks=found["clocks_high"] << 32 | found["clocks_low"],
            stalls=found["stalls_high"] << 32 | found["stalls_low"],
            prediction_words=found["prediction_words"],
            lost_predictions=found["lost_predictions"],
        )

    def load_weights(self, weights: Weights, progress: Progress = lambda *_, **__: None) -> None:
        """Write all weights and biases."""
        values = flatten(weights).astype(np.float32).view(np.uint32)
        places = _Places(self.design)
        requests = [
            (bank, body)
            for bank, words in enumerate(places.banks(values))
            for body in _parts(words)
        ]
        ends = np.cumsum([len(body) - 1 for _, body in requests])
        for done in self._link.request_each(Command.WRITE_WEIGHTS, requests):
            progress("loading weights", int(ends[done - 1]), places.words)

    def read_weights(self, progress: Progress = lambda *_, **__: None) -> Weights:
        """Read all weights and biases."""
        places = _Places(self.design)
        done, banks = 0, []
        for bank, size in enumerate(places.sizes):
            parts = []
            for first in range(0, size, PACKET_WORDS):
                count = min(PACKET_WORDS, size - first)
                parts.append(self._read(Command.READ_WEIGHTS, bank, [first, count], count))
                done += count
                progress("reading weights", done, places.words)
            banks.append(np.concatenate([np.empty(0, np.uint32), *parts]))
        return places.weights(banks)

    def _read(self, command: Command, argument: int, body: Sequence[int], count: int) -> np.ndarray:
        words = self._link.request(command, argument, body)
        if len(words) != count:
            raise ToolError(
                f"the machine answers {_name(command)} with {len(words)} words, not {count}"
            )
        return words

    def initialize(self, seed: int) -> None:
        """Have it make its weights itself (Design.seeded_weights), and wait until it has."""
        self._link.request(Command.INITIALIZE, 0, [seed])
        while self.status().initializing:
            pass

    def load_samples(self, records: np.ndarray, progress: Progress = lambda *_, **__: None) -> None:
        """Write samples to the SDRAM, from its beginning on; `records` are those of sim.records.

        Raises InputError if they do not fit the design or the SDRAM.
        """
        size = self.design.record_words
        if records.ndim != 2 or records.shape[1] != size:
            raise InputError(f"records must have the shape (samples, {size}), not {records.shape}")
        words = records.ravel()
        if words.size > self.sdram_words:
            raise InputError(
                f"samples must fit into the SDRAM's {self.sdram_words:,} words, "
                f"not need {words.size:,}"
            )
        requests = ((0, body) for body in _parts(words))
        for done in self._link.request_each(Command.WRITE_SAMPLES, requests):
            written = min(done * (PACKET_WORDS - 1), words.size)
            progress("loading samples", written // size, len(records))

    def read_samples(self, first: int, count: int) -> np.ndarray:
        """Words of the SDRAM, uint32, from word `first` on."""
        parts = [np.empty(0, np.uint32)]
        for place in range(first, first + count, PACKET_WORDS):
            size = min(PACKET_WORDS, first + count - place)
            parts.append(self._read(Command.READ_SAMPLES, 0, [place, size], size))
        return np.concatenate(parts)

    def train(
        self,
        learning: LearningRate,
        samples: int,
        *,
        records: int,
        first: int = 0,
        seed: int = 0,
        batch: int = 1,
        progress: Progress = lambda *_, **__: None,
    ) -> BoardStatus:
        """Train on samples that are in the SDRAM, and wait for the end.

        Parameters
        ----------
        learning : learning rate.
        samples : how many to train on; more than `records` are several epochs.
        records, first : number of the records of an epoch, and of the first of them.
        seed : of each epoch's order, see sim.order; 0 for the order in which they are stored.
        batch : size of the batches.
        progress : called with the samples that the machine has begun with.

        Raises InputError if the batch does not fit the design.
        """
        if not 1 <= batch <= self.design.batch:
            raise InputError(f"batch must be 1 to {self.design.batch}, not {batch}")
        rate, floor = (int(word.view(np.uint32)) for word in learning.words(batch))
        run = [first, records, samples, seed, rate, learning.halve_every, floor, learning.age]
        self._link.request(Command.TRAIN, batch - 1, run)
        while (found := self.status()).busy:
            progress("training on the machine", found.trained, samples)
        progress("training on the machine", found.trained, samples)
        return found

    def infer(
        self, first: int, count: int, progress: Progress = lambda *_, **__: None
    ) -> np.ndarray:
        """Outputs for `count` records of the SDRAM; shape (count, outputs), float32."""
        outputs = self.design.layers[-1]
        # No more at once than there is room for the outputs of.
        room, found = prediction_words(self.design) // outputs, [np.empty(0, np.uint32)]
        for place in range(first, first + count, room):
            part = min(room, first + count - place)
            self._link.request(Command.INFER, 0, [place, part])
            left = part * outputs
            while left:
                words = self._link.request(Command.READ_PREDICTIONS, min(left, PACKET_WORDS))
                left -= len(words)
                found.append(words)
            self._end()
            progress("inferring on the machine", place + part - first, count)
        return np.concatenate(found).view(np.float32).reshape(-1, outputs)

    def _end(self) -> None:
        while self.status().busy:
            pass


def _parts(words: np.ndarray) -> Iterator[list[int]]:
    """Bodies of the packets that write `words`: number of the first one, and values."""
    most = PACKET_WORDS - 1
    for first in range(0, len(words), most):
        yield [first, *words[first : first + most].tolist()]


class _Places:
    """Where the elements of sim.bench.log.flatten's vector lie."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._bank, self._word = np.array(addresses(design)).T
        #: Words of each bank; the bias bank is the last.
        self.sizes = [design.bank_words] * design.processing_elements + [design.bias_words]
        self.words = sum(self.sizes)

    def banks(self, values: np.ndarray) -> list[np.ndarray]:
        """Contents of each bank, zero where no element lies."""
        found = []
        for bank, size in enumerate(self.sizes):
            words = np.zeros(size, np.uint32)
            here = self._bank == bank
            words[self._word[here]] = values[here]
            found.append(words)
        return found

    def weights(self, banks: Sequence[np.ndarray]) -> Weights:
        """From the contents of the banks."""
        values = np.empty(len(self._bank), np.uint32)
        for bank, words in enumerate(banks):
            here = self._bank == bank
            values[here] = words[self._word[here]]
        return unflatten(self._design, values.view(np.float32))


@contextlib.contextmanager
def serial_port(device: str, baud: int) -> Iterator[Port]:
    """The serial port `device`, such as /dev/ttyUSB0 or COM3, for the `with` block.

    Raises InputError if it cannot be opened, ToolError if it fails meanwhile.
    """
    # Only boards need it.
    import serial

    timeout = _LATENCY + _WAITING * 10 / max(1, baud)
    try:
        port = serial.Serial(device, baud, timeout=timeout, write_timeout=timeout)
    except (serial.SerialException, ValueError) as error:
        why = os.strerror(error.errno) if getattr(error, "errno", None) else error
        raise InputError(f"serial port {device} cannot be opened: {why}") from None
    with port:
        try:
            yield port
        except serial.SerialException as error:
            raise ToolError(f"serial port {device} has failed: {error}") from None
