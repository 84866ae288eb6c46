"""The backpropagation unit: from activations and backward sums to deltas."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.activation import (
    A_TIMES_COMPLEMENT,
    COMPLEMENT_OF_SQUARE,
    DERIVATIVES,
    ONE,
    STEP,
)
from hw.control import result_tag, result_vectors
from hw.copies import address, depth
from hw.delay import delay
from hw.fp.adder import Adder
from hw.fp.format import BINARY32
from hw.fp.multiplier import Multiplier
from hw.operation import BACKPROPAGATION
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place
from hw.walker import VectorWalker

ONE_WORD = BINARY32.bias << BINARY32.fraction_bits


class BackpropagationUnit(wiring.Component):
    """Output error a - y, derivatives, and deltas: their products with backward sums.

    The paper's equation 2. One adder makes a - y of outputs and what derivatives need; one
    multiplier makes derivatives going forward and deltas going back. The derivatives, which come
    from the activations (see hw.activation), wait in a memory of their own.

    Latencies: output delta, the adder's; other deltas, the multiplier's.

    Members
    -------
    activation, valid, layer, copy : from the forward unit.
    network_input, network_input_valid, network_input_copy : an input of the network, if its delta
        is wanted.
    label_address, label_copy, label : label memory's word, and the address that asks for it a clock
        before.
    sum, sum_valid, sum_tag : a backward sum, W^T delta.
    next_index, next_tag : of the sum of the next clock, if any.
    delta : the delta of a neuron (or of an input of the network, if wanted).
    delta_valid, input_delta_valid : which of the two it is.
    error, error_valid : the delta of an output, if the design wants the loss.
    delta_layer, delta_copy : number of its layer, and copy of its sample.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        self.hidden = any(op.unit == BACKPROPAGATION for op in schedule.operations)
        copy = below(schedule.copies)
        error = {"error": Out(32), "error_valid": Out(1)} if design.loss else {}
        super().__init__(
            {
                **error,
                "activation": In(32),
                "valid": In(1),
                "layer": In(below(len(design.activations))),
                "copy": In(copy),
                "network_input": In(32),
                "network_input_valid": In(1),
                "network_input_copy": In(copy),
                "label_address": Out(below(design.layers[-1])),
                "label_copy": Out(below(schedule.input_copies)),
                "label": In(32),
                "sum": In(32),
                "sum_valid": In(1),
                "sum_tag": In(result_tag(schedule)),
                "next_index": In(below(max(design.layers))),
                "next_tag": In(result_tag(schedule)),
                "delta": Out(32),
                "delta_valid": Out(1),
                "delta_layer": Out(below(len(design.layers))),
                "delta_copy": Out(copy),
                "input_delta_valid": Out(1),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_backpropagation_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.schedule.design
        output = Signal()
        m.d.comb += output.eq(self.valid & (self.layer == len(design.activations) - 1))
        self._labels(m, output)

        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        place(m, "adder", adder, platform)
        error = delay(m, output, adder.latency, "error", reset=True)
        m.d.comb += [
            adder.a.eq(self.activation),
            adder.b.eq(_negative(self.label)),
            self.delta.eq(adder.o),
            self.delta_valid.eq(error),
            self.delta_layer.eq(len(design.activations)),
            self.delta_copy.eq(delay(m, self.copy, adder.latency, "error_copy")),
        ]
        if design.loss:
            m.d.comb += [self.error.eq(adder.o), self.error_valid.eq(error)]
        if self.hidden:
            self._chain_rule(m, platform, adder, output, error)
        return m

    def _labels(self, m: Module, output: Value) -> None:
        """The label is asked for the clock before its output: samples come in their order."""
        copy, following = Signal.like(self.label_copy), Signal.like(self.label_copy)
        m.submodules.labels = labels = VectorWalker([self.schedule.design.layers[-1]])
        m.d.comb += [
            labels.step.eq(output),
            following.eq(copy + (output & labels.last)),
            self.label_address.eq(labels.next_offset),
            self.label_copy.eq(following),
        ]
        m.d.sync += copy.eq(following)

    def _chain_rule(
        self, m: Module, platform: object, adder: Adder, output: Value, error: Value
    ) -> None:
        """Derivatives going forward, deltas going back."""
        design = self.schedule.design
        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        place(m, "multiplier", multiplier, platform)
        value, owner = self.activation, Cat(self.copy, self.layer + 1)
        if design.input_deltas:
            value = Mux(self.network_input_valid, self.network_input, value)
            of_input = Cat(self.network_input_copy, Const(0, len(owner) - len(self.copy)))
            owner = Mux(self.network_input_valid, of_input, owner)
        derivative, stored = self._derivatives(m)
        m.d.comb += [multiplier.a.eq(self.sum), multiplier.b.eq(derivative)]
        self._make_derivatives(m, value, owner, adder, multiplier, output, stored)
        valid = delay(m, self.sum_valid, multiplier.latency, "delta", reset=True)
        tag = data.View(
            result_tag(self.schedule), delay(m, self.sum_tag, multiplier.latency, "delta_tag")
        )
        vectors = result_vectors(self.schedule)
        layer = Array(n - 1 if unit == BACKPROPAGATION else 0 for unit, n in vectors)[tag.vector]
        m.d.comb += [
            self.delta.eq(Mux(error, adder.o, multiplier.o)),
            self.delta_valid.eq(error | (valid & (layer != 0))),
            self.input_delta_valid.eq(valid & (layer == 0)),
        ]
        with m.If(~error):
            m.d.comb += [self.delta_layer.eq(layer), self.delta_copy.eq(tag.copy)]

    def _make_derivatives(
        self,
        m: Module,
        value: Value,
        owner: Value,
        adder: Adder,
        multiplier: Multiplier,
        output: Value,
        stored: wiring.PureInterface,
    ) -> None:
        """The derivative of each hidden activation, by the kind of its layer's function.

        `owner` holds the activation's copy and, above it, its layer.
        """
        kinds = set(self._kinds().values())
        both = adder.latency + multiplier.latency
        later = delay(m, owner, both, "owner")
        m.d.comb += self.owner.eq(later)
        if kinds & {A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE}:
            with m.If(~output):
                m.d.comb += [adder.a.eq(ONE_WORD), adder.b.eq(_negative(value))]
        if COMPLEMENT_OF_SQUARE in kinds:
            there = self._there(m, COMPLEMENT_OF_SQUARE)
            with m.If(there):
                m.d.comb += [multiplier.a.eq(value), multiplier.b.eq(value)]
            with m.If(delay(m, there, multiplier.latency, "squared", reset=True)):
                m.d.comb += adder.b.eq(_negative(multiplier.o))
            with m.If(delay(m, there, both, "square_done", reset=True)):
                m.d.comb += [stored.en.eq(1), stored.data.eq(adder.o)]
        if A_TIMES_COMPLEMENT in kinds:
            there = self._there(m, A_TIMES_COMPLEMENT)
            waiting = delay(m, value, adder.latency, "activation")
            with m.If(delay(m, there, adder.latency, "complement", reset=True)):
                m.d.comb += [multiplier.a.eq(waiting), multiplier.b.eq(adder.o)]
            with m.If(delay(m, there, both, "product_done", reset=True)):
                m.d.comb += [stored.en.eq(1), stored.data.eq(multiplier.o)]
        # What is flushed counts as zero.
        magnitude = value[23:31] if self.schedule.design.subnormals == "flush" else value[:-1]
        for kind, word in ((STEP, Mux(magnitude.any(), ONE_WORD, 0)), (ONE, ONE_WORD)):
            if kind in kinds:
                with m.If(self._there(m, kind)):
                    m.d.comb += [stored.en.eq(1), stored.data.eq(word), self.owner.eq(owner)]

    def _kinds(self) -> dict[int, str]:
        """Kind of derivative of each layer of weights that needs one; -1 are the inputs."""
        names = self.schedule.design.activations
        found = {number: DERIVATIVES[name] for number, name in enumerate(names[:-1])}
        if self.schedule.design.input_deltas:
            found[-1] = DERIVATIVES[names[0]]
        return found

    def _there(self, m: Module, kind: str) -> Signal:
        """Whether there is an activation whose derivative is of that kind."""
        there = Signal(name=f"there_{list(DERIVATIVES.values()).index(kind)}")
        for number, other in self._kinds().items():
            if other == kind:
                valid = self.network_input_valid
                if number >= 0:
                    valid = self.valid & (self.layer == number)
                with m.If(valid):
                    m.d.comb += there.eq(1)
        return there

    def _derivatives(self, m: Module) -> tuple[Value, wiring.PureInterface]:
        """Memory of the derivatives: the word for the next backward sum, and the write port."""
        design, copies = self.schedule.design, self.schedule.copies
        vectors = result_vectors(self.schedule)
        layers = [n - 1 for unit, n in vectors if unit == BACKPROPAGATION]
        first, words = {}, 0
        for layer in layers:
            first[layer], words = words, words + design.layers[layer]
        m.submodules.derivatives = file = memory.Memory(
            shape=32, depth=depth(words, copies), init=[]
        )
        m.submodules.walker = walker = VectorWalker(design.layers[:-1])
        write, read = file.write_port(), file.read_port()
        self.owner = Signal(len(self.copy) + len(self.layer) + 1)
        copy, layer = self.owner[: len(self.copy)], self.owner[len(self.copy) :]
        number = walker.vector
        new, old = Signal(below(words)), Signal(below(words))
        starts = [first[n - 1] if unit == BACKPROPAGATION else 0 for unit, n in vectors]
        m.d.comb += [
            walker.step.eq(write.en),
            number.eq(layer),
            new.eq(
                Array(first.get(n, 0) for n in range(len(design.layers)))[number] + walker.offset
            ),
            old.eq(Array(starts)[self.next_tag.vector] + self.next_index),
            write.addr.eq(address(new, copy, words, copies)),
            read.addr.eq(address(old, self.next_tag.copy, words, copies)),
        ]
        return read.data, write


def _negative(value: Value) -> Value:
    return Cat(value[:-1], ~value[-1])
