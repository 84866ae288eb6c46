"""An array in lanes, each with some of the layer's neurons: for a first group that is fast.

A column-mapped layer takes as many clocks as it has neurons, for each fold of its inputs. A wide
array has few folds, and what does not fill the last one is lost. In lanes the same PEs make more
folds, of fewer neurons; and the adder trees are less deep.
"""

import dataclasses

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.array import NeuronArray
from hw.bias import BiasBank
from hw.buffer import InputMemory
from hw.control import array_control, result_tag
from hw.copies import address_shape
from hw.delay import delay
from hw.gradient_descent import GradientDescentUnit
from hw.pe import input_words
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place


def _common_ports(schedule: Schedule) -> dict[str, wiring.Member]:
    """What goes to all lanes alike."""
    design = schedule.design
    return {
        "control": In(array_control(schedule)),
        "begins": In(1),
        "begins_tag": In(result_tag(schedule)),
        "bias_update": In(1),
        "step": In(32),
        "delta_read_address": In(below(design.weight_layers[-1].fold_length)),
        "delta_read_copy": In(below(schedule.delta_copies)),
        "input_write": In(1),
        "input_lane": In(below(design.lane_elements // design.loaded_at_once)),
        "input_address": In(address_shape(input_words(design), schedule.input_copies)),
        "network_input": In(32 * design.loaded_at_once),
        "delta": In(32),
        "delta_copy": In(below(schedule.delta_copies)),
        "host": In(1),
        "host_write": In(1),
        "host_address": In(below(max(design.bank_words, design.bias_words))),
        "host_data": In(32),
        "host_read": Out(32),
    }


class Lane(wiring.Component):
    """An array with its bias bank, and the deltas of its neurons, scaled by the learning rate.

    Parameters
    ----------
    schedule : of the machine.

    Members
    -------
    control, begins, begins_tag, input_write, input_lane, input_address, network_input, host,
    host_write, host_bank, host_address, host_data : see NeuronArray.
    bias_update, step : see Sequencer.
    delta_read_address, delta_read_copy : of the delta that UPDATE broadcasts.
    delta, delta_write, delta_index, delta_copy : a delta comes from the group above.
    host_bias, host_bias_write : the weight port is for the bias bank.
    result, result_valid : see NeuronArray.
    host_read : weight or bias, `Latencies.weight_port` - 1 clocks after its address.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.whole = schedule
        self.schedule = dataclasses.replace(schedule, design=schedule.design.lane)
        design = self.schedule.design
        super().__init__(
            {
                **_common_ports(schedule),
                "delta_write": In(1),
                "delta_index": In(below(design.layers[-1])),
                "host_bank": In(range(design.processing_elements + 1)),
                "host_bias": In(1),
                "host_bias_write": In(1),
                "result": Out(32),
                "result_valid": Out(1),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.whole.design.name}_lane"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, lat = self.schedule.design, self.schedule.latencies
        array = NeuronArray(self.schedule, inputs_at_once=self.whole.design.loaded_at_once)
        biases, scale = BiasBank(self.schedule), GradientDescentUnit(self.schedule)
        deltas = InputMemory(design.layers[-1], self.schedule.delta_copies)
        place(m, "neurons", array, platform)
        place(m, "biases", biases, platform)
        place(m, "gradient_descent", scale, platform)
        place(m, "deltas", deltas, platform)
        names = ("control", "begins", "begins_tag", "input_write", "input_lane", "input_address")
        names += ("network_input", "host", "host_write", "host_bank", "host_data")
        m.d.comb += [getattr(array, name).eq(getattr(self, name)) for name in names]
        m.d.comb += [
            array.host_address.eq(self.host_address),
            deltas.write.eq(self.delta_write),
            deltas.write_copy.eq(self.delta_copy),
            deltas.write_index.eq(self.delta_index),
            deltas.word.eq(self.delta),
            deltas.read_index.eq(self.delta_read_address),
            deltas.read_copy.eq(self.delta_read_copy),
            scale.step.eq(self.step),
            scale.i.eq(deltas.data),
            array.broadcast.eq(scale.o),
            self.result.eq(array.result),
            self.result_valid.eq(array.result_valid),
        ]

        def late(value: Value, name: str, *, reset: bool = False) -> Value:
            return delay(m, value, lat.broadcast, f"bias_{name}", reset=reset)

        made = ("read_made", "write_made") if design.batch > 1 else ()
        m.d.comb += [getattr(biases, each).eq(late(self.control[each], each)) for each in made]
        m.d.comb += [
            biases.update.eq(late(self.bias_update, "update", reset=True)),
            biases.update_address.eq(late(self.control.bias_address, "address")),
            biases.change.eq(late(scale.o, "change")),
            biases.carry_address.eq(array.carry_address),
            array.bias.eq(biases.data),
            biases.host.eq(late(self.host, "host")),
            biases.host_write.eq(late(self.host_bias_write, "write", reset=True)),
            biases.host_address.eq(late(self.host_address, "host_address")),
            biases.host_data.eq(late(self.host_data, "host_data")),
        ]
        port = lat.weight_port - 1
        bias = delay(m, biases.data, port - lat.broadcast - 1, "bias")
        from_bias = delay(m, self.host_bias, port, "bias_bank")
        m.d.comb += self.host_read.eq(Mux(from_bias, bias, array.host_read))
        return m


class LaneArray(wiring.Component):
    """The lanes, in lock step. Their results leave one a clock, those of lane 0 first.

    The members that are not those of all lanes:

    Members
    -------
    delta, delta_write, delta_index, delta_copy : a delta of the layer, in the order of its neurons.
    host_bank : of a PE, or P and more for the bias banks.
    delta_lane : whose it is.
    result, result_valid : a result.
    result_tag, next_tag, next_index : zero; there is but one vector, of forward passes.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        super().__init__(
            {
                **_common_ports(schedule),
                "delta_write": In(1),
                "delta_lane": In(below(design.lanes)),
                "delta_index": In(below(design.layers[-1] // design.lanes)),
                "host_bank": In(range(design.processing_elements + design.lanes)),
                "result": Out(32),
                "result_valid": Out(1),
                "result_tag": Out(result_tag(schedule)),
                "next_tag": Out(result_tag(schedule)),
                "next_index": Out(below(design.layers[-1])),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_lanes"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.schedule.design
        lanes = [Lane(self.schedule) for _ in range(design.lanes)]
        read = Signal(range(design.lanes))
        reads = []
        for number, lane in enumerate(lanes):
            place(m, f"lane_{number}", lane, platform)
            for name in _common_ports(self.schedule):
                if name not in ("host_write", "host_read"):
                    m.d.comb += getattr(lane, name).eq(getattr(self, name))
            first = number * design.lane_elements
            bias = self.host_bank == design.processing_elements + number
            here = self.host_bank < first + design.lane_elements
            if number:
                here &= self.host_bank >= first
            m.d.comb += [
                lane.delta_write.eq(self.delta_write & (self.delta_lane == number)),
                lane.delta_index.eq(self.delta_index),
                lane.host_bank.eq(self.host_bank - first),
                lane.host_write.eq(self.host_write & here),
                lane.host_bias.eq(bias),
                lane.host_bias_write.eq(self.host_write & bias),
            ]
            with m.If(here | bias):
                m.d.comb += read.eq(number)
            reads.append(lane.host_read)
        late = delay(m, read, self.schedule.latencies.weight_port - 1, "host_lane")
        m.d.sync += self.host_read.eq(Array(reads)[late])
        self._results(m, lanes)
        return m

    def _results(self, m: Module, lanes: list[Lane]) -> None:
        """A result of all lanes at once becomes a word; the words are read once for each lane."""
        design = self.schedule.design
        each = design.layers[-1] // design.lanes
        m.submodules.results = file = memory.Memory(shape=32 * len(lanes), depth=each, init=[])
        write, read = file.write_port(), file.read_port()
        valid = lanes[0].result_valid
        count, position, lane = Signal(below(each)), Signal(below(each)), Signal(below(len(lanes)))
        reading = Signal()
        last = position == each - 1
        m.d.comb += [
            write.en.eq(valid),
            write.addr.eq(count),
            write.data.eq(Cat(each.result for each in lanes)),
            read.addr.eq(position),
        ]
        with m.If(reading):
            m.d.sync += [position.eq(Mux(last, 0, position + 1)), lane.eq(lane + last)]
            with m.If(last & (lane == len(lanes) - 1)):
                m.d.sync += reading.eq(0)
        # The next sample's first results may come with the last ones of this.
        with m.If(valid):
            m.d.sync += count.eq(Mux(count == each - 1, 0, count + 1))
            with m.If(count == 0):
                m.d.sync += [reading.eq(1), position.eq(0), lane.eq(0)]
        chosen = Array(read.data.word_select(k, 32) for k in range(len(lanes)))
        m.d.sync += self.result.eq(chosen[delay(m, lane, 1, "result_lane")])
        m.d.comb += self.result_valid.eq(delay(m, reading, 2, "result_valid", reset=True))
