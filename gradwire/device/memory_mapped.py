"""A core with AXI outside, whose registers lie in memory: docs/integration.md."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from gradwire.device.transport import Counters, Order
from hw.axi.registers import MAGIC, VERSION, AddressMap, packet_words, result_words
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.link.protocol import design_checksum
from sim.bench.log import addresses, flatten, unflatten
from sim.bench.run import Progress
from sim.golden import LearningRate, Weights
from sim.order import run_order
from sim.records import pack

_NOTED = 1024  # weights from one call of `progress` to the next


class Memory(Protocol):
    """What leads to the AXI4-Lite slave; addresses in bytes from its base, multiples of 4."""

    def read(self, address: int) -> int:
        """The word there, in one access of 32 bits."""

    def write(self, address: int, word: int) -> None:
        """Write a word, in one access of 32 bits."""


class Samples(Protocol):
    """What leads to the AXI4-Stream of samples, such as a channel of a DMA controller."""

    def send(self, records: np.ndarray) -> None:
        """Send uint32 `records`, each row a packet: TLAST with its last word.

        It may return before they are taken; what is sent next waits. Raises TimeoutError if the
        core does not take what was sent before.
        """

    def wait(self) -> None:
        """Until all that was sent has been taken. Raises TimeoutError if that does not happen."""


class Results(Protocol):
    """What takes the AXI4-Stream of results."""

    def receive(self, packets: int, words: int) -> np.ndarray:
        """The next packets, each of so many words; shape (packets, words), uint32.

        Raises TimeoutError if they do not come, ToolError if one has another size.
        """

    def clear(self) -> None:
        """Drop what comes until nothing more does."""


class MemoryMapped:
    """A core that `gradwire generate --bus axi` made.

    To begin with, a run that is still in progress is ended, and results that nobody has taken are
    dropped; weights stay.

    Parameters
    ----------
    memory, samples, results : its interfaces. DeviceFile and StreamFile are such.
    design : that it should be.
    timeout : seconds for which a run may begin no sample.

    Raises InputError if it is another core, or none. Its methods raise ToolError if a run comes to
    no end, samples are not taken, or results are missing.
    """

    def __init__(
        self,
        memory: Memory,
        samples: Samples,
        results: Results,
        design: Design,
        *,
        timeout: float = 10.0,
    ) -> None:
        self.design = design
        self._memory, self._samples, self._results = memory, samples, results
        self._timeout = timeout
        self._map = AddressMap(design)
        self._registers = {register.name: register for register in self._map.registers}
        self._identify()
        self._reset()

    def _identify(self) -> None:
        if (found := self._read("magic")) != MAGIC:
            raise InputError(f"there is no gradwire core: magic must be {MAGIC:#x}, not {found:#x}")
        if (found := self._read("version")) != VERSION:
            raise InputError(f"the core's register map must be version {VERSION}, not {found}")
        if (found := self._read("design")) != (expected := design_checksum(self.design)):
            raise InputError(
                f"the core must be {self.design.name} in every parameter: "
                f"its design's checksum must be {expected:#010x}, not {found:#010x}"
            )

    def _reset(self) -> None:
        """End a run at once; samples on the way and results are dropped."""
        self._write("reset", 1)
        try:
            self._samples.wait()
        except TimeoutError:
            raise ToolError("samples are not taken, although the core is in reset") from None
        self._write("reset", 0)
        self._results.clear()

    def load_weights(self, weights: Weights, progress: Progress) -> None:
        """Write all weights and biases."""
        words = flatten(weights).view(np.uint32).tolist()
        places = addresses(self.design)
        for done, (place, word) in enumerate(zip(places, words, strict=True), 1):
            self._memory.write(self._map.weight(*place), word)
            if done % _NOTED == 0 or done == len(words):
                progress("loading weights", done, len(words))

    def read_weights(self, progress: Progress) -> Weights:
        """Read all weights and biases."""
        places = addresses(self.design)
        words = np.empty(len(places), np.uint32)
        for index, place in enumerate(places):
            words[index] = self._memory.read(self._map.weight(*place))
            if (index + 1) % _NOTED == 0 or index + 1 == len(places):
                progress("reading weights", index + 1, len(places))
        return unflatten(self.design, words.view(np.float32))

    def initialize(self, seed: int) -> None:
        """Have the core make its weights."""
        self._write("seed", seed)
        self._write("control", self._mask("control", "initialize"))
        began = time.monotonic()
        while self._is("initializing"):
            if time.monotonic() - began > self._timeout:
                raise ToolError(f"the core still makes its weights after {self._timeout:g} s")

    def train(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        order: Order,
        learning: LearningRate,
        batch: int,
        progress: Progress,
    ) -> None:
        """One run over the samples in `order`."""
        records = pack(self.design, inputs, labels)
        places = run_order(len(records), order.samples, order.seed)
        with self._run():
            self._begin(order.samples, learning, batch)
            size = self.design.buffer_vectors
            for first in range(0, len(places), size):
                self._samples.send(records[places[first : first + size]])
                progress("training on the machine", self._read("trained"), order.samples)
            self._end(order.samples)
        progress("training on the machine", order.samples, order.samples)

    def infer(self, inputs: np.ndarray, progress: Progress) -> np.ndarray:
        """Outputs, shape (samples, outputs)."""
        outputs = self.design.layers[-1]
        records = pack(self.design, inputs, np.zeros((len(inputs), outputs), np.float32))
        # Never more on the way than the queue has room for the results of: nothing holds up a core
        # that has its samples, and what finds no room is lost.
        size, found = result_words(self.design) // packet_words(self.design), []
        with self._run():
            self._begin(len(records), LearningRate(rate=0), batch=1, infer=True)
            for first in range(0, len(records), size):
                part = records[first : first + size]
                self._samples.send(part)
                found.append(self._results.receive(len(part), outputs))
                progress("inferring on the machine", first + len(part), len(records))
            self._end(len(records))
        return np.concatenate(found).astype(np.uint32).view(np.float32)

    def counters(self) -> Counters:
        """Of the last run."""
        # The lower half of a counter first: that keeps the higher one.
        halves = ("clocks", "clocks_high", "stalls", "stalls_high")
        clocks, clocks_high, stalls, stalls_high = map(self._read, halves)
        return Counters(
            self._read("trained"), clocks_high << 32 | clocks, stalls_high << 32 | stalls
        )

    @contextlib.contextmanager
    def _run(self) -> Iterator[None]:
        """If the block is left before its time, the run is ended."""
        try:
            yield
        except BaseException as error:
            why = self._trouble() if isinstance(error, TimeoutError) else None
            # What went wrong first is what counts.
            with contextlib.suppress(ToolError):
                self._reset()
            if why:
                raise ToolError(why) from None
            raise

    def _trouble(self) -> str:
        """Why a stream does not go on."""
        if self._is("record_error"):
            return "the core has found a record of the wrong length in its stream of samples"
        if lost := self._read("results_lost"):
            return f"the core has lost the results of {lost} samples, which nobody took in time"
        return f"a stream of the core's stands still: {self._read('trained')} samples were begun"

    def _begin(
        self, samples: int, learning: LearningRate, batch: int, *, infer: bool = False
    ) -> None:
        rate, floor = (int(word.view(np.uint32)) for word in learning.words(batch))
        words = {
            "samples": samples,
            "rate": rate,
            "halve_every": learning.halve_every,
            "floor": floor,
            "age": learning.age,
            "results": self._mask("results", "enable") if infer else 0,
        }
        if self.design.batch > 1:
            words["batch"] = batch
        for name, word in words.items():
            self._write(name, word)
        start = self._mask("control", "start")
        self._write("control", start | (self._mask("control", "infer") if infer else 0))

    def _end(self, samples: int) -> None:
        """Wait until the run is over, and see that nothing is missing."""
        seen, since = -1, time.monotonic()
        while self._is("busy"):
            if self._is("record_error"):
                raise ToolError(self._trouble())
            if (trained := self._read("trained")) != seen:
                seen, since = trained, time.monotonic()
            elif time.monotonic() - since > self._timeout:
                raise ToolError(
                    f"the core's run comes to no end: of {samples} samples it has begun {trained}, "
                    f"and none in {self._timeout:g} s"
                )
        if self._read("results_lost"):
            raise ToolError(self._trouble())

    def _is(self, name: str) -> bool:
        return bool(self._read("status") & self._mask("status", name))

    def _mask(self, register: str, name: str) -> int:
        (field,) = (f for f in self._registers[register].fields if f.name == name)
        return ((1 << field.width) - 1) << field.bit

    def _read(self, name: str) -> int:
        return self._memory.read(self._registers[name].offset)

    def _write(self, name: str, word: int) -> None:
        self._memory.write(self._registers[name].offset, word)
