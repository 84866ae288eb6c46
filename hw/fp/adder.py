"""Floating-point adder."""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Mux

from hw.fp.bits import leading_zeros, shift_right_sticky
from hw.fp.format import BINARY32, FloatFormat
from hw.fp.pipeline import Operator, Pipeline


class Adder(Operator):
    """a + b, rounded to nearest even, one result each clock, `latency` clocks after the operands.

    Signed zeros and infinities are exact as in IEEE 754 (x + -x is +0); every NaN result is
    `format.nan`.

    Subnormals: "ieee" is IEEE 754 in full. "flush" takes each subnormal operand as zero of the
    same sign, computes the IEEE result of that, and makes it zero of the same sign if it is
    subnormal. (Such a sum is always exact, so nothing rounds up to the smallest normal number.)

    Parameters
    ----------
    format: FloatFormat
        Format of operands and result.
    subnormals: str
        "ieee" or "flush".
    stages: int
        Number of register ranks, 2 to 8; equal to `latency`.

    Members
    -------
    a, b: In(format.width)
        Terms.
    o: Out(format.width)
        Sum, directly from registers.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind, or out of range.
    """

    STEPS = ("compare", "swap", "align", "add", "count", "normalise", "round", "pack")
    REGISTERED: ClassVar[dict[int, tuple[str, ...]]] = {
        2: ("align", "pack"),
        3: ("swap", "add", "pack"),
        4: ("swap", "add", "normalise", "pack"),
        5: ("swap", "align", "add", "normalise", "pack"),
        6: ("swap", "align", "add", "count", "normalise", "pack"),
        7: ("compare", "swap", "align", "add", "count", "normalise", "pack"),
        8: ("compare", "swap", "align", "add", "count", "normalise", "round", "pack"),
    }

    def __init__(
        self, format: FloatFormat = BINARY32, *, subnormals: str = "flush", stages: int = 4
    ) -> None:
        super().__init__(format, subnormals=subnormals, stages=stages)

    def _compare(self, p: Pipeline) -> None:
        f = self.format
        p.a_less = p.a[:-1] < p.b[:-1]
        for x, value in (("a", p.a), ("b", p.b)):
            fraction, exponent = value[: f.fraction_bits], value[f.fraction_bits : -1]
            setattr(p, f"{x}_normal", exponent.any())
            setattr(p, f"{x}_infinite", exponent.all() & ~fraction.any())
            setattr(p, f"{x}_nan", exponent.all() & fraction.any())
            if self.subnormals == "flush":
                setattr(p, f"{x}_exponent", exponent)
            else:
                setattr(p, f"{x}_exponent", exponent | ~exponent.any())
        p.subtract = p.a[-1] ^ p.b[-1]
        p.both_negative = p.a[-1] & p.b[-1]
        p.nan = p.a_nan | p.b_nan | (p.a_infinite & p.b_infinite & p.subtract)
        p.infinite = p.a_infinite | p.b_infinite
        # Both differences at once, so that the comparison only has to choose.
        p.a_minus_b = (p.a_exponent - p.b_exponent)[: f.exponent_bits]
        p.b_minus_a = (p.b_exponent - p.a_exponent)[: f.exponent_bits]

    def _swap(self, p: Pipeline) -> None:
        bits = self.format.fraction_bits
        less = p.a_less
        p.sign = Mux(less, p.b[-1], p.a[-1])
        p.exponent = Mux(less, p.b_exponent, p.a_exponent)
        p.distance = Mux(less, p.b_minus_a, p.a_minus_b)
        p.large = Cat(Mux(less, p.b[:bits], p.a[:bits]), Mux(less, p.b_normal, p.a_normal))
        p.small_normal = Mux(less, p.a_normal, p.b_normal)
        small = Mux(less, p.a[:bits], p.b[:bits])
        if self.subnormals == "flush":
            small = Mux(p.small_normal, small, 0)
        p.small = Cat(small, p.small_normal)

    def _align(self, p: Pipeline) -> None:
        p.aligned = shift_right_sticky(p.m, "align", Cat(Const(0, 2), p.small), p.distance)

    def _add(self, p: Pipeline) -> None:
        large = Cat(Const(0, 3), p.large)
        p.total = Mux(p.subtract, large - p.aligned, large + p.aligned)[: len(large) + 1]

    def _count(self, p: Pipeline) -> None:
        p.zeros = leading_zeros(p.m, "zeros", p.total)
        p.exact_zero = ~p.total.any()

    def _normalise(self, p: Pipeline) -> None:
        bits = self.format.significand_bits
        p.below = p.zeros > p.exponent
        # Bring the leading one to the top, but no further than a subnormal number's place.
        left = p.zeros if self.subnormals == "flush" else Mux(p.below, p.exponent, p.zeros)
        shifted = (p.total << left)[: len(p.total)]
        p.kept = shifted[-bits:]
        p.guard = shifted[-bits - 1]
        p.sticky = shifted[: -bits - 1].any()
        # One less than the exponent, for the hidden bit is yet to be added to it.
        p.lowered = (p.exponent - left)[: self.format.exponent_bits]
        p.none = p.exact_zero | p.below if self.subnormals == "flush" else p.exact_zero

    def _round(self, p: Pipeline) -> None:
        up = p.guard & (p.sticky | p.kept[0])
        bits = self.format.fraction_bits
        hidden = Cat(up, Const(0, bits - 1), p.kept[-1])
        p.rounded = (Cat(p.kept[:-1], p.lowered) + hidden)[: self.format.width]

    def _pack(self, p: Pipeline) -> None:
        f = self.format
        exponent = p.rounded[f.fraction_bits :]
        infinite = p.infinite | ((exponent >= f.max_exponent) & ~p.none)
        finite = Mux(p.none, 0, p.rounded[: f.width - 1])
        magnitude = Mux(infinite, f.infinity, finite)
        # Nothing is left: both were zero, or they cancelled each other (+0).
        zero = p.exact_zero if self.subnormals == "ieee" else p.exact_zero | (p.exponent == 0)
        sign = Mux(zero, p.both_negative, p.sign)
        p.o = Mux(p.nan, f.nan, Cat(magnitude[: f.width - 1], sign))
