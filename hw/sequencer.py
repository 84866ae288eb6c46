"""The sequencer: walks the program, once for each iteration."""

import itertools

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.control import active_counts, array_control, result_tag, result_vectors, sums
from hw.copies import address
from hw.delay import delay
from hw.design import Design
from hw.operation import BACKPROPAGATION, FORWARD, GRADIENT_DESCENT, REDUCE, Operation
from hw.operation import UPDATE as UPDATE_OPERATION
from hw.pe import PAIR, PASS, ROTATE, TREE, UPDATE, adder_inputs, input_words
from hw.program import Program
from hw.rate import LearningRate
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place


def run_ports(design: Design) -> dict[str, wiring.Member]:
    """The ports that describe a run; the core has them too, and says what they are."""
    ports = {
        "start": In(1),
        "samples": In(32),
        "infer": In(1),
        "stop": In(1),
        "rate": In(32),
        "halve_every": In(32),
        "floor": In(32),
        "age": In(32),
    }
    return ports | ({"batch": In(below(design.batch + 1))} if design.batch > 1 else {})


class Sequencer(wiring.Component):
    """Issues the operations of the schedule, each in its clock.

    The instructions lie in a ROM, those of training before those of inference. Addresses begin
    where the instruction before left the first ones of its successor, so that nothing is added on
    the way to the memories.

    An iteration begins with a new sample, or without one where the samples before still have
    operations to come: at the end of a run, or of a batch if the schedule drains between batches.
    Operations whose sample does not exist pass without effect. The program waits in one place only:
    before an iteration whose sample is not loaded, at least until what is under way is done.

    An array with a group of the layers also waits until deltas have come from the group above, for
    the sample whose backward passes the iteration begins, and until that group has room for another
    sample.

    Members
    -------
    start, samples, infer, batch, stop, rate, halve_every, floor, age : see hw.core.Core.
    wanted : the run goes on with another sample.
    ends : the group below has no other sample; but for the first group.
    room, deltas : but for the last group: the one above has room for a sample; deltas have come.
    uses_deltas : the iteration begins that uses them.
    broadcast_delta : the broadcast operand is one of them.
    newest : copy of the next sample.
    loaded, take : the next sample is loaded; the iteration begins with it.
    waiting : the iteration would begin, but its sample is not loaded.
    busy : from the clock after `start` until everything is written.
    instruction : number of the instruction in progress, in the order of the ROM.
    issue : an issue; what follows holds then.
    begins, updates : it is the first one of the operation; that is UPDATE.
    result : whose results it will have if not.
    broadcast_one, broadcast_input : the broadcast operand is 1, an input of the network.
    broadcast_address : of the operand in a sample's inputs, or among its broadcast vectors.
    copy : of the memories that hold the operation's sample.
    derive : the operand is also wanted for the derivative of an input.
    step : learning rate that UPDATE takes, in the clock after the issue.
    control : what the array does in this slot.
    bias_update : the bias at `control.bias_address` is updated in this slot.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        self.copies = max(schedule.copies, schedule.input_copies)
        if not design.last:
            self.copies = max(self.copies, schedule.delta_copies)
        self.programs = (schedule.training, schedule.inference)
        self.rom = [word for program in self.programs for word in self._encode(program)]
        self.behind = max(program.behind for program in self.programs)
        handed_down = 0 if design.last else design.layers[-1]
        broadcast = below(max(design.layers[0], design.vectors.memory_words, handed_down))
        super().__init__(
            {
                **run_ports(design),
                "loaded": In(1),
                "take": Out(1),
                "wanted": Out(1),
                "waiting": Out(1),
                "busy": Out(1),
                "instruction": Out(below(len(self.rom))),
                "issue": Out(1),
                "begins": Out(1),
                "updates": Out(1),
                "result": Out(result_tag(schedule)),
                "broadcast_one": Out(1),
                "broadcast_input": Out(1),
                "broadcast_address": Out(broadcast),
                "copy": Out(below(self.copies)),
                "derive": Out(1),
                "step": Out(32),
                "control": Out(array_control(schedule)),
                "bias_update": Out(1),
                **self._stage_ports(),
            }
        )

    def _stage_ports(self) -> dict[str, wiring.Member]:
        """Those that depend on where a group stands."""
        design, ports = self.schedule.design, {}
        if not design.first:
            ports["ends"] = In(1)
        if not design.last:
            ports |= {
                "room": In(1),
                "deltas": In(1),
                "uses_deltas": Out(1),
                "broadcast_delta": Out(1),
                "newest": Out(below(self.copies)),
            }
        return ports

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_sequencer"

    def _encode(self, program: Program) -> list[dict[str, int]]:
        """Instructions of a program: what each operation needs, and where its successor begins."""
        ops = program.operations
        words = []
        for op, following in zip(ops, (*ops[1:], ops[0]), strict=True):
            start = program.clock(following) + (program.interval if following is ops[0] else 0)
            wait = start - (program.clock(op) + op.clocks)
            words.append(
                {
                    **self._instruction(op),
                    **{f"next_{name}": value for name, value in self._entry(following).items()},
                    "next_wait": wait,
                    "last": op is ops[-1],
                }
            )
        return words

    def _instruction(self, op: Operation) -> dict[str, int]:
        counts = active_counts(self.schedule)
        broadcast, local = _operands(op)
        column = op.layer.mapping == "column"
        update = op.operation == UPDATE_OPERATION
        vector = (op.unit, op.layer.number)
        design = self.schedule.design
        counted = design.unified or op.operation == REDUCE
        handed_down = ("delta", len(design.layers) - 1)
        return {
            **({} if design.last else {"broadcast_delta": broadcast == handed_down}),
            "update": update,
            "reduce": op.operation == REDUCE,
            "behind": op.behind,
            "result": 0 if update else result_vectors(self.schedule).index(vector),
            "last_element": op.length - 1,
            "last_fold": op.layer.folds - 1,
            "gap": op.period - op.length,
            "skip": op.skip,
            "broadcast_one": not column and op.unit != BACKPROPAGATION,
            "broadcast_input": broadcast == ("activation", 0),
            "broadcast_base": self._place(broadcast),
            "local_input": local == ("activation", 0),
            "rotate": op.sums is not None and op.sums.rotating,
            "pair": op.sums is not None and not op.sums.rotating and op.sums.length > 1,
            "finished": sums(self.schedule).index(op.sums) + 1 if op.sums else 0,
            "active": counts.index(op.layer.last_active) if counted else 0,
            "bias": column and op.unit in (FORWARD, GRADIENT_DESCENT),
            "derive": op.unit == FORWARD and op.layer.number == 1 and design.input_deltas,
        }

    def _entry(self, op: Operation) -> dict[str, int]:
        """First addresses of an operation."""
        broadcast, local = _operands(op)
        return {
            "bank": op.layer.base + op.skip,
            "broadcast": self._place(broadcast),
            "local": self._place(local),
            "bias": op.layer.bias_base,
        }

    def _place(self, vector: tuple[str, int]) -> int:
        """First address of a vector; the inputs have memories of their own."""
        return self.schedule.design.vectors.first.get(vector, 0)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = {
            name: unsigned(max(1, max(word[name] for word in self.rom).bit_length()))
            for name in self.rom[0]
        }
        m.submodules.rom = rom = memory.Memory(
            shape=data.StructLayout(fields), depth=len(self.rom), init=self.rom
        )
        read = rom.read_port()
        self.word = read.data
        following = Signal.like(self.instruction)
        m.d.comb += [following.eq(self.instruction), read.addr.eq(following)]
        m.d.sync += self.instruction.eq(following)

        self._counters()
        self._run(m)
        self._samples(m, platform)
        self._walk(m, following)
        self._slot(m)
        return m

    def _counters(self) -> None:
        design, word = self.schedule.design, self.word
        self.element = Signal(word.last_element.shape())
        self.fold = Signal(word.last_fold.shape())
        self.bank = Signal(below(design.bank_words))
        self.local = Signal(below(max(design.vectors.register_words, input_words(design))))
        self.bias = Signal(below(design.bias_words))
        waits = [max(entry["next_wait"], entry["gap"]) for entry in self.rom]
        tails = [program.tail for program in self.programs]
        self.pause = Signal(range(max(*waits, *tails, self.schedule.overhang, 1) + 1))
        self.first = Signal(init=1)
        self.inferring = Signal()
        self.wraps = Signal()
        self.passes = Signal()  # an issue, whether or not its sample exists
        # Of this iteration and those before: whether its sample does.
        self.exists = [Signal(name=f"exists_{k}") for k in range(self.behind + 1)]

    def _run(self, m: Module) -> None:
        """From start to the end of the last sample: when iterations begin, with and without one."""
        drain = self.schedule.training.drain
        remaining = Signal(32)
        pending, hold = Signal(below(self.behind + 1)), Signal(below(drain + 1))
        self.first_of_batch, self.last_of_batch = Signal(init=1), Signal(init=1)
        stopping, finishing, waited = Signal(), Signal(), Signal()
        ready = self.busy & (self.pause == 0)
        boundary = ready & self.first
        behind = self._by_program([program.behind for program in self.programs])
        tail = self._by_program([max(1, program.tail) - 1 for program in self.programs])
        empty, begin = Signal(), Signal()
        ends = stopping & self.first_of_batch if self.schedule.design.first else self.ends
        room, deltas = self._above(m, begin)
        m.d.comb += [
            self.wanted.eq((remaining != 0) & ~ends),
            empty.eq(Mux(self.wanted, hold != 0, pending != 0)),
            self.take.eq(boundary & self.wanted & ~empty & self.loaded & room & deltas),
            begin.eq(self.take | (boundary & empty & deltas)),
            self.passes.eq((ready & ~self.first) | begin),
            self.waiting.eq(((boundary & (self.wanted | empty)) | waited) & ~begin),
        ]
        with m.If(self.pause != 0):
            m.d.sync += self.pause.eq(self.pause - 1)
        with m.If(begin):
            m.d.sync += [
                self.first.eq(0),
                pending.eq(Mux(self.take, behind, pending - (pending != 0))),
                hold.eq(hold - (hold != 0)),
                waited.eq(0),
            ]
            with m.If(self.take & self.last_of_batch & ~self.inferring):
                m.d.sync += hold.eq(drain)
        with m.If(self.take):
            m.d.sync += remaining.eq(remaining - 1)
        with m.Elif(self.waiting & ~waited):
            m.d.sync += [waited.eq(1), self.pause.eq(tail)]
        with m.If(boundary & ~self.wanted & ~empty):
            m.d.sync += [self.pause.eq(self.schedule.overhang), finishing.eq(1), waited.eq(0)]
            with m.If(finishing):
                m.d.sync += [self.busy.eq(0), self.pause.eq(0), finishing.eq(0)]
        with m.If(self.stop & self.busy):
            m.d.sync += stopping.eq(1)
        with m.If(self.start & ~self.busy):
            m.d.sync += [
                self.busy.eq(1),
                remaining.eq(self.samples),
                hold.eq(0),
                stopping.eq(0),
                self.inferring.eq(self.infer),
            ]
        if self.schedule.design.batch > 1:
            self._batches(m, remaining)

    def _above(self, m: Module, begin: Value) -> tuple[Value, Value]:
        """Of the group above: whether it has room for a sample, and deltas for an iteration."""
        design = self.schedule.design
        if design.last:
            return Const(1), Const(1)
        due = self.exists[design.lag] & ~self.inferring
        m.d.comb += self.uses_deltas.eq(begin & due)
        return self.room, self.deltas | ~due

    def _batches(self, m: Module, remaining: Value) -> None:
        """Which samples begin and end a batch; the last batch may be short."""
        left, size = Signal.like(self.batch), Signal.like(self.batch)
        m.d.comb += self.last_of_batch.eq((left == 1) | (remaining == 1))
        with m.If(self.take):
            m.d.sync += [
                self.first_of_batch.eq(self.last_of_batch),
                left.eq(Mux(self.last_of_batch, size, left - 1)),
            ]
        with m.If(self.start & ~self.busy):
            m.d.sync += [left.eq(self.batch), size.eq(self.batch), self.first_of_batch.eq(1)]

    def _by_program(self, values: list[int]) -> Value:
        """The value of the program in progress."""
        training, inference = values
        return Mux(self.inferring, inference, training)

    def _samples(self, m: Module, platform: object) -> None:
        """What operations need to know of their sample, which may be some iterations old."""
        word, behind = self.word, range(self.behind + 1)
        rate = self._rate(m, platform)
        newest = Signal(below(self.copies))
        m.d.sync += newest.eq(newest + self.take)
        # An entry for each iteration that a sample may be behind. That of this iteration is there
        # with the sample; it moves on when the program wraps.
        exists = self.exists
        copy = [Signal.like(newest, name=f"copy_{k}") for k in behind]
        made = [Signal(2, name=f"made_{k}") for k in behind]
        steps = [rate.step, *(Signal(32, name=f"step_{k}") for k in behind[1:])]
        with m.If(self.take):
            m.d.sync += [
                exists[0].eq(1),
                made[0].eq(Cat(~self.first_of_batch, ~self.last_of_batch)),
            ]
        with m.If(self.wraps):
            m.d.sync += [exists[0].eq(0), copy[0].eq(newest + self.take)]
            for entries in (exists, copy, made, steps):
                m.d.sync += [new.eq(old) for old, new in itertools.pairwise(entries)]
        with m.If(self.start & ~self.busy):
            m.d.sync += [entry.eq(0) for entry in exists]
        if not self.schedule.design.last:
            m.d.comb += self.newest.eq(newest)
        there = [exists[0] | self.take, *exists[1:]]
        m.d.comb += [
            self.issue.eq(self.passes & Array(there)[word.behind]),
            self.copy.eq(Array(copy)[word.behind]),
        ]
        if self.schedule.design.batch > 1:
            self.made = Array(made)[word.behind]
        if self.behind:
            # The entries may move on before the clock in which the step is wanted.
            m.d.sync += self.step.eq(Array(steps)[word.behind])
        else:
            m.d.comb += self.step.eq(rate.step)

    def _rate(self, m: Module, platform: object) -> LearningRate:
        rate = LearningRate()
        place(m, "learning_rate", rate, platform)
        m.d.comb += [
            rate.start.eq(self.start & ~self.busy),
            rate.rate.eq(self.rate),
            rate.halve_every.eq(self.halve_every),
            rate.floor.eq(self.floor),
            rate.age.eq(self.age),
            rate.take.eq(self.take),
            rate.first_of_batch.eq(self.first_of_batch),
        ]
        return rate

    def _walk(self, m: Module, following: Signal) -> None:
        """Counters of elements, folds and addresses."""
        word = self.word
        self.last_element = Signal()
        self.last_fold = Signal()
        m.d.comb += [
            self.last_element.eq(self.element == word.last_element),
            self.last_fold.eq(self.fold == word.last_fold),
            self.begins.eq(self.issue & (self.element == 0) & (self.fold == 0)),
            self.updates.eq(word.update),
            self.result.vector.eq(word.result),
            self.result.copy.eq(self.copy),
            self.broadcast_one.eq(word.broadcast_one & (self.element == 0)),
            self.broadcast_input.eq(word.broadcast_input),
            *([] if self.schedule.design.last else [self.broadcast_delta.eq(word.broadcast_delta)]),
            self.derive.eq(self.issue & word.derive & (self.fold == 0) & (self.element != 0)),
        ]
        with m.If(self.passes):
            m.d.sync += [
                self.element.eq(self.element + 1),
                self.bank.eq(self.bank + 1),
                self.bias.eq(self.bias + 1),
                self.broadcast_address.eq(self.broadcast_address + ~self.broadcast_one),
            ]
            with m.If(self.last_element & ~self.last_fold):
                m.d.sync += [
                    self.element.eq(0),
                    self.fold.eq(self.fold + 1),
                    self.bank.eq(self.bank + 1 + word.skip),
                    self.broadcast_address.eq(word.broadcast_base),
                    self.local.eq(self.local + 1),
                    self.pause.eq(word.gap),
                ]
            with m.If(self.last_element & self.last_fold):
                self._next(m, following)
        with m.If(self.start & ~self.busy):
            self._enter(m, following)

    def _next(self, m: Module, following: Signal) -> None:
        """The instruction is done."""
        word = self.word
        first = self._by_program([0, len(self.schedule.operations)])
        m.d.comb += [
            following.eq(Mux(word.last, first, self.instruction + 1)),
            self.wraps.eq(word.last),
        ]
        m.d.sync += [
            self.element.eq(0),
            self.fold.eq(0),
            self.bank.eq(word.next_bank),
            self.broadcast_address.eq(word.next_broadcast),
            self.local.eq(word.next_local),
            self.bias.eq(word.next_bias),
            self.pause.eq(word.next_wait),
            self.first.eq(word.last),
        ]

    def _enter(self, m: Module, following: Signal) -> None:
        """The run's program begins."""
        counters = {
            "bank": self.bank,
            "broadcast": self.broadcast_address,
            "local": self.local,
            "bias": self.bias,
        }
        training, inference = (self._entry(program.operations[0]) for program in self.programs)
        m.d.comb += following.eq(Mux(self.infer, len(self.schedule.operations), 0))
        m.d.sync += [
            counter.eq(Mux(self.infer, inference[name], training[name]))
            for name, counter in counters.items()
        ]

    def _slot(self, m: Module) -> None:
        """The array's control word: UPDATE's waits until the broadcast operand is scaled."""
        word, schedule = self.word, self.schedule
        now = Signal(array_control(schedule))
        words = schedule.design.vectors.register_words
        local = address(self.local, self.copy, words, schedule.copies)
        if folds := input_words(schedule.design):
            inputs = address(self.local, self.copy, folds, schedule.input_copies)
            local = Mux(word.local_input, inputs, local)
        m.d.comb += [
            now.valid.eq(self.issue),
            now.update.eq(word.update),
            now.reduce.eq(word.reduce),
            now.bank_address.eq(self.bank),
            now.local_input.eq(word.local_input),
            now.local_address.eq(local),
            now.adder_select.eq(self._adder_select(m)),
            now.finished.eq(Mux(self.last_element, word.finished, 0)),
            now.active.eq(Mux(self.last_fold, word.active, 0)),
            now.final.eq(self.last_fold),
            now.first_fold.eq(self.fold == 0),
            now.bias.eq(word.bias),
            now.element.eq(self.element),
            now.bias_address.eq(self.bias),
        ]
        if schedule.design.batch > 1:
            m.d.comb += [
                now.read_made.eq(word.update & self.made[0]),
                now.write_made.eq(self.made[1]),
            ]
        latency = schedule.latencies.multiplier
        valid_update = delay(m, self.issue & word.update, latency, "update", reset=True)
        later = data.View(array_control(schedule), delay(m, now, latency, "slot"))
        with m.If(valid_update):
            m.d.comb += self.control.eq(later)
        with m.Else():
            m.d.comb += [self.control.eq(now), self.control.valid.eq(self.issue & ~word.update)]
        m.d.comb += self.bias_update.eq(valid_update & later.bias & later.first_fold)

    def _adder_select(self, m: Module) -> Signal:
        """What the adder does with the product: see hw.design.Accumulation."""
        inputs = adder_inputs(self.schedule)
        word = self.word
        select = Signal(range(len(inputs)))
        m.d.comb += select.eq(inputs.index(TREE))
        with m.If(word.update):
            m.d.comb += select.eq(inputs.index(UPDATE))
        if ROTATE in inputs:
            full = Signal()
            with m.If(self.passes):
                stages = self.schedule.latencies.adder
                m.d.sync += full.eq(~self.last_element & (full | (self.element == stages - 1)))
            with m.If(word.rotate):
                choice = Mux(full, inputs.index(ROTATE), inputs.index(PASS))
                m.d.comb += select.eq(choice)
        if PAIR in inputs:
            with m.If(word.pair & self.element[0]):
                m.d.comb += select.eq(inputs.index(PAIR))
            with m.Elif(word.pair & self.last_element):
                m.d.comb += select.eq(inputs.index(PASS))
        return select


def _operands(op: Operation) -> tuple[tuple[str, int], tuple[str, int]]:
    """Which vectors an operation broadcasts and takes locally (it may not use both)."""
    inputs, delta = ("activation", op.layer.number - 1), ("delta", op.layer.number)
    if op.unit == FORWARD:
        return inputs, inputs
    if op.unit == GRADIENT_DESCENT and op.layer.mapping == "row":
        return inputs, delta
    if op.unit == GRADIENT_DESCENT:
        return delta, inputs
    return delta, delta
