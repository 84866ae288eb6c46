"""The host's end of the link to a machine on a board, or in simulation: docs/link.md."""

import contextlib
import dataclasses
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
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
from sim.bench.log import addresses, flatten
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights

_END = bytes([END])
_ESCAPES = ((ESC, bytes([ESC, ESC_ESC])), (END, bytes([ESC, ESC_END])))

_ATTEMPTS = 5
# Answers to earlier requests that may come before the one that is waited for.
_STRAYS = 100

# Packets of samples between two reports of progress.
_BURST = 16

_TIMEOUT = 1.0  # seconds, of a serial port

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
        self._sequence = (self._sequence + 1) % 256
        packet = encode(command, self._sequence, argument, body)
        for _ in range(_ATTEMPTS):
            self._port.write(packet)
            answer = self._answer(command)
            if answer is None or answer.unread:
                continue
            if answer.status != Status.OK:
                why = _REASONS[answer.status]
                raise ToolError(f"the machine refuses {_name(command)}: {why}")
            return answer.words
        raise ToolError(f"the machine does not answer: {_name(command)} was sent {_ATTEMPTS} times")

    def _answer(self, command: Command) -> Answer | None:
        """To the last request, or to one that came broken; None if none comes."""
        for _ in range(_STRAYS):
            text = self._port.read_until(_END)
            if not text.endswith(_END):
                return None
            answer = decode(text[:-1])
            if answer and (
                answer.unread or (answer.sequence, answer.command) == (self._sequence, command)
            ):
                return answer
        return None


def _name(command: Command) -> str:
    return f'the request "{command.name.lower().replace("_", " ")}"'


@dataclasses.dataclass(frozen=True)
class BoardStatus:
    """What the machine says of itself.

    Members
    -------
    busy, done, loaded, initializing, trained, clocks, stalls : see hw.core.Core.
    accepted_words : words of samples that it has taken since the last reset.
    prediction_words : predictions that wait to be read.
    lost_predictions : of this run, for which there was no room.
    """

    busy: bool
    done: bool
    loaded: bool
    initializing: bool
    trained: int
    clocks: int
    stalls: int
    accepted_words: int
    prediction_words: int
    lost_predictions: int


class Board:
    """A machine with a link: trains, infers, and gives its weights back.

    To begin with, a run that is still in progress is ended, and samples that wait are dropped;
    weights stay.

    Parameters
    ----------
    port : the line to it.
    design : that it should be.

    Raises ToolError, as all its methods do, if it does not answer or refuses, and InputError if it
    is another machine.
    """

    def __init__(self, port: Port, design: Design) -> None:
        self.design = design
        self._link = Link(port)
        self._identify()
        self._link.request(Command.RESET)

    def _identify(self) -> None:
        expected = identity(self.design)
        found = self._link.request(Command.IDENTIFY).tolist()
        if len(found) != len(expected):
            raise ToolError(
                f"the machine describes itself in {len(found)} words, not {len(expected)}"
            )
        for (name, ours), theirs in zip(expected.items(), found, strict=True):
            if name != "design" and ours != theirs:
                what = name.replace("_", " ")
                raise InputError(f"{what} of the machine must be {ours}, not {theirs}")
        if found[list(expected).index("design")] != expected["design"]:
            raise InputError(
                f"the machine must be {self.design.name} in every parameter; this one has another "
                "mapping, activation function or number of stages"
            )

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
            accepted_words=found["accepted_words"],
            prediction_words=found["prediction_words"],
            lost_predictions=found["lost_predictions"],
        )

    def load_weights(self, weights: Weights, progress: Progress = lambda *_, **__: None) -> None:
        """Write all weights and biases."""
        values = flatten(weights).astype(np.float32).view(np.uint32)
        places = _Places(self.design)
        done = 0
        for bank, words in enumerate(places.banks(values)):
            for first in range(0, len(words), PACKET_WORDS - 1):
                part = words[first : first + PACKET_WORDS - 1]
                self._link.request(Command.WRITE_WEIGHTS, bank, [first, *part])
                done += len(part)
                progress("loading weights", done, places.words)

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

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        learning: LearningRate,
        batch: int = 1,
        progress: Progress = lambda *_, **__: None,
    ) -> BoardStatus:
        """Train on samples, one row each, and wait for the end; they are sent while it trains.

        Raises InputError if the samples or the batch do not fit the design.
        """
        if not 1 <= batch <= self.design.batch:
            raise InputError(f"batch must be 1 to {self.design.batch}, not {batch}")
        records = self._records(inputs, labels)
        rate, floor = (int(word.view(np.uint32)) for word in learning.words(batch))
        run = [len(records), rate, learning.halve_every, floor, learning.age]
        words, what = records.ravel(), "training on the machine"
        # As many as there is room for, so that the run begins without waiting.
        sent = self._send(words, 0)
        self._link.request(Command.TRAIN, batch - 1, run)
        while sent < words.size:
            sent = self._send(words, sent)
            progress(what, sent // records.shape[1], len(records))
        found = self._end()
        progress(what, len(records), len(records))
        return found

    def infer(self, inputs: np.ndarray, progress: Progress = lambda *_, **__: None) -> np.ndarray:
        """Outputs for samples, one row each; shape (samples, outputs), float32.

        Raises InputError if the samples do not fit the design.
        """
        outputs = self.design.layers[-1]
        records = self._records(inputs, np.zeros((len(inputs), outputs), np.float32))
        self._link.request(Command.INFER, 0, [len(records)])
        # No more at once than there is room for the outputs of.
        room, found = prediction_words(self.design) // outputs, []
        for first in range(0, len(records), room):
            part = records[first : first + room]
            sent = 0
            while sent < part.size:
                sent = self._send(part.ravel(), sent)
            left = len(part) * outputs
            while left:
                words = self._link.request(Command.READ_PREDICTIONS, min(left, PACKET_WORDS))
                left -= len(words)
                found.append(words)
            progress("inferring on the machine", first + len(part), len(records))
        self._end()
        return np.concatenate(found).view(np.float32).reshape(-1, outputs)

    def _records(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Samples as the machine takes them: uint32, one row each."""
        sizes = self.design.layers[0], self.design.layers[-1]
        for name, rows, size in zip(("inputs", "labels"), (inputs, labels), sizes, strict=True):
            if rows.ndim != 2 or rows.shape[1] != size:
                raise InputError(f"{name} must have the shape (samples, {size}), not {rows.shape}")
        if len(inputs) != len(labels) or not len(inputs):
            raise InputError(
                f"samples must be 1 or more, as many as labels, not {len(inputs)} and {len(labels)}"
            )
        rows = np.concatenate([inputs, labels], axis=1)
        return np.ascontiguousarray(rows, np.float32).view(np.uint32)

    def _send(self, words: np.ndarray, sent: int) -> int:
        """Send samples' words until the buffer is full, or some time has passed; how many went."""
        for _ in range(_BURST):
            part = words[sent : sent + PACKET_WORDS]
            taken = int(self._read(Command.SAMPLES, 0, part, 1)[0])
            sent += taken
            if taken < len(part) or sent == len(words):
                break
        return sent

    def _end(self) -> BoardStatus:
        while (found := self.status()).busy:
            pass
        return found


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
        shapes = [(layer.outputs, layer.inputs) for layer in self._design.weight_layers]
        shapes += [(layer.outputs,) for layer in self._design.weight_layers]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = np.split(values.view(np.float32), ends[:-1])
        arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        count = len(self._design.weight_layers)
        return Weights(tuple(arrays[:count]), tuple(arrays[count:]))


@contextlib.contextmanager
def serial_port(device: str, baud: int) -> Iterator[Port]:
    """The serial port `device`, such as /dev/ttyUSB0 or COM3, for the `with` block.

    Raises InputError if it cannot be opened, ToolError if it fails meanwhile.
    """
    # Only boards need it.
    import serial

    try:
        port = serial.Serial(device, baud, timeout=_TIMEOUT, write_timeout=_TIMEOUT)
    except (serial.SerialException, ValueError) as error:
        why = os.strerror(error.errno) if getattr(error, "errno", None) else error
        raise InputError(f"serial port {device} cannot be opened: {why}") from None
    with port:
        try:
            yield port
        except serial.SerialException as error:
            raise ToolError(f"serial port {device} has failed: {error}") from None
