"""Activation functions that need no table."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Rectifier(wiring.Component):
    """ReLU: the operand if it is above zero, else +0. NaN gives NaN. Latency: 1 clock.

    Members
    -------
    i : FP32 operand.
    o : FP32 result.
    """

    i: In(32)
    o: Out(32)

    clocked = True
    latency = 1
    module_name = "relu"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = Signal(32, reset_less=True)
        nan = self.i[23:31].all() & self.i[:23].any()
        m.d.sync += result.eq(Mux(self.i[-1] & ~nan, 0, self.i))
        m.d.comb += self.o.eq(result)
        return m


class Identity(wiring.Component):
    """The operand itself. Latency: 1 clock.

    Members
    -------
    i : FP32 operand.
    o : FP32 result.
    """

    i: In(32)
    o: Out(32)

    clocked = True
    latency = 1
    module_name = "identity"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = Signal(32, reset_less=True)
        m.d.sync += result.eq(self.i)
        m.d.comb += self.o.eq(result)
        return m
