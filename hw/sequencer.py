"""The sequencer: walks the program of an iteration, once for each sample."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.control import active_counts, array_control, sums
from hw.delay import delay
from hw.pe import PAIR, PASS, ROTATE, TREE, UPDATE, adder_inputs, input_words
from hw.schedule import (
    BACKPROPAGATION,
    FORWARD,
    GRADIENT_DESCENT,
    REDUCE,
    Operation,
    Schedule,
)
from hw.schedule import UPDATE as UPDATE_OPERATION
from hw.shape import below


class Sequencer(wiring.Component):
    """Issues the operations of the schedule, each in its clock.

    The instructions lie in a ROM. Addresses begin where the instruction before left the first ones
    of its successor, so that nothing is added on the way to the memories. The program waits in one
    place only: before the first issue of an iteration, until the sample is loaded.

    Members
    -------
    start, samples : begin a run over so many samples.
    loaded, take : the next sample is loaded; the iteration begins with it.
    busy : from the clock after `start` until everything is written.
    instruction : number of the instruction in progress, in the order of the schedule.
    issue : an issue; the following three hold then.
    broadcast_one, broadcast_input : the broadcast operand is 1, an input of the network.
    broadcast_address : of the operand, in the input memory or in the vector memory.
    derive : the operand is also wanted for the derivative of an input.
    half : half of the input and label memories that this sample is in.
    control : what the array does in this slot.
    bias_update : the bias at `control.bias_address` is updated in this slot.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        self.program = [self._encode(index) for index in range(len(schedule.operations))]
        broadcast = below(max(design.layers[0], design.vectors.memory_words))
        super().__init__(
            {
                "start": In(1),
                "samples": In(32),
                "loaded": In(1),
                "take": Out(1),
                "busy": Out(1),
                "instruction": Out(below(len(self.program))),
                "issue": Out(1),
                "broadcast_one": Out(1),
                "broadcast_input": Out(1),
                "broadcast_address": Out(broadcast, init=self.program[0]["broadcast_base"]),
                "derive": Out(1),
                "half": Out(1),
                "control": Out(array_control(schedule)),
                "bias_update": Out(1),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_sequencer"

    def _encode(self, index: int) -> dict[str, int]:
        """Instruction `index`: what its operation needs, and where its successor begins."""
        ops = self.schedule.operations
        op, following = ops[index], ops[(index + 1) % len(ops)]
        start = following.start + (self.schedule.interval if following is ops[0] else 0)
        counts = active_counts(self.schedule)
        broadcast, local = _operands(op)
        column = op.layer.mapping == "column"
        return {
            "update": op.operation == UPDATE_OPERATION,
            "reduce": op.operation == REDUCE,
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
            "active": counts.index(op.layer.last_active) if op.operation == REDUCE else 0,
            "bias": column and op.unit in (FORWARD, GRADIENT_DESCENT),
            "derive": op.unit == FORWARD
            and op.layer.number == 1
            and self.schedule.design.input_deltas,
            "next_bank": following.layer.base + following.skip,
            "next_broadcast": self._place(_operands(following)[0]),
            "next_local": self._place(_operands(following)[1]),
            "next_bias": following.layer.bias_base,
            "next_wait": start - (op.start + op.clocks),
        }

    def _place(self, vector: tuple[str, int]) -> int:
        """First address of a vector; the inputs have memories of their own."""
        return self.schedule.design.vectors.first.get(vector, 0)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = {
            name: unsigned(max(1, max(word[name] for word in self.program).bit_length()))
            for name in self.program[0]
        }
        m.submodules.rom = rom = memory.Memory(
            shape=data.StructLayout(fields), depth=len(self.program), init=self.program
        )
        read = rom.read_port()
        self.word = read.data
        following = Signal.like(self.instruction)
        m.d.comb += [following.eq(self.instruction), read.addr.eq(following)]
        m.d.sync += self.instruction.eq(following)

        self._run(m)
        self._walk(m, following)
        self._slot(m)
        return m

    def _run(self, m: Module) -> None:
        """From start to the end of the last sample."""
        overhang = self.schedule.overhang
        waits = [word["next_wait"] for word in self.program]
        gaps = [word["gap"] for word in self.program]
        self.pause = Signal(range(max(*waits, *gaps, overhang, 1) + 1))
        self.first = Signal(init=1)
        remaining = Signal(32)
        finishing = Signal()
        ready = self.busy & (self.pause == 0)
        m.d.comb += [
            self.take.eq(ready & self.first & self.loaded & (remaining != 0)),
            self.issue.eq((ready & ~self.first) | self.take),
        ]
        with m.If(self.pause != 0):
            m.d.sync += self.pause.eq(self.pause - 1)
        with m.If(self.take):
            m.d.sync += [remaining.eq(remaining - 1), self.first.eq(0)]
        with m.If(ready & self.first & (remaining == 0)):
            m.d.sync += [self.pause.eq(overhang), finishing.eq(1)]
            with m.If(finishing):
                m.d.sync += [self.busy.eq(0), self.pause.eq(0), finishing.eq(0)]
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.busy.eq(1), remaining.eq(self.samples)]

    def _walk(self, m: Module, following: Signal) -> None:
        """Counters of elements, folds and addresses."""
        word = self.word
        first = self.program[-1]
        self.element = Signal(word.last_element.shape())
        self.fold = Signal(word.last_fold.shape())
        self.bank = Signal(below(self.schedule.design.bank_words), init=first["next_bank"])
        self.local = Signal(
            below(max(self.schedule.design.vectors.register_words, self._input_folds())),
            init=first["next_local"],
        )
        self.bias = Signal(below(self.schedule.design.bias_words), init=first["next_bias"])
        self.last_element = Signal()
        self.last_fold = Signal()
        m.d.comb += [
            self.last_element.eq(self.element == word.last_element),
            self.last_fold.eq(self.fold == word.last_fold),
            self.broadcast_one.eq(word.broadcast_one & (self.element == 0)),
            self.broadcast_input.eq(word.broadcast_input),
            self.derive.eq(self.issue & word.derive & (self.fold == 0) & (self.element != 0)),
        ]
        with m.If(self.issue):
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

    def _input_folds(self) -> int:
        return input_words(self.schedule.design) // 2

    def _next(self, m: Module, following: Signal) -> None:
        """The instruction is done."""
        word = self.word
        wrap = self.instruction == len(self.program) - 1
        m.d.comb += following.eq(Mux(wrap, 0, self.instruction + 1))
        m.d.sync += [
            self.element.eq(0),
            self.fold.eq(0),
            self.bank.eq(word.next_bank),
            self.broadcast_address.eq(word.next_broadcast),
            self.local.eq(word.next_local),
            self.bias.eq(word.next_bias),
            self.pause.eq(word.next_wait),
            self.first.eq(wrap),
            self.half.eq(self.half ^ wrap),
        ]

    def _slot(self, m: Module) -> None:
        """The array's control word: UPDATE's waits until the broadcast operand is scaled."""
        word = self.word
        now = Signal(array_control(self.schedule))
        address = self.local
        if folds := self._input_folds():
            half = self.half << (folds - 1).bit_length()
            address = Mux(word.local_input, self.local | half, self.local)
        m.d.comb += [
            now.valid.eq(self.issue),
            now.update.eq(word.update),
            now.reduce.eq(word.reduce),
            now.bank_address.eq(self.bank),
            now.local_input.eq(word.local_input),
            now.local_address.eq(address),
            now.adder_select.eq(self._adder_select(m)),
            now.finished.eq(Mux(self.last_element, word.finished, 0)),
            now.active.eq(Mux(self.last_fold, word.active, 0)),
            now.final.eq(self.last_fold),
            now.first_fold.eq(self.fold == 0),
            now.bias.eq(word.bias),
            now.element.eq(self.element),
            now.bias_address.eq(self.bias),
        ]
        valid_update = delay(
            m, self.issue & word.update, self.schedule.latencies.multiplier, "update", reset=True
        )
        later = delay(m, now, self.schedule.latencies.multiplier, "slot")
        later = data.View(array_control(self.schedule), later)
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
            with m.If(self.issue):
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
