"""The forward unit: from weighted sums to activations."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.activation.sigmoid import SigmoidTable
from hw.delay import delay
from hw.schedule import Schedule
from hw.verilog import place


class ForwardUnit(wiring.Component):
    """Applies the activation function to the array's results, one a clock.

    Latency: that of the activation function.

    Members
    -------
    sum, sum_valid, sum_output : a weighted sum, bias included; whether of the output layer.
    activation : its activation.
    hidden_valid, output_valid : there is one, of a hidden layer; of the output layer.
    """

    sum: In(32)
    sum_valid: In(1)
    sum_output: In(1)
    activation: Out(32)
    hidden_valid: Out(1)
    output_valid: Out(1)

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        super().__init__()

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_forward_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        function = SigmoidTable(self.schedule.design.sigmoid_entries)
        place(m, "function", function, platform)
        valid, output = self.sum_valid, self.sum_output
        m.d.comb += [
            function.i.eq(self.sum),
            self.activation.eq(function.o),
            self.hidden_valid.eq(delay(m, valid & ~output, function.latency, "hidden", reset=True)),
            self.output_valid.eq(delay(m, valid & output, function.latency, "output", reset=True)),
        ]
        return m
