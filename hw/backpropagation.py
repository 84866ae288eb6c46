"""The backpropagation unit: from activations and backward sums to deltas."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.fp.adder import Adder
from hw.fp.format import BINARY32
from hw.fp.multiplier import Multiplier
from hw.schedule import BACKPROPAGATION, Schedule
from hw.shape import below
from hw.verilog import place
from hw.walker import VectorWalker


class BackpropagationUnit(wiring.Component):
    """Output error a - y, derivatives a(1 - a), and deltas: their products with backward sums.

    The paper's equation 2. One adder makes a - y of outputs and 1 - a of hidden activations; one
    multiplier makes a(1 - a) going forward and the delta going back. The derivatives wait in a
    memory of their own.

    Latencies: output delta, the adder's; other deltas, the multiplier's.

    Members
    -------
    activation, hidden_valid, output_valid : from the forward unit.
    network_input, network_input_valid : an input of the network, if its delta is wanted.
    label_address, label : label memory's word, and the address that asks for it a clock before.
    sum, sum_valid : a backward sum, W^T delta.
    delta : the delta of a neuron (or of an input of the network, if wanted).
    delta_valid, input_delta_valid : which of the two it is.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        super().__init__(
            {
                "activation": In(32),
                "hidden_valid": In(1),
                "output_valid": In(1),
                "network_input": In(32),
                "network_input_valid": In(1),
                "label_address": Out(below(schedule.design.layers[-1])),
                "label": In(32),
                "sum": In(32),
                "sum_valid": In(1),
                "delta": Out(32),
                "delta_valid": Out(1),
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
        m.submodules.labels = labels = VectorWalker([design.layers[-1]], [0])
        m.d.comb += [labels.step.eq(self.output_valid), self.label_address.eq(labels.next_address)]

        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        place(m, "adder", adder, platform)
        hidden, value = self.hidden_valid, self.activation
        if design.input_deltas:
            hidden, value = (
                hidden | self.network_input_valid,
                Mux(self.network_input_valid, self.network_input, value),
            )
        one = BINARY32.bias << BINARY32.fraction_bits
        m.d.comb += [
            adder.a.eq(Mux(hidden, one, value)),
            adder.b.eq(_negative(Mux(hidden, value, self.label))),
        ]
        error = delay(m, self.output_valid, adder.latency, "error", reset=True)
        m.d.comb += [self.delta.eq(adder.o), self.delta_valid.eq(error)]
        if any(op.unit == BACKPROPAGATION for op in self.schedule.operations):
            value = delay(m, value, adder.latency, "activation")
            hidden = delay(m, hidden, adder.latency, "hidden", reset=True)
            self._chain_rule(m, platform, value, adder.o, hidden, error)
        return m

    def _chain_rule(
        self,
        m: Module,
        platform: object,
        activation: Value,
        complement: Value,
        hidden: Value,
        error: Value,
    ) -> None:
        """Derivatives going forward, deltas going back."""
        design = self.schedule.design
        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        place(m, "multiplier", multiplier, platform)
        derivative = self._derivatives(m, multiplier, hidden)
        m.d.comb += [
            multiplier.a.eq(Mux(self.sum_valid, self.sum, activation)),
            multiplier.b.eq(Mux(self.sum_valid, derivative, complement)),
        ]
        valid = delay(m, self.sum_valid, multiplier.latency, "delta", reset=True)
        last = delay(m, self.for_inputs & self.sum_valid, multiplier.latency, "input_delta")
        m.d.comb += [
            self.delta.eq(Mux(error, complement, multiplier.o)),
            self.delta_valid.eq(error | (valid & ~last)),
            self.input_delta_valid.eq(valid & last),
        ]

    def _derivatives(self, m: Module, multiplier: Multiplier, hidden: Value) -> Value:
        """Memory of the derivatives; the word for the next backward sum."""
        design = self.schedule.design
        numbers = [
            op.layer.number - 1 for op in self.schedule.operations if op.unit == BACKPROPAGATION
        ]
        first, words = {}, 0
        for number in sorted(numbers):
            first[number], words = words, words + design.layers[number]
        lengths = [design.layers[number] for number in numbers]
        m.submodules.derivatives = file = memory.Memory(shape=32, depth=len(below(words)), init=[])
        m.submodules.going_forward = ahead = VectorWalker([words], [0])
        m.submodules.going_back = back = VectorWalker(lengths, [first[n] for n in numbers])
        write, read = file.write_port(), file.read_port()
        stored = delay(m, hidden, multiplier.latency, "derivative", reset=True)
        self.for_inputs = Signal()
        m.d.comb += [
            ahead.step.eq(stored),
            write.en.eq(stored),
            write.addr.eq(ahead.address),
            write.data.eq(multiplier.o),
            back.step.eq(self.sum_valid),
            read.addr.eq(back.next_address),
            self.for_inputs.eq((back.vector == len(numbers) - 1) if design.input_deltas else 0),
        ]
        return read.data


def _negative(value: Value) -> Value:
    return Cat(value[:-1], ~value[-1])
