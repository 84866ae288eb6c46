"""The backpropagation unit: from activations and backward sums to deltas."""

from typing import NamedTuple

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

    Of several groups of layers only the last one has labels. The others hand on the derivatives of
    their last layer with its activations; it is the group above that makes deltas of them.

    Latencies: output delta, the adder's; other deltas, the multiplier's.

    Members
    -------
    activation, valid, layer, copy : from the forward unit.
    network_input, network_input_valid, network_input_copy : an input of the network, if its delta
        is wanted.
    label_address, label_copy, label : label memory's word, and the address that asks for it a clock
        before; in the last group.
    derivative, derivative_valid : of an activation of the last layer; in the other groups.
    input_derivative_address, input_derivative_copy, input_derivative : derivative of an activation
        of the group below, and the address that asks for it a clock before; but in the first group.
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
        self.computed = not {A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE}.isdisjoint(
            self._kinds().values()
        )
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
                **self._stage_ports(schedule),
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

    @staticmethod
    def _stage_ports(schedule: Schedule) -> dict[str, wiring.Member]:
        """Those that depend on where the group stands."""
        design, ports = schedule.design, {}
        if design.last:
            ports |= {
                "label_address": Out(below(design.layers[-1])),
                "label_copy": Out(below(schedule.label_copies)),
                "label": In(32),
            }
        else:
            ports |= {"derivative": Out(32), "derivative_valid": Out(1)}
        if not design.first:
            ports |= {
                "input_derivative_address": Out(below(design.layers[0])),
                "input_derivative_copy": Out(below(schedule.input_copies)),
                "input_derivative": In(32),
            }
        return ports

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_backpropagation_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.schedule.design
        output = Signal()
        if design.last:
            m.d.comb += output.eq(self.valid & (self.layer == len(design.activations) - 1))
            self._labels(m, output)

        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        if design.last or self.computed:
            place(m, "adder", adder, platform)
        error = Const(0, 1)
        if design.last:
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
        if self.hidden or not design.last:
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
        if self.hidden or self.computed:
            place(m, "multiplier", multiplier, platform)
        value, owner = self.activation, Cat(self.copy, self.layer + 1)
        if design.input_deltas:
            value = Mux(self.network_input_valid, self.network_input, value)
            of_input = Cat(self.network_input_copy, Const(0, len(owner) - len(self.copy)))
            owner = Mux(self.network_input_valid, of_input, owner)
        self.owner = Signal(len(self.copy) + len(self.layer) + 1)
        derivative, stored = self._derivatives(m)
        if self.hidden:
            m.d.comb += [multiplier.a.eq(self.sum), multiplier.b.eq(derivative)]
        self._make_derivatives(m, value, owner, adder, multiplier, output, stored)
        if self.hidden:
            self._deltas(m, adder, multiplier, error)

    def _deltas(self, m: Module, adder: Adder, multiplier: Multiplier, error: Value) -> None:
        """What leaves the multiplier is a delta, or the adder's error is."""
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
        stored: "_Made",
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
        handed = names[:-1] if self.schedule.design.last else names
        found = {number: DERIVATIVES[name] for number, name in enumerate(handed)}
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

    def _derivatives(self, m: Module) -> tuple[Value, "_Made"]:
        """The derivative for the next backward sum, and where new ones go."""
        design = self.schedule.design
        vectors = result_vectors(self.schedule)
        layers = [n - 1 for unit, n in vectors if unit == BACKPROPAGATION]
        if not design.first:
            layers.remove(0)
        if design.last:
            word, made = self._memory(m, layers)
        else:
            made = _Made(Signal(name="made"), Signal(32, name="made_word"))
            top = self.owner[len(self.copy) :] == len(design.activations)
            word = Const(0, 32)
            if layers:
                word, stored = self._memory(m, layers)
                m.d.comb += [stored.en.eq(made.en & ~top), stored.data.eq(made.data)]
            m.d.comb += [
                self.derivative.eq(made.data),
                self.derivative_valid.eq(made.en & top),
            ]
        if design.first:
            return word, made
        m.d.comb += [
            self.input_derivative_address.eq(self.next_index),
            self.input_derivative_copy.eq(self.next_tag.copy),
        ]
        of_input = Array((unit, n) == (BACKPROPAGATION, 1) for unit, n in vectors)
        here = delay(m, of_input[self.next_tag.vector], 1, "of_input")
        return Mux(here, self.input_derivative, word), made

    def _memory(self, m: Module, layers: list[int]) -> tuple[Value, "_Made"]:
        """Memory of the derivatives of some layers: the word for the next sum, the write port."""
        design, copies = self.schedule.design, self.schedule.copies
        vectors = result_vectors(self.schedule)
        if not layers:
            return Const(0, 32), _Made(Signal(name="made"), Signal(32, name="made_word"))
        first, words = {}, 0
        for layer in layers:
            first[layer], words = words, words + design.layers[layer]
        m.submodules.derivatives = file = memory.Memory(
            shape=32, depth=depth(words, copies), init=[]
        )
        m.submodules.walker = walker = VectorWalker(design.layers[:-1])
        write, read = file.write_port(), file.read_port()
        copy, layer = self.owner[: len(self.copy)], self.owner[len(self.copy) :]
        number = walker.vector
        new, old = Signal(below(words)), Signal(below(words))
        starts = [first.get(n - 1, 0) if unit == BACKPROPAGATION else 0 for unit, n in vectors]
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
        return read.data, _Made(write.en, write.data)


class _Made(NamedTuple):
    """Where derivatives go that have been made: valid, and the word."""

    en: Value
    data: Value


def _negative(value: Value) -> Value:
    return Cat(value[:-1], ~value[-1])
