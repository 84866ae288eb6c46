"""Where the vectors of a sample wait: activations and deltas."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.copies import address, address_shape, depth
from hw.schedule import Schedule
from hw.shape import below
from hw.walker import VectorWalker


def stored_vectors(schedule: Schedule) -> list[tuple[str, int]]:
    """Keys of `design.vectors.first`, as the store numbers the vectors.

    Those of hidden activations are the layers' numbers, less 1; deltas follow in the same order.
    """
    layers = range(1, len(schedule.design.layers))
    keys = [*(("activation", n) for n in layers[:-1]), *(("delta", n) for n in layers)]
    return [key for key in keys if key in schedule.design.vectors.first]


class VectorStore(wiring.Component):
    """Keeps activations and deltas.

    Those that will be broadcast go to a memory (read latency 1 clock; what arrives in the clock in
    which it is asked for is passed on); the others to the register files of the PEs. There are as
    many copies as samples whose vectors are needed at once.

    Members
    -------
    vector, valid : the element.
    number : of its vector, in `stored_vectors`.
    copy : of its sample.
    register_write, lane, register_address : it goes to PE `lane`.
    read_address, read_copy, data : read port of the memory.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        places = design.vectors
        super().__init__(
            {
                "vector": In(32),
                "valid": In(1),
                "number": In(below(len(stored_vectors(schedule)))),
                "copy": In(below(schedule.copies)),
                "register_write": Out(1),
                "lane": Out(below(design.processing_elements)),
                "register_address": Out(address_shape(places.register_words, schedule.copies)),
                "read_address": In(below(places.memory_words)),
                "read_copy": In(below(schedule.copies)),
                "data": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_vector_store"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, places = self.schedule.design, self.schedule.design.vectors
        copies, vectors = self.schedule.copies, stored_vectors(self.schedule)
        local = [self._is_local(*key) for key in vectors]
        m.submodules.walker = walker = VectorWalker(
            lengths=[design.layers[number] for _, number in vectors],
            strides=[design.processing_elements if here else 1 for here in local],
        )
        here = Array(local)[self.number]
        word = Signal(below(max(places.register_words, places.memory_words)))
        registers, broadcast = places.register_words, places.memory_words
        m.d.comb += [
            walker.step.eq(self.valid),
            walker.vector.eq(self.number),
            word.eq(Array(places.first[key] for key in vectors)[self.number] + walker.offset),
            self.register_write.eq(self.valid & here),
            self.lane.eq(walker.lane),
            self.register_address.eq(address(word, self.copy, registers, copies)),
        ]
        if broadcast:
            m.submodules.memory = file = memory.Memory(
                shape=32, depth=depth(broadcast, copies), init=[]
            )
            write = file.write_port()
            read = file.read_port(transparent_for=[write])
            m.d.comb += [
                write.en.eq(self.valid & ~here),
                write.addr.eq(address(word, self.copy, broadcast, copies)),
                write.data.eq(self.vector),
                read.addr.eq(address(self.read_address, self.read_copy, broadcast, copies)),
                self.data.eq(read.data),
            ]
        return m

    def _is_local(self, kind: str, number: int) -> bool:
        design = self.schedule.design
        if kind == "delta":
            return design.delta_is_local(number)
        return design.activation_is_local(number + 1)
