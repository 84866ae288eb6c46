"""The biases of column-mapped layers."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.copies import depth
from hw.delay import delay
from hw.fp.adder import Adder
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place


class BiasBank(wiring.Component):
    """Gives REDUCE the biases as its carried values, and updates them.

    A row-mapped layer has its biases in the PEs; a column-mapped one has no PE of its own for
    them. Updating takes one clock for each bias, 1 + adder latency later it is written.

    Members
    -------
    carry_address : word that the array wants in the next clock.
    update, update_address : update the word; the change comes in the next clock.
    read_made, write_made : take it from, and leave it among, the biases in the making; only with
        batches.
    change : what to add.
    data : the word of the clock before.
    host, host_write, host_address, host_data : the weight port, used while idle.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        address = below(schedule.design.bias_words)
        batches = schedule.design.batch > 1
        super().__init__(
            {
                **({"read_made": In(1), "write_made": In(1)} if batches else {}),
                "carry_address": In(address),
                "update": In(1),
                "update_address": In(address),
                "change": In(32),
                "data": Out(32),
                "host": In(1),
                "host_write": In(1),
                "host_address": In(address),
                "host_data": In(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_bias_bank"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.schedule.design
        halves = 2 if design.batch > 1 else 1
        words = depth(design.bias_words, halves)
        m.submodules.bank = bank = memory.Memory(shape=32, depth=words, init=[])
        read, write = bank.read_port(), bank.write_port()
        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        place(m, "adder", adder, platform)
        # The bias waits for the change, which is there a clock after the update is asked for.
        latency = 1 + adder.latency
        updated = delay(m, self.update, latency, "update", reset=True)
        read_word = write_word = self.update_address
        if design.batch > 1:
            read_word = Cat(self.update_address, self.read_made)
            write_word = Cat(self.update_address, self.write_made)
        address = delay(m, write_word, latency, "update_address")
        inside = Mux(self.update, read_word, self.carry_address)
        m.d.comb += [
            read.addr.eq(Mux(self.host, self.host_address, inside)),
            self.data.eq(read.data),
            adder.a.eq(read.data),
            adder.b.eq(self.change),
            write.en.eq(Mux(self.host, self.host_write, updated)),
            write.addr.eq(Mux(self.host, self.host_address, address)),
            write.data.eq(Mux(self.host, self.host_data, adder.o)),
        ]
        return m
