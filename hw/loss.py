"""The loss unit: the sum of the squares of a sample's output errors."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.design import Design
from hw.fp.adder import Adder
from hw.fp.multiplier import Multiplier
from hw.pe import NEGATIVE_ZERO
from hw.shape import below
from hw.verilog import place


class LossUnit(wiring.Component):
    """The sum of a sample's squared output errors (a - y)^2, which come one a clock.

    The adder sums in turn into `Design.loss_sums` partial sums, more than its latency, and adds
    those up when the last error has come: to the sum that was the last to grow the others, in turn.

    Latency: `Schedule.loss_latency`, from the last error.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    error, error_valid : a - y of an output.
    loss, loss_valid : of a sample, FP32.
    """

    error: In(32)
    error_valid: In(1)
    loss: Out(32)
    loss_valid: Out(1)

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        super().__init__()

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_loss_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, sums = self.design, self.design.loss_sums
        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        place(m, "multiplier", multiplier, platform)
        place(m, "adder", adder, platform)

        square = delay(m, self.error_valid, multiplier.latency, "square", reset=True)
        index, slot, left = (Signal(below(count)) for count in (design.layers[-1], sums, sums))
        last = square & (index == design.layers[-1] - 1)
        combine = Signal()
        # The adder puts out the sample's last partial sum, or that with some of the others.
        total = delay(m, last | combine, adder.latency, "total", reset=True)
        m.d.comb += [
            multiplier.a.eq(self.error),
            multiplier.b.eq(self.error),
            adder.a.eq(Mux(combine, adder.o, multiplier.o)),
            adder.b.eq(self._partial(m, adder, square, index, slot)),
            combine.eq(total & (left != 0)),
            self.loss.eq(adder.o),
            self.loss_valid.eq(total & (left == 0)),
        ]
        with m.If(square):
            m.d.sync += index.eq(Mux(last, 0, index + 1))
        with m.If(square | combine):
            m.d.sync += slot.eq(Mux(slot == sums - 1, 0, slot + 1))
        with m.If(last):
            m.d.sync += left.eq(sums - 1)
        with m.If(combine):
            m.d.sync += left.eq(left - 1)
        with m.If(self.loss_valid):
            m.d.sync += slot.eq(0)
        return m

    def _partial(
        self, m: Module, adder: Adder, square: Value, index: Signal, slot: Signal
    ) -> Value:
        """The partial sum of `slot`; the first square of each is added to nothing."""
        sums = self.design.loss_sums
        m.submodules.sums = file = memory.Memory(shape=32, depth=len(below(sums)), init=[])
        write, read = file.write_port(), file.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(delay(m, square, adder.latency, "sum", reset=True)),
            write.addr.eq(delay(m, slot, adder.latency, "sum_slot")),
            write.data.eq(adder.o),
            read.addr.eq(slot),
        ]
        return Mux(square & (index < sums), Const(NEGATIVE_ZERO, 32), read.data)
