"""The gradient-descent unit: scales what UPDATE broadcasts by the learning rate."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.fp.multiplier import Multiplier
from hw.schedule import Schedule
from hw.verilog import place


class GradientDescentUnit(wiring.Component):
    """-step times the operand, one a clock.

    UPDATE adds (-step * broadcast) * local to each weight. Scaling the broadcast operand takes one
    multiplier for the whole array, and in a row-mapped layer it is done before the delta is known.
    Latency: the multiplier's.

    Members
    -------
    step : learning rate / batch size, FP32.
    i : operand.
    o : scaled operand.
    """

    step: In(32)
    i: In(32)
    o: Out(32)

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        super().__init__()

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_gradient_descent_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.schedule.design
        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        place(m, "multiplier", multiplier, platform)
        m.d.comb += [
            multiplier.a.eq(self.i),
            multiplier.b.eq(Cat(self.step[:-1], ~self.step[-1])),
            self.o.eq(multiplier.o),
        ]
        return m
