"""The learning rate's schedule: halved after so many samples, down to a floor."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.fp.format import BINARY32


class LearningRate(wiring.Component):
    """The step with which a batch's samples change the weights.

    At the first sample of a batch the step is halved if it has been in use for `halve_every`
    samples, and becomes the floor if it falls below. Halving is exact; below the smallest normal
    number it gives zero.

    Members
    -------
    start : take `rate` and `age`.
    rate : learning rate / batch size, FP32, 0 or more.
    halve_every : samples from one halving to the next, 0 for never; to be held during a run.
    floor : least step, FP32; to be held during a run.
    age : samples for which the rate has been in use before the run.
    take, first_of_batch : a sample begins, which is the first of its batch.
    step : of the sample that has begun, from the clock after.
    """

    start: In(1)
    rate: In(32)
    halve_every: In(32)
    floor: In(32)
    age: In(32)
    take: In(1)
    first_of_batch: In(1)
    step: Out(32)

    clocked = True
    module_name = "learning_rate"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        used = Signal(32)
        due, half = Signal(), Signal(31)
        fraction = BINARY32.fraction_bits
        exponent = self.step[fraction:31]
        m.d.comb += [
            due.eq(self.first_of_batch & (self.halve_every != 0) & (used >= self.halve_every)),
            half.eq(Mux(exponent > 1, Cat(self.step[:fraction], exponent - 1), Const(0, 31))),
        ]
        with m.If(self.take):
            m.d.sync += used.eq(Mux(due, used - self.halve_every, used) + 1)
            with m.If(due):
                # Of positive numbers, the words are in order like the numbers.
                m.d.sync += self.step.eq(Mux(half < self.floor[:31], self.floor, half))
        with m.If(self.start):
            m.d.sync += [self.step.eq(self.rate), used.eq(self.age)]
        return m
