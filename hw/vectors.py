"""Where the vectors of one sample wait: activations and deltas."""

from amaranth.hdl import Array, Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.schedule import BACKPROPAGATION, FORWARD, Schedule
from hw.shape import below
from hw.walker import VectorWalker


class VectorStore(wiring.Component):
    """Keeps activations and deltas, which arrive in the order of the schedule.

    Those that will be broadcast go to a memory (read latency 1 clock; what arrives in the clock in
    which it is asked for is passed on); the others to the register files of the PEs.

    Members
    -------
    vector, valid : the element.
    register_write, lane, register_address : it goes to PE `lane`.
    read_address, data : read port of the memory.
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
                "register_write": Out(1),
                "lane": Out(below(design.processing_elements)),
                "register_address": Out(below(places.register_words)),
                "read_address": In(below(places.memory_words)),
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
        arriving = self._arriving()
        local = [self._is_local(*key) for key in arriving]
        m.submodules.walker = walker = VectorWalker(
            lengths=[design.layers[number] for _, number in arriving],
            first=[places.first[key] for key in arriving],
            strides=[design.processing_elements if here else 1 for here in local],
        )
        here = Array(local)[walker.vector]
        m.d.comb += [
            walker.step.eq(self.valid),
            self.register_write.eq(self.valid & here),
            self.lane.eq(walker.lane),
            self.register_address.eq(walker.address),
        ]
        if places.memory_words:
            m.submodules.memory = file = memory.Memory(
                shape=32, depth=len(below(places.memory_words)), init=[]
            )
            write = file.write_port()
            read = file.read_port(transparent_for=[write])
            m.d.comb += [
                write.en.eq(self.valid & ~here),
                write.addr.eq(walker.address),
                write.data.eq(self.vector),
                read.addr.eq(self.read_address),
                self.data.eq(read.data),
            ]
        return m

    def _arriving(self) -> list[tuple[str, int]]:
        """Keys of `design.vectors.first` in the order in which the vectors arrive."""
        top = len(self.schedule.design.layers) - 1
        forward = [
            ("activation", op.layer.number)
            for op in self.schedule.operations
            if op.unit == FORWARD and op.layer.number < top
        ]
        back = [
            ("delta", op.layer.number - 1)
            for op in self.schedule.operations
            if op.unit == BACKPROPAGATION and op.layer.number > 1
        ]
        return [*forward, ("delta", top), *back]

    def _is_local(self, kind: str, number: int) -> bool:
        design = self.schedule.design
        if kind == "delta":
            return design.delta_is_local(number)
        return design.activation_is_local(number + 1)
