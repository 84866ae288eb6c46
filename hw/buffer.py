"""The training-vector buffer, and the loader that brings samples from it to the array."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.design import Design


class TrainingBuffer(wiring.Component):
    """Holds training vectors, filled through a stream before or while training.

    A vector is a record of FP32 words: the inputs, then the labels. The loader copies the next
    record to the memories beside the array while the array works on the one before. It takes a
    word a clock, hw.schedule.LOAD_LATENCY clocks more from `take` to `loaded`.

    Members
    -------
    i : stream of words; ready while a record is free.
    take : the array begins with the loaded sample. Only while `loaded`.
    loaded : the next sample is loaded.
    half : which half of the memories the word is for; they change with every sample.
    input_write, label_write : the word is an input, a label.
    index : its number.
    word : the word.
    """

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        self.inputs, self.labels = design.layers[0], design.layers[-1]
        super().__init__(
            {
                "i": In(stream.Signature(32)),
                "take": In(1),
                "loaded": Out(1),
                "half": Out(1),
                "input_write": Out(1),
                "label_write": Out(1),
                "index": Out(range(max(self.inputs, self.labels, 2))),
                "word": Out(32),
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
        filled, emptied = Signal(), Signal()
        m.d.sync += complete.eq(complete + filled - emptied)

        word_in = Signal(range(words))
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
        reading = self._loader(m, complete, emptied)
        m.d.comb += [read.addr.eq(address), self.word.eq(read.data)]
        with m.If(reading):
            m.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))
        return m

    def _loader(self, m: Module, complete: Signal, emptied: Signal) -> Signal:
        """Reads a record, a word a clock, as soon as the one before has been taken."""
        reading, busy, arriving = Signal(), Signal(), Signal()
        word_out = Signal(range(self.design.record_words))
        last = word_out == self.design.record_words - 1
        m.d.comb += [
            reading.eq(busy | (~self.loaded & ~arriving & (complete != 0))),
            emptied.eq(reading & last),
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
                m.d.sync += self.half.eq(~self.half)
        with m.If(self.take):
            m.d.sync += self.loaded.eq(0)
        return reading


class InputMemory(wiring.Component):
    """Two samples' words: one in use, one being loaded. Read latency: 1 clock.

    Parameters
    ----------
    words : of one sample.

    Members
    -------
    write, write_half, write_index, word : write port.
    read_half, read_index : address, a clock before `data`.
    """

    clocked = True

    def __init__(self, words: int) -> None:
        self.words = words
        index = unsigned(max(1, (words - 1).bit_length()))
        super().__init__(
            {
                "write": In(1),
                "write_half": In(1),
                "write_index": In(index),
                "word": In(32),
                "read_half": In(1),
                "read_index": In(index),
                "data": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"input_memory_{self.words}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = (1 << len(self.read_index)) + self.words
        m.submodules.halves = halves = memory.Memory(shape=32, depth=depth, init=[])
        write, read = halves.write_port(), halves.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(Cat(self.write_index, self.write_half)),
            write.data.eq(self.word),
            read.addr.eq(Cat(self.read_index, self.read_half)),
            self.data.eq(read.data),
        ]
        return m
