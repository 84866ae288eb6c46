"""Carries out what the host asks for."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.core import Core, WeightAddress
from hw.delay import delay
from hw.link.protocol import PACKET_WORDS, Command, Status, identity, prediction_words
from hw.schedule import Schedule

# The core's ports that the link has nothing to do with.
_NOT_OURS = {"input_delta", "input_delta_valid"}

# Words of a run that TRAIN and INFER bring, in this order.
_RUN = ("samples", "rate", "halve_every", "floor", "age")

_WEIGHT_LATENCY = 2  # of the core's weight port


class LinkEndpoint(wiring.Component):
    """Checks a request, carries it out, and has it answered: every request once.

    Nothing of a request takes effect before all of it has been checked. A request that is equal to
    the last one that was carried out, its sequence number included, is a repetition: it gets the
    same answer again and is not carried out. So the body of an answer stays in its memory.

    Parameters
    ----------
    schedule : of the core.

    Members
    -------
    packet, packet_problem, header, words, crc, taken, address, word : see PacketReceiver.
    start_reply, reply_header, reply_words, replying, reply_address, reply_word : see
        PacketTransmitter.
    reset_core : reset the core, for one clock.
    core : the core's ports, but for its deltas.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.design = schedule.design
        core = Core(schedule).signature.members
        words = range(PACKET_WORDS + 1)
        super().__init__(
            {
                "packet": In(1),
                "packet_problem": In(8),
                "header": In(32),
                "words": In(words),
                "crc": In(32),
                "taken": Out(1),
                "address": Out(range(PACKET_WORDS)),
                "word": In(32),
                "start_reply": Out(1),
                "reply_header": Out(32),
                "reply_words": Out(words),
                "replying": In(1),
                "reply_address": In(range(PACKET_WORDS)),
                "reply_word": Out(32),
                "reset_core": Out(1),
                "core": Out(
                    wiring.Signature(
                        {name: core[name].flip() for name in core if name not in _NOT_OURS}
                    )
                ),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_link_endpoint"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self.command, self.argument = self.header[:8], self.header[16:]
        # Words of the request are read one after the other: `word` is number `index`.
        self.index, self.step = Signal(range(PACKET_WORDS + 1)), Signal()
        index = self.index + self.step
        m.d.comb += self.address.eq(index)
        m.d.sync += self.index.eq(index)
        # Where in a bank the request begins, or the word of its body before `word`.
        self.place = Signal(32)
        # The second word of the body, and what is to be checked of both.
        self.second = Signal(32)
        self.outside_write, self.outside_read = Signal(), Signal()
        self.bad_count, self.no_samples = Signal(), Signal()
        # Words of samples that the buffer has taken since the last reset.
        self.accepted = Signal(32)
        self._replies(m)
        self._predictions(m)
        self._core_ports(m)
        with m.FSM():
            self._check(m)
            self._answer(m)
            self._lists(m)
            self._weights(m)
            self._stream(m)
            self._run(m)
        return m

    def _replies(self, m: Module) -> None:
        """The body of the last answer."""
        m.submodules.reply = reply = memory.Memory(shape=32, depth=PACKET_WORDS, init=[])
        write, read = reply.write_port(), reply.read_port()
        self.status = Signal(8)
        self.kept, self.kept_crc = Signal(), Signal(32)
        # What is written to the reply, one word after the other.
        self.put, self.put_word = Signal(), Signal(32)
        self.put_words = Signal(range(PACKET_WORDS + 1))
        readable, whose = self.packet_problem == 0, Cat(self.header[8:16], self.command)
        m.d.comb += [
            read.addr.eq(self.reply_address),
            self.reply_word.eq(read.data),
            write.addr.eq(self.put_words),
            write.data.eq(self.put_word),
            write.en.eq(self.put),
            self.reply_words.eq(Mux(self.status == Status.OK, self.put_words, 0)),
            self.reply_header.eq(Cat(self.status, Mux(readable, whose, 0))),
        ]
        with m.If(self.put):
            m.d.sync += self.put_words.eq(self.put_words + 1)

    def _predictions(self, m: Module) -> None:
        """A queue of what the core's runs have put out; a run begins with an empty one."""
        core = self.core
        queue = SyncFIFOBuffered(width=32, depth=prediction_words(self.design))
        begins = Signal()
        m.submodules.predictions = ResetInserter(begins)(queue)
        self.queue = queue
        self.lost = Signal(32)
        m.d.comb += begins.eq(core.start | self.reset_core)
        m.d.comb += [queue.w_data.eq(core.prediction), queue.w_en.eq(core.prediction_valid)]
        with m.If(begins):
            m.d.sync += self.lost.eq(0)
        with m.Elif(core.prediction_valid & ~queue.w_rdy):
            m.d.sync += self.lost.eq(self.lost + 1)

    def _idle(self) -> Value:
        """Whether the core can be written to and started."""
        busy = self.core.busy
        return ~(busy | self.core.initializing) if self.design.seeded_weights else ~busy

    def _check(self, m: Module) -> None:
        """From a request to the state that carries it out, or to a refusal."""
        with m.State("IDLE"), m.If(self.packet & ~self.replying):
            repeated = self.kept & (self.crc == self.kept_crc)
            with m.If(self.packet_problem != 0):
                self._refuse(m, self.packet_problem)
            with m.Elif(repeated):
                m.d.sync += self.status.eq(Status.OK)
                m.next = "ANSWER"
            with m.Else():
                # The first word of the body is there; the second will be.
                m.d.sync += self.place.eq(self.word)
                m.d.comb += self.step.eq(1)
                m.next = "FETCH"
        # Memory, addition and decision each have a clock.
        with m.State("FETCH"):
            m.d.sync += self.second.eq(self.word)
            m.next = "ADD"
        with m.State("ADD"):
            m.d.sync += [
                self.outside_write.eq(self._outside(self.words - 1)),
                self.outside_read.eq(self._outside(self.second)),
                self.bad_count.eq((self.second == 0) | (self.second > PACKET_WORDS)),
                self.no_samples.eq(self.place == 0),
            ]
            m.next = "CHECK"
        with m.State("CHECK"), m.Switch(self.command):
            for command, (state, length, checks) in self._commands().items():
                with m.Case(command):
                    with m.If(~length):
                        self._refuse(m, Status.BAD_LENGTH)
                    for status, wrong in checks:
                        with m.Elif(wrong):
                            self._refuse(m, status)
                    with m.Else():
                        # From here on the last answer is overwritten.
                        m.d.sync += [self.kept.eq(0), self.put_words.eq(0)]
                        m.next = state
            with m.Default():
                self._refuse(m, Status.BAD_COMMAND)

    def _refuse(self, m: Module, status: Value | Status) -> None:
        m.d.sync += self.status.eq(status)
        m.next = "ANSWER"

    def _commands(self) -> dict[Command, tuple[str, Value, list[tuple[Status, Value]]]]:
        """State that carries it out, whether the length is right, and what may be wrong."""
        words = self.words
        busy = [(Status.BUSY, ~self._idle())]
        plain = [(Status.BAD_VALUE, self.argument != 0)]
        write = [(Status.BAD_ADDRESS, self.outside_write)]
        read = [(Status.BAD_VALUE, self.bad_count), (Status.BAD_ADDRESS, self.outside_read)]
        train = [(Status.BAD_VALUE, (self.argument >= self.design.batch) | self.no_samples)]
        infer = [(Status.BAD_VALUE, (self.argument != 0) | self.no_samples)]
        none = words == 0
        found = {
            Command.IDENTIFY: ("IDENTIFY", none, plain),
            Command.STATUS: ("STATUS", none, plain),
            Command.WRITE_WEIGHTS: ("WRITE", words >= 2, write + busy),
            Command.READ_WEIGHTS: ("READ", words == 2, read + busy),
            Command.SAMPLES: ("SAMPLES", words != 0, plain),
            Command.TRAIN: ("RUN", words == len(_RUN), train + busy),
            Command.INFER: ("RUN", words == 1, infer + busy),
            Command.STOP: ("STOP", none, plain),
            Command.READ_PREDICTIONS: ("PREDICTIONS", none, []),
            Command.RESET: ("RESET", none, plain),
        }
        if self.design.seeded_weights:
            found[Command.INITIALIZE] = ("INITIALIZE", words == 1, plain + busy)
        return found

    def _outside(self, count: Value) -> Value:
        """Whether `count` words from `place` on are not all in the bank that the argument names."""
        design, bank = self.design, self.argument
        size = Mux(bank == design.processing_elements, design.bias_words, design.bank_words)
        return (bank > design.processing_elements) | (self.place + count > size)

    def _done(self, m: Module) -> None:
        """The request has been carried out."""
        m.d.sync += [self.status.eq(Status.OK), self.kept.eq(1), self.kept_crc.eq(self.crc)]
        m.next = "ANSWER"

    def _answer(self, m: Module) -> None:
        with m.State("ANSWER"):
            m.d.comb += [self.start_reply.eq(1), self.taken.eq(1)]
            m.d.sync += self.index.eq(0)
            m.next = "IDLE"

    def _lists(self, m: Module) -> None:
        """IDENTIFY, STATUS: one value after the other. READ_PREDICTIONS: as many as there are."""
        identities = [Const(value, 32) for value in identity(self.design).values()]
        for state, words in {"IDENTIFY": identities, "STATUS": self.states}.items():
            with m.State(state):
                m.d.comb += [self.put.eq(1), self.put_word.eq(Array(words)[self.put_words])]
                with m.If(self.put_words == len(words) - 1):
                    self._done(m)
        with m.State("PREDICTIONS"):
            most = (self.put_words == self.argument) | (self.put_words == PACKET_WORDS)
            with m.If(~self.queue.r_rdy | most):
                self._done(m)
            with m.Else():
                m.d.comb += [
                    self.queue.r_en.eq(1),
                    self.put.eq(1),
                    self.put_word.eq(self.queue.r_data),
                ]

    def _core_ports(self, m: Module) -> None:
        """What goes to the core, and comes from it, in whatever state."""
        core = self.core
        bits = WeightAddress(self.design)
        place, bank = self.place[: bits.word_bits], self.argument[: bits.bank_bits]
        self.asking = Signal()
        arriving = delay(m, self.asking, _WEIGHT_LATENCY, "arriving", reset=True)
        self.run = {name: Signal(32, name=name) for name in _RUN}
        self.infer = Signal()
        m.d.comb += [
            core.weight_address.eq(Cat(place, bank)),
            core.weight_data.eq(self.word),
            core.i.payload.eq(self.place),
            core.infer.eq(self.infer),
            *(getattr(core, name).eq(register) for name, register in self.run.items()),
        ]
        with m.If(arriving):
            m.d.comb += [self.put.eq(1), self.put_word.eq(core.weight)]
        if self.design.batch > 1:
            self.batch = Signal.like(core.batch)
            m.d.comb += core.batch.eq(self.batch)
        initializing = Const(0)
        if self.design.seeded_weights:
            initializing = core.initializing
            m.d.comb += core.seed.eq(self.place)
        self.states = [
            Cat(core.busy, core.done, core.loaded, initializing),
            core.trained,
            core.clocks[:32],
            # As it was a clock before, together with the lower word.
            delay(m, core.clocks[32:], 1, "clocks_high"),
            core.stalls[:32],
            delay(m, core.stalls[32:], 1, "stalls_high"),
            self.accepted,
            self.queue.level,
            self.lost,
        ]

    def _weights(self, m: Module) -> None:
        """To and from the banks, a word a clock."""
        with m.State("WRITE"):
            with m.If(self.index == self.words):
                self._done(m)
            with m.Else():
                m.d.comb += [self.core.weight_write.eq(1), self.step.eq(1)]
                m.d.sync += self.place.eq(self.place + 1)
        asked = Signal(range(PACKET_WORDS + 1))
        count = self.second[: len(asked)]
        with m.State("READ"):
            m.d.comb += self.asking.eq(asked != count)
            with m.If(self.asking):
                m.d.sync += [self.place.eq(self.place + 1), asked.eq(asked + 1)]
            with m.If(self.put_words == count):
                m.d.sync += asked.eq(0)
                self._done(m)

    def _stream(self, m: Module) -> None:
        """Words of samples, until all are in the buffer or it is full; answer: how many were."""
        core = self.core
        left = self.index <= self.words
        with m.State("SAMPLES"):
            # The buffer's ready does not wait for valid, so that valid may wait for it.
            with m.If(left & core.i.ready):
                m.d.comb += [core.i.valid.eq(1), self.step.eq(1)]
                m.d.sync += [self.place.eq(self.word), self.accepted.eq(self.accepted + 1)]
            with m.Else():
                m.d.comb += [self.put.eq(1), self.put_word.eq(self.index - 1)]
                self._done(m)

    def _run(self, m: Module) -> None:
        """What begins and ends runs."""
        core = self.core
        with m.State("RUN"):
            m.d.comb += self.step.eq(1)
            m.d.sync += [self.place.eq(self.word), self.infer.eq(self.command == Command.INFER)]
            if self.design.batch > 1:
                m.d.sync += self.batch.eq(Mux(self.command == Command.INFER, 0, self.argument) + 1)
            with m.Switch(self.index - 1):
                for number, register in enumerate(self.run.values()):
                    with m.Case(number):
                        m.d.sync += register.eq(self.place)
            with m.If(self.index == self.words):
                m.next = "START"
        with m.State("START"):
            m.d.comb += core.start.eq(1)
            self._done(m)
        with m.State("STOP"):
            m.d.comb += core.stop.eq(1)
            self._done(m)
        with m.State("RESET"):
            m.d.comb += self.reset_core.eq(1)
            m.d.sync += self.accepted.eq(0)
            self._done(m)
        if self.design.seeded_weights:
            with m.State("INITIALIZE"):
                m.d.comb += core.initialize.eq(1)
                self._done(m)
