"""Sigmoid and hyperbolic tangent by table look-up."""

import math
import struct

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.fp.format import BINARY32

# A table covers -RANGE to RANGE; beyond, the outermost entries stand for all that follows.
RANGES = {"sigmoid": 8, "tanh": 4}
_EXACT = {"sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh}
_STEEPEST = {"sigmoid": 1 / 4, "tanh": 1}


class FunctionTable(wiring.Component):
    """Sigmoid or tanh from a table of FP32 values, one result a clock, `latency` clocks later.

    Each half of the range is cut into entries / 2 equal steps; an entry is the function's value in
    its step's middle, rounded to nearest. NaN gives NaN. The absolute error is at most
    `error_bound`.

    Both halves are stored. One would do, since sigmoid(-x) = 1 - sigmoid(x), but the subtraction
    would have to be normalised: two clocks more on the way from each layer to the next.

    Parameters
    ----------
    function : "sigmoid", over -8 to 8, or "tanh", over -4 to 4.
    entries : a power of two.

    Members
    -------
    i : FP32 operand.
    o : FP32 result.
    """

    i: In(32)
    o: Out(32)

    clocked = True
    #: Clocks: registers hold the table's address, its word, and the result. (A block RAM of an FPGA
    #: gives its word late in the clock; without the last rank it is the machine's slowest path.)
    latency = 3

    def __init__(self, function: str = "sigmoid", entries: int = 2048) -> None:
        self.function = function
        self.entries = entries
        super().__init__()

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.function}_table_{self.entries}"

    def table(self) -> list[int]:
        """Contents as FP32 encodings; the address is the sign, then the step's number."""
        half = self.entries // 2
        middles = [(step + 0.5) * RANGES[self.function] / half for step in range(half)]
        values = [*middles, *(-middle for middle in middles)]
        return [_encode(_EXACT[self.function](value)) for value in values]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(shape=32, depth=self.entries, init=self.table())
        read = table.read_port()
        step = Signal((self.entries - 1).bit_length() - 1)
        sign = Signal()
        nan = Signal(2)
        result = Signal(32, reset_less=True)
        m.d.comb += [read.addr.eq(Cat(step, sign)), read.en.eq(1)]
        m.d.sync += [
            step.eq(self._step(m)),
            sign.eq(self.i[-1]),
            nan.eq(Cat(self.i[23:31].all() & self.i[:23].any(), nan[0])),
        ]
        m.d.sync += result.eq(Mux(nan[1], BINARY32.nan, read.data))
        m.d.comb += self.o.eq(result)
        return m

    def _step(self, m: Module) -> Signal:
        """Number of the step in which the magnitude of `i` lies."""
        bits = (self.entries - 1).bit_length() - 1
        # The binade that ends at the range's end has the hidden bit at the top of the number.
        top = BINARY32.bias + RANGES[self.function].bit_length() - 2
        exponent = self.i[23:31]
        leading = Cat(self.i[23 - (bits - 1) : 23], 1)
        distance = Signal(range(bits + 1))
        step = Signal(bits)
        with m.If(exponent > top):
            m.d.comb += step.eq(-1)
        with m.Elif(exponent > top - bits):
            m.d.comb += [distance.eq(top - exponent), step.eq(leading >> distance)]
        return step


def error_bound(function: str, entries: int) -> float:
    """Largest absolute error of a table: half a step at the function's steepest, within the range,
    and 1 minus the function at the range's end more beyond it.
    """
    step = 2 * RANGES[function] / entries
    return step / 2 * _STEEPEST[function] + 1 - _EXACT[function](RANGES[function])


def _encode(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")
