"""Sigmoid and hyperbolic tangent by piecewise polynomials."""

import dataclasses
import functools

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.fp.bits import leading_zeros
from hw.fp.format import BINARY32

# The sigmoid's magnitudes of 0 to RANGE are interpolated. Beyond, 1 - 2^-24 stands for all: less
# than 2^-24 from the sigmoid, and the largest FP32 number below 1.
RANGE = 16
RANGE_BITS = RANGE.bit_length() - 1

#: Bits of the fixed-point result behind the point; of a position within a step.
RESULT_BITS = 30
POSITION_BITS = 20


@dataclasses.dataclass(frozen=True)
class Segments:
    """The polynomials of the sigmoid on equal steps of 0 to RANGE.

    On each step the value is c0 + t (c1 + t c2), where t in [-1/2, 1/2) is the position within
    the step; interpolation at the Chebyshev nodes. Integers, in units of 2^-RESULT_BITS.

    Members
    -------
    entries : number of steps, a power of two.
    degree : 1 or 2; for 1 all c2 are 0.
    coefficients : c0, c1, c2, each of shape (entries,).
    """

    entries: int
    degree: int
    coefficients: tuple[np.ndarray, np.ndarray, np.ndarray]

    @property
    def widths(self) -> tuple[int, int, int]:
        """Bits of a signed word that holds each coefficient."""
        return tuple(1 + max(int(abs(c).max()).bit_length(), 1) for c in self.coefficients)


@functools.cache
def segments(entries: int, degree: int) -> Segments:
    """The polynomials for so many entries."""
    nodes = np.cos((2 * np.arange(degree + 1) + 1) * np.pi / (2 * (degree + 1))) / 2
    step = RANGE / entries
    points = (np.arange(entries)[:, None] + 0.5 + nodes) * step
    values = 1 / (1 + np.exp(-points))
    powers = np.vander(nodes, degree + 1, increasing=True)
    solved = np.linalg.solve(powers, values.T)
    found = [np.rint(row * 2.0**RESULT_BITS).astype(np.int64) for row in solved]
    found += [np.zeros(entries, np.int64)] * (3 - len(found))
    return Segments(entries, degree, tuple(found))


class Interpolation(wiring.Component):
    """Sigmoid or tanh by piecewise polynomials, one result a clock, `latency` clocks later.

    One half of the curve is stored: sigmoid(-x) = 1 - sigmoid(x), exact in fixed point, and
    tanh(x) = 2 sigmoid(2x) - 1. Between, everything is fixed point, rounded once to FP32.

    The absolute error of the sigmoid is at most `error_bound`; that of tanh twice as much. With
    degree 2 and 512 entries it is below 1e-7. tanh(+-0) is +-0; NaN gives NaN.

    Parameters
    ----------
    function : "sigmoid" or "tanh".
    entries : steps of 0 to 16, a power of two, 16 or more.
    degree : of the polynomials, 1 or 2.

    Members
    -------
    i : FP32 operand.
    o : FP32 result.
    """

    i: In(32)
    o: Out(32)

    clocked = True
    #: Clocks: position; table; highest product; its sum; product; sum; normalised; rounded.
    latency = 8

    def __init__(self, function: str, entries: int, degree: int) -> None:
        self.function = function
        self.segments = segments(entries, degree)
        super().__init__()

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.function}_degree_{self.segments.degree}_{self.segments.entries}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sign, special, step, position, beyond = self._position(m)
        c0, c1, c2 = self._coefficients(m, step)
        position = delay(m, position, 1, "position")
        value = self._polynomial(m, c0, c1, c2, position.as_signed())
        # From here on in the clock after the polynomial's last sum.
        behind = 5
        sign = delay(m, sign, behind, "sign")
        special = data.View(special.shape(), delay(m, special, behind, "special"))
        beyond = delay(m, beyond, behind, "beyond")
        top = Const((1 << RESULT_BITS) - (1 << (RESULT_BITS - 24)), RESULT_BITS)
        magnitude = Mux(beyond, top, value)
        self._to_float(m, magnitude, sign, special)
        return m

    def _position(self, m: Module) -> tuple[Value, data.View, Value, Value, Value]:
        """Rank 1: sign, special cases, number of the step and position in it, out of range."""
        entries = self.segments.entries
        bits = (entries - 1).bit_length() + POSITION_BITS
        exponent = self.i[23:31]
        # tanh(x) needs the sigmoid of 2x.
        doubled = 1 if self.function == "tanh" else 0
        top = BINARY32.bias + RANGE_BITS - 1 - doubled
        distance = Signal(range(bits + 1))
        significand = Cat(self.i[:23], 1)
        wide = Cat(Const(0, max(0, bits - 24)), significand)[-bits:]
        fixed = Signal(bits)
        with m.If(exponent > top - bits):
            m.d.comb += [distance.eq(top - exponent), fixed.eq(wide >> distance)]
        special = Signal(data.StructLayout({"nan": 1, "zero": 1}))
        sign, beyond = Signal(), Signal()
        step = Signal(range(entries))
        position = Signal(POSITION_BITS)
        m.d.sync += [
            sign.eq(self.i[-1]),
            special.nan.eq(exponent.all() & self.i[:23].any()),
            special.zero.eq(~exponent.any()),
            beyond.eq(exponent > top),
            step.eq(fixed[POSITION_BITS:]),
            # Counted from the step's middle: the sign bit is inverted.
            position.eq(fixed[:POSITION_BITS] ^ (1 << (POSITION_BITS - 1))),
        ]
        return sign, special, step, position, beyond

    def _coefficients(self, m: Module, step: Value) -> list[Value]:
        """Rank 2: the step's coefficients."""
        layout = data.StructLayout(
            {
                name: signed(width)
                for name, width in zip(("c0", "c1", "c2"), self.segments.widths, strict=True)
            }
        )
        words = zip(*(c.tolist() for c in self.segments.coefficients), strict=True)
        init = [{"c0": c0, "c1": c1, "c2": c2} for c0, c1, c2 in words]
        m.submodules.table = table = memory.Memory(
            shape=layout, depth=self.segments.entries, init=init
        )
        read = table.read_port()
        m.d.comb += read.addr.eq(step)
        return [read.data.c0, read.data.c1, read.data.c2]

    def _polynomial(self, m: Module, c0: Value, c1: Value, c2: Value, t: Value) -> Value:
        """Ranks 3 to 6: c0 + t (c1 + t c2), by Horner's rule, each step in a rank of its own."""
        width = self.segments.widths[1] + 1
        product2 = Signal(signed(width), reset_less=True)
        m.d.sync += product2.eq((c2 * t) >> POSITION_BITS)
        slope = Signal(signed(width), reset_less=True)
        m.d.sync += slope.eq(product2 + delay(m, c1, 1, "c1").as_signed())
        t = delay(m, t, 2, "t").as_signed()
        product1 = Signal(signed(width), reset_less=True)
        m.d.sync += product1.eq((slope * t) >> POSITION_BITS)
        value = Signal(RESULT_BITS, reset_less=True)
        m.d.sync += value.eq(product1 + delay(m, c0, 3, "c0").as_signed())
        return value

    def _to_float(self, m: Module, value: Value, sign: Value, special: data.View) -> None:
        """Ranks 7 and 8: complement for negative operands, normalise, round."""
        if self.function == "tanh":
            # 2 value - 1; what is below one half is the polynomial's error.
            exact = Mux(value[-1], Cat(Const(0, 1), value[:-1]), 0)
            nothing, result_sign = special.zero, sign
        else:
            exact = Mux(sign, (-value)[:RESULT_BITS], value)
            nothing, result_sign = Const(0, 1), Const(0, 1)
        fixed = Signal(RESULT_BITS)
        m.d.comb += fixed.eq(Mux(nothing, 0, exact))
        zeros, any_one = leading_zeros(m, "zeros", fixed)
        significand = Signal(RESULT_BITS, reset_less=True)
        exponent = Signal(8, reset_less=True)
        m.d.sync += [
            significand.eq((fixed << zeros)[:RESULT_BITS]),
            exponent.eq(BINARY32.bias - 2 - zeros),
        ]
        nan = delay(m, special.nan, 1, "nan")
        none = delay(m, ~any_one, 1, "none")
        result_sign = delay(m, result_sign, 1, "result_sign")
        # Round to nearest even; the hidden bit adds one to the exponent.
        kept, rest = significand[-24:], significand[:-24]
        up = rest[-1] & (rest[:-1].any() | kept[0])
        rounded = (Cat(kept[:-1], exponent) + Cat(up, Const(0, 22), kept[-1]))[:31]
        result = Signal(32, reset_less=True)
        m.d.sync += result.eq(Mux(nan, BINARY32.nan, Cat(Mux(none, 0, rounded), result_sign)))
        m.d.comb += self.o.eq(result)


def error_bound(entries: int, degree: int) -> float:
    """Largest absolute error of the interpolated sigmoid; tanh's is twice that.

    Of interpolation at Chebyshev nodes (the sigmoid's second derivative is below 0.0963, its third
    at most 1/8), of cutting operands and coefficients off, and of rounding to FP32.
    """
    step = RANGE / entries
    curve = 0.0963 * step**2 / 16 if degree == 1 else 0.125 * step**3 / 192
    cut = step * 2.0**-POSITION_BITS / 4 + 4 * 2.0**-RESULT_BITS
    return max(curve + cut + 2.0**-25, 2.0**-24)
