"""The forward unit: from weighted sums to activations."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.activation import make_function
from hw.delay import delay
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place


class ForwardUnit(wiring.Component):
    """Applies the layers' activation functions to the array's results, one a clock.

    Latency: that of the layer's activation function.

    Members
    -------
    sum, sum_valid : a weighted sum, bias included.
    sum_layer, sum_copy : number of its layer of weights, less 1, and copy of its sample.
    activation : its activation.
    valid, layer, copy : there is one, and whose.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.names = schedule.design.activations
        layer, copy = below(len(self.names)), below(schedule.copies)
        super().__init__(
            {
                "sum": In(32),
                "sum_valid": In(1),
                "sum_layer": In(layer),
                "sum_copy": In(copy),
                "activation": Out(32),
                "valid": Out(1),
                "layer": Out(layer),
                "copy": Out(copy),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_forward_unit"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in sorted(set(self.names)):
            function = make_function(name, self.schedule.design)
            label = name.replace("-", "_")
            place(m, label, function, platform)
            wanted = Signal(name=f"{label}_wanted")
            layers = [number for number, other in enumerate(self.names) if other == name]
            for number in layers:
                with m.If(self.sum_layer == number):
                    m.d.comb += wanted.eq(self.sum_valid)
            layer = delay(m, self.sum_layer, function.latency, f"{label}_layer")
            copy = delay(m, self.sum_copy, function.latency, f"{label}_copy")
            m.d.comb += function.i.eq(self.sum)
            with m.If(delay(m, wanted, function.latency, f"{label}_valid", reset=True)):
                m.d.comb += [
                    self.activation.eq(function.o),
                    self.valid.eq(1),
                    self.layer.eq(layer),
                    self.copy.eq(copy),
                ]
        return m
