"""One memory for the weights of all processing elements."""

import itertools

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.control import active_counts
from hw.copies import depth
from hw.pe import bank_shape
from hw.schedule import Schedule
from hw.shape import below


def unified_words(schedule: Schedule) -> int:
    """Words of the memory: those of all PEs, PE after PE."""
    design = schedule.design
    return design.processing_elements * depth(design.bank_words, 2 if design.batch > 1 else 1)


class UnifiedMemory(wiring.Component):
    """Takes the place of the PEs' weight banks, with the ports of one: a word read and a word
    written a clock.

    The machine waits for it (`enable`): what it does in a clock with a bank for each PE, a machine
    cycle, takes as many clocks as it has words to read or to write, one at least. Both go on at
    the same time, down to PE 0. The first word is asked for in the last clock of the cycle before;
    words that arrive move up a rank of registers, so that each is before its PE in the end. The new
    weights are taken from the adders, which hold still.

    Unlike in a bank, what is written in a cycle is read by a slot of the same cycle; what is
    written in the next one is not, if at the same address always the same number of words is read
    and written.

    Members
    -------
    enable : the machine cycle ends with this clock.
    read, read_address, read_count : slot that needs the weights at an address, and index in
        `active_counts` of how many.
    weights : of the slot before, by PE.
    write_next, write_count : words will be written in the next machine cycle; index of how many.
    write_address, sums : their address, and the words by PE, in that cycle.
    host, host_write, host_bank, host_address, host_data : the weight port, used while idle.
    host_read : weight, 2 clocks after its address.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.pes = schedule.design.processing_elements
        address, count = bank_shape(schedule.design), below(len(active_counts(schedule)))
        words = data.ArrayLayout(32, self.pes)
        super().__init__(
            {
                "enable": Out(1, init=1),
                "read": In(1),
                "read_address": In(address),
                "read_count": In(count),
                "weights": Out(words),
                "write_next": In(1),
                "write_count": In(count),
                "write_address": In(address),
                "sums": In(words),
                "host": In(1),
                "host_write": In(1),
                "host_bank": In(range(self.pes + 1)),
                "host_address": In(below(schedule.design.bank_words)),
                "host_data": In(32),
                "host_read": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_memory"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = unified_words(self.schedule)
        m.submodules.memory = file = memory.Memory(shape=32, depth=words, init=[])
        #: From a PE's first word to the next one's.
        self.stride = words // self.pes
        self.first = Array(pe * self.stride for pe in range(self.pes))
        self.counts = active_counts(self.schedule)
        reading = self._read(m, file.read_port())
        writing = self._write(m, file.write_port())
        m.d.sync += self.enable.eq((reading == 0) & (writing <= 1))
        return m

    def _read(self, m: Module, port: wiring.PureInterface) -> Signal:
        """How many words will still have to be asked for in the next clock."""
        left, following = Signal(below(self.pes)), Signal(below(self.pes))
        later = Signal.like(port.addr)
        begins = self.enable & self.read
        top = Array((count - 1) * self.stride for count in self.counts)[self.read_count]
        address = Mux(left == 0, top + self.read_address, later)
        m.d.comb += [
            following.eq(Mux(left == 0, 0, left - 1)),
            port.en.eq(begins | (left != 0) | self.host),
            port.addr.eq(Mux(self.host, self.first[self.host_bank] + self.host_address, address)),
        ]
        with m.If(begins):
            m.d.comb += following.eq(Array(count - 1 for count in self.counts)[self.read_count])
        m.d.sync += [
            left.eq(following),
            later.eq(address - self.stride),
            self.host_read.eq(port.data),
        ]
        rank = [port.data, *(Signal(32, name=f"weight_{pe}") for pe in range(1, self.pes))]
        with m.If(left != 0):
            m.d.sync += [new.eq(old) for old, new in itertools.pairwise(rank)]
        m.d.comb += self.weights.eq(Cat(rank))
        return following

    def _write(self, m: Module, port: wiring.PureInterface) -> Signal:
        """How many words will still have to be written in the next clock."""
        most = range(max(3, self.pes + 1))
        left, following = Signal(most), Signal(most)
        pe, first = Signal(below(self.pes)), Signal.like(port.addr)
        top = Array(count - 1 for count in self.counts)[self.write_count]
        m.d.comb += following.eq(Mux(left == 0, 0, left - 1))
        m.d.sync += [left.eq(following), pe.eq(pe - 1), first.eq(first - self.stride)]
        with m.If(self.enable):
            m.d.comb += following.eq(Mux(self.write_next, top + 1, 0))
            m.d.sync += [
                pe.eq(top),
                first.eq(Array((n - 1) * self.stride for n in self.counts)[self.write_count]),
            ]
        sums = Array(self.sums[k] for k in range(self.pes))
        inside = self.host_bank != self.pes
        m.d.comb += [
            port.en.eq(Mux(self.host, self.host_write & inside, left != 0)),
            port.addr.eq(
                Mux(
                    self.host,
                    self.first[self.host_bank] + self.host_address,
                    first + self.write_address,
                )
            ),
            port.data.eq(Mux(self.host, self.host_data, sums[pe])),
        ]
        return following
