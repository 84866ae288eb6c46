"""The machine of several groups of layers: a core for each, and what passes between them."""

import dataclasses
import itertools

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.core import Core, WeightAddress
from hw.delay import delay
from hw.groups import GroupedDesign
from hw.schedule import Schedule, make_schedule
from hw.sequencer import run_ports
from hw.verilog import place

# Clocks that an element takes from one group to another.
HANDOVER = 1


@dataclasses.dataclass(frozen=True, eq=False)
class GroupedSchedule:
    """The programs of a machine of several groups.

    Members
    -------
    design : what it is for.
    groups : schedule of each group.
    """

    design: GroupedDesign
    groups: tuple[Schedule, ...]

    @property
    def weight_port(self) -> int:
        """Clocks from the weight port's address to the word."""
        return max(group.latencies.weight_port for group in self.groups) + 1


def make_grouped_schedule(design: GroupedDesign) -> GroupedSchedule:
    """The programs of `design`, deterministic."""
    groups = [make_schedule(each) for each in design.designs]
    ahead = sum(group.ahead for group in groups[1:])
    groups[-1] = dataclasses.replace(groups[-1], labels_ahead=ahead)
    return GroupedSchedule(design, tuple(groups))


class GroupedWeightAddress:
    """How the weight port's address is put together: word, bank and above it the group.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    inner_bits, group_bits : widths of what is the group's, and of its number.
    """

    def __init__(self, design: GroupedDesign) -> None:
        self._ports = [WeightAddress(each) for each in design.designs]
        self.inner_bits = max(port.word_bits + port.bank_bits for port in self._ports)
        self.group_bits = (len(self._ports) - 1).bit_length()

    def encode(self, group: int, bank: int, word: int) -> int:
        """Address of `word` in `bank` of `group`; bank P is its bias bank."""
        return group << self.inner_bits | self._ports[group].encode(bank, word)


class Pipeline(wiring.Component):
    """Trains the network on a stream of samples, each group of layers on another sample at once.

    Parameters
    ----------
    schedule : from make_grouped_schedule.

    Members
    -------
    start, samples, infer, batch, stop, rate, halve_every, floor, age : see hw.core.Core.
    busy, done, loaded, clocks, trained, stalls : see there; `trained` and `stalls` are those of the
        first group, whose waiting may be for samples or for the group above.
    i, released, prediction, prediction_valid : see there.
    weight_address, weight_write, weight_data, weight : see there; GroupedWeightAddress, and
        GroupedSchedule.weight_port clocks to the word.
    """

    clocked = True

    def __init__(self, schedule: GroupedSchedule) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.address = GroupedWeightAddress(self.design)
        super().__init__(
            {
                **run_ports(self.design),
                "busy": Out(1),
                "done": Out(1),
                "loaded": Out(1),
                "clocks": Out(64),
                "trained": Out(32),
                "stalls": Out(64),
                "i": In(stream.Signature(32)),
                "released": Out(1),
                "prediction": Out(32),
                "prediction_valid": Out(1),
                "weight_address": In(self.address.inner_bits + self.address.group_bits),
                "weight_write": In(1),
                "weight_data": In(32),
                "weight": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return self.design.name

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self.cores = [Core(schedule) for schedule in self.schedule.groups]
        for number, core in enumerate(self.cores):
            place(m, f"group_{number}", core, platform)
            for name in run_ports(self.design):
                m.d.comb += getattr(core, name).eq(getattr(self, name))
            m.d.comb += core.start.eq(self.start & ~self.busy)
        first, last = self.cores[0], self.cores[-1]
        wiring.connect(m, wiring.flipped(self.i), first.i)
        m.d.comb += [
            self.released.eq(first.released),
            self.loaded.eq(first.loaded),
            self.trained.eq(first.trained),
            self.stalls.eq(first.stalls),
            self.prediction.eq(last.prediction),
            self.prediction_valid.eq(last.prediction_valid),
        ]
        self._run(m)
        for number, (lower, upper) in enumerate(itertools.pairwise(self.cores)):
            self._join(m, lower, upper, number)
        if len(self.cores) > 1:
            self._hand(m, (first.label, first.label_valid), (last.label, last.label_valid), "label")
        self._weights(m)
        return m

    def _run(self, m: Module) -> None:
        """Busy as long as any group is."""
        was_busy = Signal()
        m.d.comb += self.busy.eq(Cat(core.busy for core in self.cores).any())
        m.d.sync += [was_busy.eq(self.busy), self.clocks.eq(self.clocks + self.busy)]
        with m.If(was_busy & ~self.busy):
            m.d.sync += self.done.eq(1)
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.done.eq(0), self.clocks.eq(0)]

    def _join(self, m: Module, lower: Core, upper: Core, number: int) -> None:
        """Activations and derivatives up, deltas down; how far the lower group is ahead."""
        for there, here, name in (
            ((lower.output, lower.output_valid), (upper.input, upper.input_valid), "activation"),
            (
                (lower.derivative, lower.derivative_valid),
                (upper.input_derivative, upper.input_derivative_valid),
                "derivative",
            ),
            (
                (upper.input_delta, upper.input_delta_valid),
                (lower.delta, lower.delta_valid),
                "delta",
            ),
        ):
            self._hand(m, there, here, f"{name}_{number}")
        limit = upper.schedule.ahead
        ahead = Signal(range(limit + 1), name=f"ahead_{number}")
        m.d.sync += ahead.eq(ahead + lower.takes - upper.takes)
        m.d.comb += [
            lower.room.eq(ahead != limit),
            upper.ends.eq(~lower.wanted & (ahead == 0)),
        ]

    def _hand(
        self, m: Module, there: tuple[Value, Value], here: tuple[Value, Value], name: str
    ) -> None:
        """A word and its valid signal go from one group to another."""
        m.d.comb += [
            here[0].eq(delay(m, there[0], HANDOVER, name)),
            here[1].eq(delay(m, there[1], HANDOVER, f"{name}_valid", reset=True)),
        ]

    def _weights(self, m: Module) -> None:
        """The weight port goes to the group that its address names, a clock later."""
        inner = self.address.inner_bits
        address = delay(m, self.weight_address, 1, "weight_address")
        write = delay(m, self.weight_write, 1, "weight_write", reset=True)
        data = delay(m, self.weight_data, 1, "weight_data")
        words = []
        for number, core in enumerate(self.cores):
            here = address[inner:] == number
            own = core.schedule.latencies.weight_port
            m.d.comb += [
                core.weight_address.eq(address[:inner]),
                core.weight_write.eq(write & here),
                core.weight_data.eq(data),
            ]
            late = self.schedule.weight_port - 1 - own
            words.append(delay(m, core.weight, late, f"weight_{number}"))
        word = words[0]
        if len(words) > 1:
            group = delay(m, address[inner:], self.schedule.weight_port - 1, "weight_group")
            word = Array(words)[group]
        m.d.comb += self.weight.eq(word)
