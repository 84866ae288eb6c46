"""Carries out what the host asks for."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.core import Core, WeightAddress
from hw.delay import delay
from hw.link.protocol import PACKET_WORDS, Command, Status, identity, prediction_words
from hw.schedule import Schedule
from hw.sdram.chips import DATA_BITS, SdramChip
from hw.sdram.splitter import request_layout
from hw.supply import SampleSupply, most_records

# The core's ports that the link has nothing to do with.
_NOT_OURS = {"start", "i", "released", "input_delta", "input_delta_valid"}

# Words of a run that TRAIN brings, in this order, for the supply and for the core. INFER brings the
# first two.
_SAMPLES = ("first", "records", "samples", "seed")
_LEARNING = ("rate", "halve_every", "floor", "age")

# The supply's ports that say what it shall bring.
_SUPPLY = ("begin_run", *_SAMPLES, "cancel", "busy")


class LinkEndpoint(wiring.Component):
    """Checks a request, carries it out, and has it answered: every request once.

    Nothing of a request takes effect before all of it has been checked. A request that is equal to
    the last one that was carried out, its sequence number included, is a repetition: it gets the
    same answer again and is not carried out. So the body of an answer stays in its memory.

    Parameters
    ----------
    schedule : of the core.
    chip : the SDRAM that holds the samples.

    Members
    -------
    packet, packet_problem, header, words, crc, taken, address, word : see PacketReceiver.
    start_reply, reply_header, reply_words, replying, reply_address, reply_word : see
        PacketTransmitter.
    reset_core : reset the core.
    core : the core's ports, but for its samples, deltas and start, which is the supply's.
    supply : those of SampleSupply that say what it shall bring.
    o_request, o_sdram, i_sdram, sdram_initialized : request, i, o and initialized of
        SdramController, while the supply is not busy.
    """

    clocked = True

    def __init__(self, schedule: Schedule, chip: SdramChip) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.chip = chip
        #: 32-bit words of the SDRAM.
        self.sdram_words = chip.words * DATA_BITS // 32
        core = Core(schedule).signature.members
        supply = SampleSupply(schedule, chip).signature.members
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
                "supply": Out(wiring.Signature({name: supply[name].flip() for name in _SUPPLY})),
                "o_request": Out(stream.Signature(request_layout(chip))),
                "o_sdram": Out(stream.Signature(DATA_BITS)),
                "i_sdram": In(stream.Signature(DATA_BITS)),
                "sdram_initialized": In(1),
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
        self.index, self.step = Signal(range(PACKET_WORDS + 2)), Signal()
        index = self.index + self.step
        m.d.comb += self.address.eq(index)
        m.d.sync += self.index.eq(index)
        # The first word of the body: where the request begins, in a bank or in the SDRAM.
        self.place = Signal(32)
        # The word of the body before `word`; to begin with the second, which may be a count.
        self.before = Signal(32)
        # How much there is where it begins, and what is to be checked.
        self.size = Signal(32)
        self.outside, self.bad_count = Signal(), Signal()
        self.no_records, self.no_samples = Signal(), Signal()
        self._replies(m)
        self._predictions(m)
        self._core_ports(m)
        with m.FSM():
            self._check(m)
            self._answer(m)
            self._lists(m)
            self._weights(m)
            self._samples(m)
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
        m.submodules.predictions = ResetInserter(self.reset_core)(queue)
        self.queue = queue
        self.lost = Signal(32)
        m.d.comb += [queue.w_data.eq(core.prediction), queue.w_en.eq(core.prediction_valid)]
        with m.If(self.reset_core):
            m.d.sync += self.lost.eq(0)
        with m.Elif(core.prediction_valid & ~queue.w_rdy):
            m.d.sync += self.lost.eq(self.lost + 1)

    def _idle(self) -> Value:
        """Whether weights and samples can be reached, and a run begin."""
        busy = self.core.busy | self.supply.busy
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
        # Memory, addition and decision each have a clock. `word` then is the third of the body.
        with m.State("FETCH"):
            m.d.comb += self.step.eq(1)
            m.d.sync += [self.before.eq(self.word), self.size.eq(self._size(m))]
            m.next = "ADD"
        with m.State("ADD"):
            written = (self.command == Command.WRITE_WEIGHTS) | (
                self.command == Command.WRITE_SAMPLES
            )
            count = Mux(written, self.words - 1, self.before)
            m.d.sync += [
                self.outside.eq(self.place + count > self.size),
                self.bad_count.eq((self.before == 0) | (self.before > PACKET_WORDS)),
                self.no_records.eq(self.before == 0),
                self.no_samples.eq(self.word == 0),
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
        words, argument = self.words, self.argument
        busy = [(Status.BUSY, ~self._idle())]
        plain = [(Status.BAD_VALUE, argument != 0)]
        place = [(Status.BAD_ADDRESS, self.outside), *busy]
        read = [(Status.BAD_VALUE, self.bad_count), *place]
        train = (argument >= self.design.batch) | self.no_records | self.no_samples
        infer = (argument != 0) | self.no_records
        none = words == 0
        found = {
            Command.IDENTIFY: ("IDENTIFY", none, plain),
            Command.STATUS: ("STATUS", none, plain),
            Command.WRITE_WEIGHTS: ("WRITE", words >= 2, place),
            Command.READ_WEIGHTS: ("READ", words == 2, read),
            Command.WRITE_SAMPLES: ("WRITE_SAMPLES", words >= 2, plain + place),
            Command.READ_SAMPLES: ("READ_SAMPLES", words == 2, plain + read),
            Command.TRAIN: (
                "RUN",
                words == len(_SAMPLES + _LEARNING),
                [(Status.BAD_VALUE, train), *place],
            ),
            Command.INFER: ("RUN", words == 2, [(Status.BAD_VALUE, infer), *place]),
            Command.STOP: ("STOP", none, plain),
            Command.READ_PREDICTIONS: ("PREDICTIONS", none, []),
            Command.RESET: ("RESET", none, plain),
        }
        if self.design.seeded_weights:
            found[Command.INITIALIZE] = ("INITIALIZE", words == 1, plain + busy)
        return found

    def _size(self, m: Module) -> Value:
        """Words of the bank or of the SDRAM, or records, of which the request names some.

        0 if there is no such bank. It means nothing where the request names none.
        """
        design, bank, size = self.design, self.argument, Signal(32)
        with m.Switch(self.command):
            with m.Case(Command.WRITE_SAMPLES, Command.READ_SAMPLES):
                m.d.comb += size.eq(self.sdram_words)
            with m.Case(Command.TRAIN, Command.INFER):
                m.d.comb += size.eq(most_records(design, self.chip))
            with m.Default():
                with m.If(bank < design.processing_elements):
                    m.d.comb += size.eq(design.bank_words)
                with m.Elif(bank == design.processing_elements):
                    m.d.comb += size.eq(design.bias_words)
        return size

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
        identities = [
            Const(value, 32) for value in identity(self.design, self.sdram_words).values()
        ]
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
        latency = self.schedule.latencies.weight_port
        arriving = delay(m, self.asking, latency, "arriving", reset=True)
        self.run = {name: Signal(32, name=name) for name in _SAMPLES + _LEARNING}
        self.infer = Signal()
        m.d.comb += [
            core.weight_address.eq(Cat(place, bank)),
            core.weight_data.eq(self.before),
            core.infer.eq(self.infer),
            core.samples.eq(self.run["samples"]),
            *(getattr(core, name).eq(self.run[name]) for name in _LEARNING),
            *(getattr(self.supply, name).eq(self.run[name]) for name in _SAMPLES),
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
            Cat(
                core.busy | self.supply.busy,
                core.done,
                core.loaded,
                initializing,
                self.sdram_initialized,
            ),
            core.trained,
            core.clocks[:32],
            # As it was a clock before, together with the lower word.
            delay(m, core.clocks[32:], 1, "clocks_high"),
            core.stalls[:32],
            delay(m, core.stalls[32:], 1, "stalls_high"),
            self.queue.level,
            self.lost,
        ]

    def _weights(self, m: Module) -> None:
        """To and from the banks, a word a clock."""
        with m.State("WRITE"):
            with m.If(self.index > self.words):
                self._done(m)
            with m.Else():
                m.d.comb += [self.core.weight_write.eq(1), self.step.eq(1)]
                m.d.sync += [self.before.eq(self.word), self.place.eq(self.place + 1)]
        asked = Signal(range(PACKET_WORDS + 1))
        count = self.before[: len(asked)]
        with m.State("READ"):
            m.d.comb += self.asking.eq(asked != count)
            with m.If(self.asking):
                m.d.sync += [self.place.eq(self.place + 1), asked.eq(asked + 1)]
            with m.If(self.put_words == count):
                m.d.sync += asked.eq(0)
                self._done(m)

    def _samples(self, m: Module) -> None:
        """To and from the SDRAM, the low half of a word first."""
        request, low, high = self.o_request, Signal(DATA_BITS), Signal()
        count = self.before[: len(self.put_words)]
        with m.State("WRITE_SAMPLES"):
            m.d.comb += [
                request.valid.eq(1),
                request.payload.address.eq(self.place << 1),
                request.payload.words.eq((self.words - 1) << 1),
                request.payload.write.eq(1),
            ]
            with m.If(request.ready):
                m.next = "WRITE_HALVES"
        with m.State("WRITE_HALVES"):
            left = self.index <= self.words
            half = Mux(high, self.before[DATA_BITS:], self.before[:DATA_BITS])
            m.d.comb += [self.o_sdram.valid.eq(left), self.o_sdram.payload.eq(half)]
            with m.If(~left):
                self._done(m)
            with m.Elif(self.o_sdram.ready):
                m.d.sync += high.eq(~high)
                with m.If(high):
                    m.d.comb += self.step.eq(1)
                    m.d.sync += self.before.eq(self.word)
        with m.State("READ_SAMPLES"):
            m.d.comb += [
                request.valid.eq(1),
                request.payload.address.eq(self.place << 1),
                request.payload.words.eq(count << 1),
            ]
            with m.If(request.ready):
                m.next = "READ_HALVES"
        with m.State("READ_HALVES"):
            m.d.comb += self.i_sdram.ready.eq(1)
            with m.If(self.i_sdram.valid):
                m.d.comb += [self.put.eq(high), self.put_word.eq(Cat(low, self.i_sdram.payload))]
                m.d.sync += [high.eq(~high), low.eq(self.i_sdram.payload)]
            with m.If(self.put_words == count):
                self._done(m)

    def _run(self, m: Module) -> None:
        """What begins and ends runs."""
        core, supply = self.core, self.supply
        with m.State("RUN"):
            # INFER's samples are each record once, in their order.
            run, infer = self.run, self.command == Command.INFER
            m.d.comb += self.step.eq(1)
            m.d.sync += self.infer.eq(infer)
            if self.design.batch > 1:
                m.d.sync += self.batch.eq(Mux(infer, 0, self.argument) + 1)
            with m.If(self.index == 2):
                m.d.sync += [
                    run["first"].eq(self.place),
                    run["records"].eq(self.before),
                    run["samples"].eq(self.before),
                    run["seed"].eq(0),
                ]
            with m.If(self.index == self.words):
                m.next = "BEGIN"
            with m.Else(), m.Switch(self.index):
                for number, name in enumerate(_SAMPLES + _LEARNING):
                    with m.Case(number):
                        if number >= 2:
                            m.d.sync += run[name].eq(self.word)
        # A run begins with an empty buffer.
        with m.State("BEGIN"):
            m.d.comb += [self.reset_core.eq(1), supply.begin_run.eq(1)]
            self._done(m)
        with m.State("STOP"):
            m.d.comb += [core.stop.eq(1), supply.cancel.eq(1)]
            self._done(m)
        # The core swallows what has been asked for.
        with m.State("RESET"):
            m.d.comb += [self.reset_core.eq(1), supply.cancel.eq(1)]
            with m.If(~supply.busy):
                self._done(m)
        if self.design.seeded_weights:
            with m.State("INITIALIZE"):
                m.d.comb += core.initialize.eq(1)
                self._done(m)
