"""The training-vector buffer, and the loader that brings samples from it to the array."""

from amaranth.hdl import Array, Cat, Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.copies import address, depth
from hw.fp.bits import leading_zeros
from hw.schedule import Schedule
from hw.shape import below


class TrainingBuffer(wiring.Component):
    """Holds training vectors, filled through a stream before or while training.

    A vector is a record of `Design.record_words` words: the inputs, then the labels. The loader
    copies the next record, as FP32, to the memories beside the array while the array works on the
    one before. It gives a word a clock, hw.program.LOAD_LATENCY clocks more from `take` to
    `loaded`.

    Members
    -------
    i : stream of words; ready while a record is free.
    released : the loader has read a record, whose place is free from the next clock on.
    enable : the machine's cycle ends with this clock; where one memory holds all weights. All that
        follows happens in machine cycles.
    take : the array begins with the loaded sample. Only while `loaded`.
    loaded : the next sample is loaded.
    copy : of the memories, which the word is for; the next one with every sample.
    input_write, label_write : the word is an input, a label.
    index : its number, among inputs or labels.
    word : the word, FP32; for a design that is loaded several inputs at once so many, the first in
        the low bits, and labels in its place.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.design = design = schedule.design
        self.copies = schedule.input_copies
        self.at_once = design.loaded_at_once
        self.inputs, self.labels = design.layers[0] // self.at_once, design.labels
        super().__init__(
            {
                "i": In(stream.Signature(32)),
                "released": Out(1),
                **({"enable": In(1)} if design.unified else {}),
                "take": In(1),
                "loaded": Out(1),
                "copy": Out(below(self.copies)),
                "input_write": Out(1),
                "label_write": Out(1),
                "index": Out(range(max(self.inputs, self.labels, 2))),
                "word": Out(32 * self.at_once),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_training_buffer"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self.design.record_words
        depth = self.design.buffer_vectors * words
        m.submodules.vectors = vectors = memory.Memory(shape=32, depth=depth, init=[])
        write, read = vectors.write_port(), vectors.read_port()
        complete = Signal(range(self.design.buffer_vectors + 1))
        filled = Signal()
        m.d.sync += complete.eq(complete + filled - self.released)

        word_in = Signal(below(words))
        transfer = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(complete != self.design.buffer_vectors),
            write.en.eq(transfer),
            write.data.eq(self.i.payload),
            filled.eq(transfer & (word_in == words - 1)),
        ]
        with m.If(transfer):
            m.d.sync += [
                write.addr.eq(Mux(write.addr == depth - 1, 0, write.addr + 1)),
                word_in.eq(Mux(filled, 0, word_in + 1)),
            ]
        address = Signal(range(depth))
        loader = m
        if self.design.unified:
            loader = Module()
            m.submodules.loader = EnableInserter(self.enable)(loader)
            m.d.comb += read.en.eq(self.enable)
        step = self._loader(loader, complete, read.data)
        m.d.comb += read.addr.eq(address)
        with loader.If(step):
            loader.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))
        return m

    def _loader(self, m: Module, complete: Signal, stored: Value) -> Value:
        """Reads a record as soon as the one before has been taken; when to go to the next word."""
        reading, busy, arriving = Signal(), Signal(), Signal()
        word_out = Signal(range(self.design.sample_words))
        last = word_out == self.design.sample_words - 1
        m.d.comb += [
            reading.eq(busy | (~self.loaded & ~arriving & (complete != 0))),
            self.released.eq(
                reading & last & self.enable if self.design.unified else reading & last
            ),
        ]
        m.d.sync += arriving.eq(reading)
        with m.If(reading):
            m.d.sync += [busy.eq(~last), word_out.eq(Mux(last, 0, word_out + 1))]

        arrived_last, label = Signal(), Signal()
        m.d.sync += arrived_last.eq(last)
        m.d.comb += [
            self.input_write.eq(arriving & ~label),
            self.label_write.eq(arriving & label),
        ]
        with m.If(arriving):
            m.d.sync += self.index.eq(self.index + 1)
            with m.If(~label & (self.index == self.inputs - 1)):
                m.d.sync += [self.index.eq(0), label.eq(1)]
            with m.If(arrived_last):
                m.d.sync += [self.index.eq(0), label.eq(0), self.loaded.eq(1)]
                m.d.sync += self.copy.eq(self.copy + 1)
        with m.If(self.take):
            m.d.sync += self.loaded.eq(0)
        if self.design.sample_format == "fp32":
            m.d.comb += self.word.eq(stored)
            return reading
        if self.at_once > 1:
            parts = (stored.word_select(lane, 8) for lane in range(4))
            inputs = Cat(_fraction(m, byte, f"byte_{lane}") for lane, byte in enumerate(parts))
            m.d.comb += self.word.eq(Mux(label, stored, inputs))
            return reading
        byte = Array(stored.word_select(lane, 8) for lane in range(4))[self.index[:2]]
        m.d.comb += self.word.eq(Mux(label, stored, _fraction(m, byte)))
        of_label = word_out >= self.inputs
        return reading & (of_label | (word_out[:2] == 3) | (word_out == self.inputs - 1))


def _fraction(m: Module, byte: Value, name: str = "byte") -> Value:
    """FP32 word of byte / 256, exact."""
    zeros, any_one = leading_zeros(m, name, byte)
    fraction = (byte << zeros)[:7]
    return Mux(any_one, Cat(Const(0, 16), fraction, (126 - zeros)[:8], Const(0, 1)), 0)


class InputMemory(wiring.Component):
    """Words of the samples in use and of the one being loaded. Read latency: 1 clock.

    Parameters
    ----------
    words : of one sample.
    copies : samples.

    Members
    -------
    write, write_copy, write_index, word : write port.
    read_copy, read_index : address, a clock before `data`.
    """

    clocked = True

    def __init__(self, words: int, copies: int) -> None:
        self.words = words
        self.copies = copies
        super().__init__(
            {
                "write": In(1),
                "write_copy": In(below(copies)),
                "write_index": In(below(words)),
                "word": In(32),
                "read_copy": In(below(copies)),
                "read_index": In(below(words)),
                "data": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"input_memory_{self.words}_{self.copies}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = file = memory.Memory(
            shape=32, depth=depth(self.words, self.copies), init=[]
        )
        write, read = file.write_port(), file.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(address(self.write_index, self.write_copy, self.words, self.copies)),
            write.data.eq(self.word),
            read.addr.eq(address(self.read_index, self.read_copy, self.words, self.copies)),
            self.data.eq(read.data),
        ]
        return m
