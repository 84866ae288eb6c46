"""The core: the whole machine, but for the source of the training vectors.

Of a machine of several groups of layers (hw.pipeline) there is a core for each.
"""

from amaranth.hdl import Const, DomainRenamer, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.array import NeuronArray
from hw.backpropagation import ONE_WORD, BackpropagationUnit
from hw.bias import BiasBank
from hw.buffer import InputMemory, TrainingBuffer
from hw.delay import delay
from hw.design import Design
from hw.forward import ForwardUnit
from hw.gradient_descent import GradientDescentUnit
from hw.initializer import WeightInitializer
from hw.lanes import LaneArray
from hw.loading import load
from hw.loss import LossUnit
from hw.schedule import Schedule
from hw.sequencer import Sequencer, run_ports
from hw.unified import UnifiedMemory
from hw.vectors import VectorStore
from hw.verilog import place


class WeightAddress:
    """How the weight port's address is put together: word in the low bits, bank above.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    word_bits, bank_bits : widths of the two.
    """

    def __init__(self, design: Design) -> None:
        words = max(2, design.bank_words, design.bias_words)
        self.word_bits = (words - 1).bit_length()
        self.bank_bits = (design.processing_elements + design.lanes - 1).bit_length()

    def encode(self, bank: int, word: int) -> int:
        """Address of `word` in `bank`; bank P is the bias bank."""
        return bank << self.word_bits | word


class Core(wiring.Component):
    """Trains the network on a stream of samples by exact stochastic gradient descent.

    Clocks per iteration: `schedule.clocks_per_iteration`.

    Parameters
    ----------
    schedule : from hw.schedule.make_schedule.

    Members
    -------
    start : begin a run, while not `busy`.
    samples : how many samples to train on; read with `start`.
    infer : with `start`: forward passes alone, no weight changes.
    batch : with `start`: samples of a batch; only if the design has batches. A last batch may be
        short.
    stop : end the run with the sample, or the batch, in progress.
    rate : with `start`: learning rate / batch size, FP32.
    halve_every : samples from one halving of the rate to the next, at the start of a batch; 0 for
        never. To be held during a run.
    floor : least rate / batch size. To be held during a run.
    age : with `start`: samples for which the rate has been in use before.
    busy : from the clock after `start` until all weights are written.
    done : a run has ended since the last start.
    loaded : a sample is ready, so that a run would begin without waiting.
    clocks : clocks for which the core has been busy, of this run or the last.
    trained : samples that this run has begun.
    stalls : clocks for which this run has waited for samples.
    i : stream of training vectors, sample after sample: `Design.record_words` words each.
    released : the place of a vector in the buffer has become free.
    prediction, prediction_valid : the outputs of each sample's forward pass.
    input_delta, input_delta_valid : deltas of the inputs, if the design has them.
    loss, loss_valid : of each sample, if the design has it: before the outputs of the next one, and
        while `busy`.
    weight_address, weight_write, weight_data : write port of weights, while not busy.
    weight : word at the address of `Latencies.weight_port` clocks before, while not busy: 2, but
        for designs with `broadcast_stages`.
    initialize : make initial weights, while not busy, if the design can: see WeightInitializer. A
        start while `initializing` is ignored, and so is the weight port.
    seed : of the initial weights, 32 bits; read with `initialize`.
    initializing : from the clock after `initialize` until all weights are written.

    Of a group, in place of `i` and the predictions:

    input, input_valid, input_derivative, input_derivative_valid : activations of the group below
        and their derivatives, in the order of neurons and samples; but in the first group.
    ends : no other one will come from below; but in the first group.
    takes, wanted : a sample begins; the run goes on with another one.
    output, output_valid, derivative, derivative_valid : likewise, for the group above; but in the
        last group.
    delta, delta_valid : of these neurons, from above.
    room : the group above can take another sample.
    label, label_valid : labels: out of the first group, into the last.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.address = WeightAddress(self.design)
        ports = {
            **run_ports(self.design),
            "busy": Out(1),
            "done": Out(1),
            "loaded": Out(1),
            "clocks": Out(64),
            "trained": Out(32),
            "stalls": Out(64),
            **self._stage_ports(self.design),
            "weight_address": In(self.address.bank_bits + self.address.word_bits),
            "weight_write": In(1),
            "weight_data": In(32),
            "weight": Out(32),
        }
        if self.design.input_deltas:
            ports |= {"input_delta": Out(32), "input_delta_valid": Out(1)}
        if self.design.loss:
            ports |= {"loss": Out(32), "loss_valid": Out(1)}
        if self.design.seeded_weights:
            ports |= {"initialize": In(1), "seed": In(32), "initializing": Out(1)}
        super().__init__(ports)

    @staticmethod
    def _stage_ports(design: Design) -> dict[str, wiring.Member]:
        """Those that depend on where a group stands."""
        ports: dict[str, wiring.Member] = {}
        if design.first:
            ports |= {"i": In(stream.Signature(32)), "released": Out(1)}
        else:
            ports |= {
                "input": In(32),
                "input_valid": In(1),
                "input_derivative": In(32),
                "input_derivative_valid": In(1),
                "ends": In(1),
                "input_delta": Out(32),
                "input_delta_valid": Out(1),
            }
        if design.last:
            ports |= {"prediction": Out(32), "prediction_valid": Out(1)}
        else:
            ports |= {
                "output": Out(32),
                "output_valid": Out(1),
                "derivative": Out(32),
                "derivative_valid": Out(1),
                "delta": In(32),
                "delta_valid": In(1),
                "room": In(1),
            }
        if design.stage:
            ports |= {"wanted": Out(1), "takes": Out(1)}
        if design.first != design.last:
            flow = Out if design.first else In
            ports |= {"label": flow(32), "label_valid": flow(1)}
        return ports

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return self.design.name

    def elaborate(self, platform: object) -> Module:
        m = whole = Module()
        self.memory = UnifiedMemory(self.schedule) if self.design.unified else None
        #: Domain of what happens in every clock, also in those in which the machine waits.
        self.always = "always" if self.memory else "sync"
        if self.memory:
            whole = self._waiting(m, platform)
        self._place(m, whole, platform)
        self._run(m)
        load(m, self)
        self._broadcast(m)
        self._streams(m)
        self._weights(m, *self._initialize(m))
        return whole

    def _waiting(self, machine: Module, platform: object) -> Module:
        """The machine goes on when the memory of all weights says so.

        It is what it is with a bank for each PE, but works in cycles of one or several clocks.
        What goes out is there in the last clock of a cycle. The buffer is filled in any clock.
        """
        m = Module()
        waiting = EnableInserter(self.memory.enable)(machine)
        m.submodules.machine = DomainRenamer({self.always: "sync"})(waiting)
        place(m, "weight_memory", self.memory, platform)
        return m

    def _at_end(self, pulse: Value) -> Value:
        return pulse & self.memory.enable if self.memory else pulse

    def _until_end(self, m: Module, pulse: Signal) -> Value:
        """A pulse from outside, kept until the machine takes it."""
        if not self.memory:
            return pulse
        kept = Signal()
        m.d[self.always] += kept.eq((pulse | kept) & ~self.memory.enable)
        return pulse | kept

    def _place(self, m: Module, whole: Module, platform: object) -> None:
        design, schedule = self.design, self.schedule
        self.sequencer = Sequencer(schedule)
        self.array = LaneArray(schedule) if design.lanes > 1 else NeuronArray(schedule)
        self.forward = ForwardUnit(schedule)
        self.backpropagation = BackpropagationUnit(schedule)
        parts = {
            "sequencer": self.sequencer,
            "neurons": self.array,
            "forward": self.forward,
            "backpropagation": self.backpropagation,
        }
        if design.lanes == 1:
            parts["gradient_descent"] = self.gradient_descent = GradientDescentUnit(schedule)
        if design.first:
            parts["buffer"] = self.buffer = TrainingBuffer(schedule)
        else:
            self.input_derivatives = InputMemory(design.layers[0], schedule.input_copies)
            parts["input_derivatives"] = self.input_derivatives
        if design.last:
            parts["labels"] = self.labels = InputMemory(design.layers[-1], schedule.label_copies)
        elif design.lanes == 1:
            parts["deltas"] = self.deltas = InputMemory(design.layers[-1], schedule.delta_copies)
        if design.vectors.first:
            parts["vectors"] = self.store = VectorStore(schedule)
        if not design.activation_is_local(1):
            parts["inputs"] = self.inputs = InputMemory(design.layers[0], schedule.input_copies)
        if design.bias_words and design.lanes == 1:
            parts["biases"] = self.biases = BiasBank(schedule)
        if design.seeded_weights:
            parts["initializer"] = self.initializer = WeightInitializer(design)
        if design.loss:
            parts["losses"] = self.losses = LossUnit(design)
        enable = self.memory.enable if self.memory else None
        for name, component in parts.items():
            if name == "buffer":
                place(whole, name, component, platform)
            else:
                place(m, name, component, platform, enable=enable)

    def _run(self, m: Module) -> None:
        sequencer = self.sequencer
        start = self.start & ~self.initializing if self.design.seeded_weights else self.start
        was_busy = Signal()
        names = [name for name in run_ports(self.design) if name != "start"]
        ports = {name: getattr(self, name) for name in names}
        ports["stop"] = self._until_end(m, self.stop)
        m.d.comb += [getattr(sequencer, name).eq(value) for name, value in ports.items()]
        m.d.comb += [
            sequencer.start.eq(start),
            sequencer.loaded.eq(self.loaded),
            self.busy.eq(sequencer.busy),
        ]
        if self.design.stage:
            m.d.comb += [self.wanted.eq(sequencer.wanted), self.takes.eq(sequencer.take)]
        m.d.sync += was_busy.eq(self.busy)
        m.d[self.always] += self.clocks.eq(self.clocks + self.busy)
        m.d.sync += self.trained.eq(self.trained + sequencer.take)
        m.d[self.always] += self.stalls.eq(self.stalls + sequencer.waiting)
        with m.If(was_busy & ~self.busy):
            m.d.sync += self.done.eq(1)
        with m.If(start & ~self.busy):
            m.d.sync += self.done.eq(0)
            m.d[self.always] += self.clocks.eq(0)
            m.d.sync += self.trained.eq(0)
            m.d[self.always] += self.stalls.eq(0)

    def _broadcast(self, m: Module) -> None:
        """The operand that goes to all PEs; UPDATE's is scaled by the learning rate."""
        if self.design.lanes > 1:
            self._broadcast_to_lanes(m)
            return
        sequencer, scale = self.sequencer, self.gradient_descent
        other = Const(0, 32)
        if not self.design.activation_is_local(1):
            m.d.comb += [
                self.inputs.read_index.eq(sequencer.broadcast_address),
                self.inputs.read_copy.eq(sequencer.copy),
            ]
            other = self.inputs.data
        if not self.design.last:
            m.d.comb += [
                self.deltas.read_index.eq(sequencer.broadcast_address),
                self.deltas.read_copy.eq(sequencer.copy),
            ]
            from_above = delay(m, sequencer.broadcast_delta, 1, "broadcast_delta")
            other = Mux(from_above, self.deltas.data, other)
        other = Mux(delay(m, sequencer.broadcast_one, 1, "broadcast_one"), ONE_WORD, other)
        update = sequencer.control.update & sequencer.control.valid
        operand = other
        if self.design.vectors.first:
            stored = ~sequencer.broadcast_one & ~sequencer.broadcast_input
            if not self.design.last:
                stored &= ~sequencer.broadcast_delta
            operand = Mux(delay(m, stored, 1, "stored"), self.store.data, other)
            m.d.comb += [
                self.store.read_address.eq(sequencer.broadcast_address),
                self.store.read_copy.eq(sequencer.copy),
            ]
        other = Mux(delay(m, update, 1, "update"), scale.o, other)
        if self.design.vectors.first:
            # What has only now been computed comes last into the multiplexer.
            stored_alone = delay(m, stored & ~update, 1, "stored_alone")
            other = Mux(stored_alone, self.store.data, other)
        m.d.comb += [
            scale.step.eq(sequencer.step),
            scale.i.eq(operand),
            self.array.control.eq(sequencer.control),
            self.array.begins.eq(sequencer.begins & ~sequencer.updates),
            self.array.begins_tag.eq(sequencer.result),
            self.array.broadcast.eq(other),
        ]
        if self.design.input_deltas:
            derive = delay(m, sequencer.derive, 1, "derive", reset=True)
            m.d.comb += [
                self.backpropagation.network_input.eq(operand),
                self.backpropagation.network_input_valid.eq(derive),
                self.backpropagation.network_input_copy.eq(
                    delay(m, sequencer.copy, 1, "network_input_copy")
                ),
            ]
        if self.design.bias_words:
            address = sequencer.control.bias_address
            m.d.comb += [
                self.biases.update.eq(self._late(m, sequencer.bias_update, "update", reset=True)),
                self.biases.update_address.eq(self._late(m, address, "address")),
                self.biases.change.eq(self._late(m, scale.o, "change")),
                self.biases.carry_address.eq(self.array.carry_address),
                self.array.bias.eq(self.biases.data),
            ]
            if self.design.batch > 1:
                control = sequencer.control
                m.d.comb += [
                    self.biases.read_made.eq(self._late(m, control.read_made, "read_made")),
                    self.biases.write_made.eq(self._late(m, control.write_made, "write_made")),
                ]

    def _broadcast_to_lanes(self, m: Module) -> None:
        """Each lane has the deltas of its own neurons."""
        sequencer, array = self.sequencer, self.array
        m.d.comb += [
            array.control.eq(sequencer.control),
            array.begins.eq(sequencer.begins & ~sequencer.updates),
            array.begins_tag.eq(sequencer.result),
            array.bias_update.eq(sequencer.bias_update),
            array.step.eq(sequencer.step),
            array.delta_read_address.eq(sequencer.broadcast_address),
            array.delta_read_copy.eq(sequencer.copy),
        ]

    def _late(self, m: Module, value: Value, name: str, *, reset: bool = False) -> Value:
        """`value`, for the bias bank, which goes by the time of the PEs."""
        clocks = self.schedule.latencies.broadcast
        return delay(m, value, clocks, f"bias_{name}", reset=reset)

    def _streams(self, m: Module) -> None:
        """From the array's output through the units and back to its inputs."""
        array, forward, back = self.array, self.forward, self.backpropagation
        output = forward.layer == len(self.design.activations) - 1
        hidden = forward.valid & ~output
        layers = len(self.design.activations)
        backward = array.result_tag.vector >= layers
        m.d.comb += [
            forward.sum.eq(array.result),
            forward.sum_valid.eq(array.result_valid & ~backward),
            forward.sum_layer.eq(array.result_tag.vector),
            forward.sum_copy.eq(array.result_tag.copy),
            back.activation.eq(forward.activation),
            back.valid.eq(forward.valid),
            back.layer.eq(forward.layer),
            back.copy.eq(forward.copy),
            back.sum.eq(array.result),
            back.sum_valid.eq(array.result_valid & backward),
            back.sum_tag.eq(array.result_tag),
            back.next_index.eq(array.next_index),
            back.next_tag.eq(array.next_tag),
        ]
        if self.design.vectors.first:
            store = self.store
            m.d.comb += [
                store.valid.eq(hidden | back.delta_valid),
                store.vector.eq(Mux(hidden, forward.activation, back.delta)),
                # The order of `stored_vectors`.
                store.number.eq(Mux(hidden, forward.layer, back.delta_layer + (layers - 2))),
                store.copy.eq(Mux(hidden, forward.copy, back.delta_copy)),
            ]
        if self.design.last:
            m.d.comb += [
                back.label.eq(self.labels.data),
                self.labels.read_index.eq(back.label_address),
                self.labels.read_copy.eq(back.label_copy),
                self.prediction.eq(forward.activation),
                self.prediction_valid.eq(self._at_end(forward.valid & output)),
            ]
        else:
            m.d.comb += [
                self.output.eq(forward.activation),
                self.output_valid.eq(forward.valid & output),
                self.derivative.eq(back.derivative),
                self.derivative_valid.eq(back.derivative_valid),
            ]
        if self.design.propagates_to_inputs:
            m.d.comb += [
                self.input_delta.eq(back.delta),
                self.input_delta_valid.eq(self._at_end(back.input_delta_valid)),
            ]
        if self.design.loss:
            m.d.comb += [
                self.losses.error.eq(back.error),
                self.losses.error_valid.eq(back.error_valid),
                self.loss.eq(self.losses.loss),
                self.loss_valid.eq(self._at_end(self.losses.loss_valid)),
            ]
        if self.design.vectors.register_words:
            m.d.comb += [
                array.register_write.eq(store.register_write),
                array.register_lane.eq(store.lane),
                array.register_address.eq(store.register_address),
                array.vector.eq(store.vector),
            ]

    def _initialize(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """What is written to which bank and word, by the host or by the initializer in its place.

        The initializer is a second host: the core must be as idle as for the first.
        """
        word = self.weight_address[: self.address.word_bits]
        bank = self.weight_address[self.address.word_bits :]
        host = (self.weight_write, bank, word, self.weight_data)
        if not self.design.seeded_weights:
            return host
        own = self.initializer
        m.d.comb += [
            own.initialize.eq(self.initialize & ~self.start & ~self.busy),
            own.seed.eq(self.seed),
            self.initializing.eq(own.initializing),
        ]
        pairs = zip((own.write, own.bank, own.word, own.data), host, strict=True)
        return tuple(Mux(own.initializing, ours, theirs) for ours, theirs in pairs)

    def _weights(self, m: Module, write: Value, bank: Value, word: Value, data: Value) -> None:
        """The weight port reaches the banks while the array does not need them."""
        array = self.array
        banks = self.memory or array
        m.d.comb += [
            banks.host.eq(~self.busy),
            banks.host_write.eq(write),
            banks.host_bank.eq(bank),
            banks.host_address.eq(word),
            banks.host_data.eq(data),
            self.weight.eq(banks.host_read),
        ]
        if self.memory:
            m.d.comb += [
                self.memory.read.eq(array.control.valid),
                self.memory.read_address.eq(array.read_address),
                self.memory.read_count.eq(array.control.active),
                array.weights.eq(self.memory.weights),
                self.memory.write_next.eq(array.write_next),
                self.memory.write_count.eq(array.write_count),
                self.memory.write_address.eq(array.write_address),
                self.memory.sums.eq(array.sums),
            ]
        if self.design.bias_words and self.design.lanes == 1:
            here = bank == self.design.processing_elements
            lat = self.schedule.latencies
            bias = delay(m, self.biases.data, lat.weight_port - lat.broadcast - 1, "bias")
            from_bias = delay(m, here, lat.weight_port, "bias_bank")
            m.d.comb += [
                self.biases.host.eq(self._late(m, ~self.busy, "host")),
                self.biases.host_write.eq(self._late(m, write & here, "write", reset=True)),
                self.biases.host_address.eq(self._late(m, word, "host_address")),
                self.biases.host_data.eq(self._late(m, data, "host_data")),
                self.weight.eq(Mux(from_bias, bias, banks.host_read)),
            ]
