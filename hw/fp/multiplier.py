"""Floating-point multiplier."""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Mux, Value

from hw.fp.bits import leading_zeros
from hw.fp.format import BINARY32, FloatFormat
from hw.fp.pipeline import Operator, Pipeline

# Widest factor of one multiplier block of the FPGA (ECP5: MULT18X18D).
_BLOCK = 18


class Multiplier(Operator):
    """a * b, rounded to nearest even, one result each clock, `latency` clocks after the operands.

    Signed zeros and infinities are exact as in IEEE 754; every NaN result is `format.nan`.

    Subnormals: "ieee" is IEEE 754 in full. "flush" takes each subnormal operand as zero of the
    same sign, computes the IEEE result of that, and makes it zero of the same sign if it is
    subnormal; a product below the smallest normal number that IEEE rounds up to it stays.

    Parameters
    ----------
    format: FloatFormat
        Format of operands and result.
    subnormals: str
        "ieee" or "flush".
    stages: int
        Number of register ranks, 2 to 6; equal to `latency`.

    Members
    -------
    a, b: In(format.width)
        Factors.
    o: Out(format.width)
        Product, directly from registers.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind, or out of range.
    """

    STEPS = ("unpack", "multiply", "add", "shift", "round", "pack")
    REGISTERED: ClassVar[dict[int, tuple[str, ...]]] = {
        2: ("multiply", "pack"),
        3: ("multiply", "shift", "pack"),
        4: ("multiply", "add", "shift", "pack"),
        5: ("unpack", "multiply", "add", "shift", "pack"),
        6: ("unpack", "multiply", "add", "shift", "round", "pack"),
    }

    def __init__(
        self, format: FloatFormat = BINARY32, *, subnormals: str = "flush", stages: int = 3
    ) -> None:
        super().__init__(format, subnormals=subnormals, stages=stages)

    def _unpack(self, p: Pipeline) -> None:
        f = self.format
        for x, value in (("a", p.a), ("b", p.b)):
            fraction = value[: f.fraction_bits]
            exponent = value[f.fraction_bits : -1]
            normal = exponent.any()
            setattr(p, f"{x}_significand", Cat(fraction, normal))
            setattr(p, f"{x}_top", exponent.all())
            setattr(p, f"{x}_fraction_any", fraction.any())
            if self.subnormals == "flush":
                setattr(p, f"{x}_exponent", exponent)
                setattr(p, f"{x}_zero", ~normal)
            else:
                setattr(p, f"{x}_exponent", exponent | ~normal)
                setattr(p, f"{x}_zero", ~normal & ~fraction.any())
        p.sign = p.a[-1] ^ p.b[-1]

    def _multiply(self, p: Pipeline) -> None:
        f = self.format
        a, b = p.a_significand, p.b_significand
        if _BLOCK < len(a) <= 2 * _BLOCK:
            p.low = a[:_BLOCK] * b[:_BLOCK]
            p.cross_a = a[_BLOCK:] * b[:_BLOCK]
            p.cross_b = a[:_BLOCK] * b[_BLOCK:]
            p.high = a[_BLOCK:] * b[_BLOCK:]
        else:
            p.whole = a * b
        p.zero = p.a_zero | p.b_zero
        p.infinite = p.a_top | p.b_top
        p.nan = (p.a_top & (p.a_fraction_any | p.b_zero)) | (
            p.b_top & (p.b_fraction_any | p.a_zero)
        )
        # The exponent of the product if its significand is in [1, 2), still biased.
        exponent = (p.a_exponent + p.b_exponent - f.bias)[: f.exponent_bits + 2]
        p.exponent = exponent.as_signed()
        if self.subnormals == "ieee":
            self._plan_shift(p)

    def _plan_shift(self, p: Pipeline) -> None:
        """How far to shift the product, so that its exponent is at least 1."""
        bits = self.format.significand_bits
        p.zeros = leading_zeros(p.m, "a_zeros", p.a_significand) + leading_zeros(
            p.m, "b_zeros", p.b_significand
        )
        p.room = p.exponent - 1
        # Left as far as the leading one allows, but no further than exponent 1; a negative room
        # is a shift to the right, beyond `right` places of which only the sticky bit is left.
        right = bits + 2
        p.left = Mux(p.zeros < p.room, p.zeros, p.room)
        p.shift_exponent = p.exponent - p.left
        p.distance = Mux(p.left < -right, 0, (p.left + right)[: (2 * right).bit_length()])

    def _add(self, p: Pipeline) -> None:
        width = 2 * self.format.significand_bits
        if self.format.significand_bits > _BLOCK:
            # The low bits of the lowest product are final, so the carry chain starts above them.
            upper = Cat(p.low[_BLOCK:], p.high) + (p.cross_a + p.cross_b)
            p.product = Cat(p.low[:_BLOCK], upper)[:width]
        else:
            p.product = p.whole

    def _shift(self, p: Pipeline) -> None:
        f, bits = self.format, self.format.significand_bits
        product, below, exponent = p.product, Const(0, 1), p.exponent
        if self.subnormals == "ieee":
            right = bits + 2
            p.window = (product << p.distance)[: right + 2 * bits]
            product, below, exponent = p.window[right:], p.window[:right].any(), p.shift_exponent
        # The product of two significands in [1, 2) is in [1, 4): one place, if at all.
        p.double = product[-1]
        p.kept = Mux(p.double, product[bits:], product[bits - 1 : -1])
        p.guard = Mux(p.double, product[bits - 1], product[bits - 2])
        p.sticky = product[: bits - 2].any() | (p.double & product[bits - 2]) | below
        raised = exponent + p.double
        if self.subnormals == "ieee":
            raised = Mux(p.kept[-1], raised, 0)
        p.raised = raised[: f.exponent_bits + 2]

    def _round(self, p: Pipeline) -> None:
        up = p.guard & (p.sticky | p.kept[0])
        if self.subnormals == "flush":
            # Below the smallest normal number, IEEE rounds one place further left. Of what
            # comes of that, only the carry out of a fraction of all ones is not flushed.
            up = up | (p.raised == 0)
        p.rounded = (Cat(p.kept[:-1], p.raised) + up)[: self.format.width + 1]

    def _pack(self, p: Pipeline) -> None:
        f = self.format
        exponent = p.rounded[f.fraction_bits :].as_signed()
        p.overflow = exponent >= f.max_exponent
        none = p.zero
        if self.subnormals == "flush":
            none = none | (exponent <= 0)
        p.none = none
        finite: Value = Mux(p.none, 0, p.rounded[: f.width - 1])
        magnitude = Mux(p.infinite | p.overflow, f.infinity, finite)
        p.o = Mux(p.nan, f.nan, Cat(magnitude[: f.width - 1], p.sign))
