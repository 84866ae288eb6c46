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
    dsps: int
        Most multiplier blocks of the FPGA (18 by 18 bits) that the product may take: 4, 2 or 1. The
        rest of it is made of LUTs. Of effect only on significands of 19 to 36 bits, such as
        binary32's: a smaller product takes one block, whatever is said here.

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

    STEPS = ("unpack", "multiply", "cross", "add", "shift", "normalise", "round")
    REGISTERED: ClassVar = {
        "flush": {
            2: ("multiply", "round"),
            3: ("multiply", "add", "round"),
            4: ("multiply", "add", "normalise", "round"),
            5: ("unpack", "multiply", "add", "normalise", "round"),
            6: ("unpack", "multiply", "cross", "add", "normalise", "round"),
        },
        "ieee": {
            2: ("multiply", "round"),
            3: ("multiply", "add", "round"),
            4: ("multiply", "add", "shift", "round"),
            5: ("unpack", "multiply", "add", "shift", "round"),
            6: ("unpack", "multiply", "add", "shift", "normalise", "round"),
        },
    }

    def __init__(
        self,
        format: FloatFormat = BINARY32,
        *,
        subnormals: str = "flush",
        stages: int = 3,
        dsps: int = 4,
    ) -> None:
        if not isinstance(dsps, int) or isinstance(dsps, bool):
            raise TypeError(f"dsps must be an integer, not {dsps!r}")
        if dsps not in (1, 2, 4):
            raise ValueError(f"dsps must be 1, 2 or 4, not {dsps}")
        super().__init__(format, subnormals=subnormals, stages=stages)
        self.dsps = dsps if self._in_blocks else 1

    @property
    def module_name(self) -> str:
        """Name of the Verilog module, telling apart all that differs in content."""
        fewer = f"_{self.dsps}dsp" if self._in_blocks and self.dsps < 4 else ""
        return super().module_name + fewer

    @property
    def _in_blocks(self) -> bool:
        """Whether the significands' product is the sum of four that each fit a block."""
        return _BLOCK < self.format.significand_bits <= 2 * _BLOCK

    def _unpack(self, p: Pipeline) -> None:
        f = self.format
        for x, value in (("a", p.a), ("b", p.b)):
            fraction = value[: f.fraction_bits]
            exponent = value[f.fraction_bits : -1]
            normal = exponent.any()
            p[f"{x}_top"] = exponent.all()
            p[f"{x}_fraction_any"] = fraction.any()
            if self.subnormals == "flush":
                # The hidden bit is one: zeros go their own way, and nothing delays the product.
                p[f"{x}_significand"] = Cat(fraction, Const(1, 1))
                p[f"{x}_exponent"] = exponent
                p[f"{x}_zero"] = ~normal
            else:
                p[f"{x}_significand"] = Cat(fraction, normal)
                p[f"{x}_exponent"] = exponent | ~normal
                p[f"{x}_zero"] = ~normal & ~fraction.any()
        p.sign = p.a[-1] ^ p.b[-1]
        if self._in_blocks and self.dsps < 4:
            # For the products that LUTs make, two bits of the short factor at a time.
            p.a_triple = p.a_significand + (p.a_significand << 1)
        if self._in_blocks and self.dsps < 2:
            low = p.b_significand[:_BLOCK]
            p.b_triple = low + (low << 1)

    def _multiply(self, p: Pipeline) -> None:
        f = self.format
        a, b = p.a_significand, p.b_significand
        if self._in_blocks:
            p.low = a[:_BLOCK] * b[:_BLOCK]
            if self.dsps > 1:
                p.cross_a = a[_BLOCK:] * b[:_BLOCK]
            else:
                _rows(p, "a_row", b[:_BLOCK], p.b_triple, a[_BLOCK:])
            if self.dsps == 4:
                p.cross_b = a[:_BLOCK] * b[_BLOCK:]
                p.high = a[_BLOCK:] * b[_BLOCK:]
            else:
                # All that the high part of b takes part in.
                _rows(p, "b_row", a, p.a_triple, b[_BLOCK:])
        else:
            p.whole = a * b
        p.zero = p.a_zero | p.b_zero
        p.infinite = p.a_top | p.b_top
        p.nan = (p.a_top & (p.a_fraction_any | p.b_zero)) | (
            p.b_top & (p.b_fraction_any | p.a_zero)
        )
        # The exponent of a product in [1, 2), still biased. The bias is one less than a power of
        # two; the one comes in through a bit below, so that one carry chain adds all three.
        total = Cat(Const(1, 1), p.a_exponent) + Cat(Const(1, 1), p.b_exponent)
        exponent = (total[1:] - (f.bias + 1))[: f.exponent_bits + 2]
        p.exponent = exponent.as_signed()
        if self.subnormals == "ieee":
            # Where both are subnormal, the product is far too small for this count to matter.
            a_zeros, _ = leading_zeros(p.m, "a_zeros", p.a_significand)
            b_zeros, _ = leading_zeros(p.m, "b_zeros", p.b_significand)
            p.zeros = a_zeros | b_zeros
            # The trailing zeros of a product are those of its factors.
            p.a_tail, _ = leading_zeros(p.m, "a_tail", p.a_significand[::-1])
            p.b_tail, _ = leading_zeros(p.m, "b_tail", p.b_significand[::-1])

    def _cross(self, p: Pipeline) -> None:
        if not self._in_blocks:
            return
        high_bits = self.format.significand_bits - _BLOCK
        cross_a = p.cross_a if self.dsps > 1 else _sum_of_rows(p, "a_row", high_bits)
        cross_b = p.cross_b if self.dsps == 4 else _sum_of_rows(p, "b_row", high_bits)
        p.cross = cross_a + cross_b

    def _add(self, p: Pipeline) -> None:
        bits = self.format.significand_bits
        if self._in_blocks:
            # The low bits of the lowest product are final, so the carry chain starts above them.
            upper = (Cat(p.low[_BLOCK:], p.high) if self.dsps == 4 else p.low[_BLOCK:]) + p.cross
            p.product = Cat(p.low[:_BLOCK], upper)[: 2 * bits]
        else:
            p.product = p.whole
        p.rest = p.product[: bits - 2].any()
        if self.subnormals == "ieee":
            self._plan_shift(p)

    @property
    def _origin(self) -> int:
        """The distance by which a left shift leaves the product in place: a power of two, and
        more than enough for a product that is shifted to the right to vanish.
        """
        return 1 << (self.format.significand_bits + 1).bit_length()

    def _plan_shift(self, p: Pipeline) -> None:
        """How far to shift the product, and its exponent then: to the left until there is no
        leading zero, but no further than exponent 1, which may mean to the right.
        """
        origin = self._origin
        width = origin.bit_length()
        exponent = p.exponent - p.zeros
        limited = exponent[-1] | ~exponent.any()
        limit = p.exponent + (origin - 1)
        limit = Mux(limit[-1], 0, limit[:width])
        p.distance = Mux(limited, limit, p.zeros | origin)[:width]
        # What ends below the guard bit is lost but for the sticky bit.
        p.lost_below = (origin + self.format.significand_bits - 2) - (p.a_tail + p.b_tail)
        p.shift_exponent = Mux(limited, 1, exponent)[: self.format.exponent_bits + 1]

    def _shift(self, p: Pipeline) -> None:
        bits = self.format.significand_bits
        if self.subnormals == "flush":
            p.placed, p.below, p.final_exponent = p.product, p.rest, p.exponent
            return
        p.placed = (p.product << p.distance)[self._origin : self._origin + 2 * bits]
        p.below = p.distance < p.lost_below
        # Of a subnormal result the shift has made the exponent 1.
        normal = p.placed[-2:].any()
        exponent = Cat(p.shift_exponent[0] & normal, p.shift_exponent[1:], Const(0, 1))
        p.final_exponent = exponent.as_signed()

    def _normalise(self, p: Pipeline) -> None:
        f, bits = self.format, self.format.significand_bits
        # The product of two significands in [1, 2) is in [1, 4): one place, if at all.
        p.double = p.placed[-1]
        p.kept = Mux(p.double, p.placed[bits:-1], p.placed[bits - 1 : -2])
        guard = Mux(p.double, p.placed[bits - 1], p.placed[bits - 2])
        sticky = p.below | (p.double & p.placed[bits - 2])
        exponent = p.final_exponent
        negative, low = exponent[-1], exponent[: f.exponent_bits]
        huge = ~negative & (exponent[f.exponent_bits] | low.all())
        largest = ~exponent[f.exponent_bits :].any() & low[1:].all() & ~low[0]
        p.infinity = p.infinite | huge | (largest & p.double)
        if self.subnormals == "flush":
            least = ~exponent.any() & ~p.double
            p.none = p.zero | negative | (least & ~p.kept.all())
            # Below the smallest normal number IEEE rounds one place further left. All that it
            # makes of that is flushed, but for the carry out of a fraction of all ones.
            p.up = (guard & (sticky | p.kept[0])) | least
        else:
            p.none = p.zero
            p.up = guard & (sticky | p.kept[0])

    def _round(self, p: Pipeline) -> None:
        f = self.format
        # A product of 2 or more has no fraction of all ones: either it raises the exponent, or
        # rounding does. The bit between fraction and exponent adds whichever it is.
        raised = Cat(p.kept, p.double, p.final_exponent[: f.exponent_bits])
        rounded = raised + Cat(p.up, Const(0, f.fraction_bits - 1), Const(1, 1))
        clear = p.none | p.infinity
        fraction = Mux(clear, Cat(Const(0, f.fraction_bits - 1), p.nan), rounded)
        exponent = Mux(p.none, 0, rounded[f.fraction_bits + 1 :])
        exponent = Mux(p.infinity, f.max_exponent, exponent)
        p.o = Cat(fraction[: f.fraction_bits], exponent[: f.exponent_bits], p.sign & ~p.nan)


def _rows(p: Pipeline, name: str, long: Value, triple: Value, short: Value) -> None:
    """The product of a long and a short factor as rows, one for two bits of the short one each.

    Half as many rows as one for each bit would make, for as many LUTs; and so half the additions.
    """
    for place in range(0, len(short), 2):
        low, high = short[place], short[place + 1] if place + 1 < len(short) else Const(0, 1)
        p[f"{name}_{place}"] = Mux(high, Mux(low, triple, long << 1), Mux(low, long, 0))


def _sum_of_rows(p: Pipeline, name: str, bits: int) -> Value:
    """The product whose rows `_rows` made of a short factor of so many bits."""
    return sum((p[f"{name}_{place}"] << place for place in range(2, bits, 2)), p[f"{name}_0"])
