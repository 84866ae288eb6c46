"""Floating-point adder."""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Mux

from hw.fp.bits import leading_zeros, lost_by_shift
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

    # Both shifters stand in two steps, the long moves first, so that a register can go between.
    STEPS = (
        "compare",
        "swap",
        "align_far",
        "align_near",
        "add",
        "count",
        "normalise_far",
        "normalise_near",
        "round",
    )
    _PLACES: ClassVar = {
        2: ("add", "round"),
        3: ("align_near", "count", "round"),
        4: ("align_far", "add", "normalise_far", "round"),
        5: ("swap", "align_near", "add", "normalise_far", "round"),
        6: ("swap", "align_near", "add", "count", "normalise_near", "round"),
        7: ("compare", "swap", "align_near", "add", "count", "normalise_near", "round"),
        8: tuple(step for step in STEPS if step != "normalise_far"),
    }
    REGISTERED: ClassVar = {"flush": _PLACES, "ieee": _PLACES}

    def __init__(
        self, format: FloatFormat = BINARY32, *, subnormals: str = "flush", stages: int = 4
    ) -> None:
        super().__init__(format, subnormals=subnormals, stages=stages)

    @property
    def _align_near_bits(self) -> int:
        """Bits of the alignment's distance that the near step takes."""
        return (_levels(self.format.significand_bits + 2) + 1) // 2

    @property
    def _normalise_near_bits(self) -> int:
        """Bits of the normalisation's distance that the near step takes."""
        return _levels(self.format.significand_bits + 4) // 2

    def _compare(self, p: Pipeline) -> None:
        f = self.format
        p.a_less = (p.a[:-1] - p.b[:-1])[-1]
        for x, value in (("a", p.a), ("b", p.b)):
            fraction, exponent = value[: f.fraction_bits], value[f.fraction_bits : -1]
            p[f"{x}_normal"] = exponent.any()
            p[f"{x}_top"] = exponent.all()
            p[f"{x}_nan"] = exponent.all() & fraction.any()
            if self.subnormals == "ieee":
                exponent = exponent | ~exponent.any()
            p[f"{x}_exponent"] = exponent
        p.subtract = p.a[-1] ^ p.b[-1]
        p.both_zero = ~(p.a_normal | p.b_normal)
        p.both_negative = p.a[-1] & p.b[-1]
        p.special = p.a_top | p.b_top
        p.nan = p.a_nan | p.b_nan | (p.a_top & p.b_top & p.subtract)
        # Both differences at once, so that the comparison only has to choose.
        p.a_distance = (p.b_exponent - p.a_exponent)[: f.exponent_bits]
        p.b_distance = (p.a_exponent - p.b_exponent)[: f.exponent_bits]

    def _swap(self, p: Pipeline) -> None:
        # All that alignment needs to know is found for both, before it is known which is small.
        self._prepare(p, "a")
        self._prepare(p, "b")
        less = p.a_less
        p.sign = Mux(less, p.b[-1], p.a[-1])
        p.exponent = Mux(less, p.b_exponent, p.a_exponent)
        p.large = Mux(less, p.b_significand, p.a_significand)
        p.small = Mux(less, p.a_significand, p.b_significand)
        p.distance = Mux(less, p.a_distance, p.b_distance)[: _levels(len(p.small) + 2)]
        p.gone = Mux(less, p.a_gone, p.b_gone)
        p.far_lost = Mux(less, p.a_far_lost, p.b_far_lost)

    def _prepare(self, p: Pipeline, x: str) -> None:
        """Significand of operand `x`, and what becomes of it if it is the small one."""
        f, flush = self.format, self.subnormals == "flush"
        normal, distance = p[f"{x}_normal"], p[f"{x}_distance"]
        # A flushed operand is nothing: it vanishes like one that is too far away, but without a
        # trace. The hidden bit of all others is one.
        significand = Cat(p[x][: f.fraction_bits], Const(1, 1) if flush else normal)
        p[f"{x}_significand"] = significand
        near, levels = self._align_near_bits, _levels(len(significand) + 2)
        extended, far = Cat(Const(0, 2), significand), distance[near:levels]
        lost = lost_by_shift(p.m, f"{x}_lost", extended, far, 1 << near)
        beyond = distance[levels:].any()
        lost = Mux(beyond, significand.any(), lost)
        p[f"{x}_far_lost"] = lost & normal if flush else lost
        p[f"{x}_gone"] = beyond | ~normal if flush else beyond

    def _align_far(self, p: Pipeline) -> None:
        extended = Cat(Const(0, 2), p.small)
        near = self._align_near_bits
        p.near_distance = p.distance[:near]
        p.far_aligned = extended >> (p.distance[near:] << near)

    def _align_near(self, p: Pipeline) -> None:
        # This step loses nothing: it keeps what it moves behind the last place, for the adder's
        # carry need not wait for it to be looked at.
        behind = (1 << len(p.near_distance)) - 1
        remains = Mux(p.gone, 0, p.far_aligned)
        p.aligned = Cat(Const(0, behind), remains) >> p.near_distance

    def _add(self, p: Pipeline) -> None:
        behind = len(p.aligned) - len(p.far_aligned)
        large = Cat(Const(0, behind + 2), p.large)
        inverted = p.aligned ^ p.subtract.replicate(len(large))
        # What the far step lost is still to be subtracted: it takes the one that would complete the
        # complement. That one comes in through a bit below, so that one carry chain does it all.
        total = Cat(Const(1, 1), large) + Cat(p.subtract & ~p.far_lost, inverted, p.subtract)
        lost = p.far_lost | p.aligned[:behind].any()
        p.total = Cat(lost, total[1 + behind : len(large) + 2])
        if self.subnormals == "ieee":
            # Where the leading one of the smallest normal number stands.
            p.lowest = Const(1 << (len(p.total) - 1), len(p.total)) >> p.exponent

    def _count(self, p: Pipeline) -> None:
        total = p.total
        if self.subnormals == "ieee":
            # A subnormal number moves no further to the left than if its leading one were there.
            p.zeros, _ = leading_zeros(p.m, "zeros", total | p.lowest)
            p.zero = ~total.any()
        else:
            p.zeros, some = leading_zeros(p.m, "zeros", total)
            p.zero = ~some | p.both_zero
        p.overflow = total[-1] & (p.exponent == self.format.max_exponent - 1)
        # Terms whose difference has more than one leading zero were at most one place apart, so
        # such a result is exact, and rounding needs only to look at the first two bits.
        two = total[3] & (total[:3].any() | total[4])
        one = total[2] & (total[:2].any() | total[3])
        none = total[1] & (total[0] | total[2])
        p.up = Mux(total[-1], two, Mux(total[-2], one, none))

    def _normalise_far(self, p: Pipeline) -> None:
        p.left = p.zeros
        near = self._normalise_near_bits
        p.far_moved = (p.total << (p.left[near:] << near))[: len(p.total)]

    def _normalise_near(self, p: Pipeline) -> None:
        f = self.format
        moved = (p.far_moved << p.left[: self._normalise_near_bits])[: len(p.far_moved)]
        p.kept = moved[-f.significand_bits :]
        # One less than the exponent, for the hidden bit is yet to be added to it.
        lowered = (p.exponent - p.left)[: max(f.exponent_bits, len(p.left)) + 1]
        p.final_exponent = lowered[: f.exponent_bits]
        p.none = p.zero if self.subnormals == "ieee" else p.zero | lowered[-1]
        p.clear = p.none | p.overflow | p.special
        p.final_sign = Mux(p.zero, p.both_negative, p.sign) & ~p.nan

    def _round(self, p: Pipeline) -> None:
        f = self.format
        hidden = Const(1, 1) if self.subnormals == "flush" else p.kept[-1]
        carry = Cat(p.up, Const(0, f.fraction_bits - 1), hidden)
        rounded = Cat(p.kept[:-1], p.final_exponent) + carry
        fraction = Mux(p.clear, Cat(Const(0, f.fraction_bits - 1), p.nan), rounded)
        exponent = Mux(p.none, 0, rounded[f.fraction_bits :])
        exponent = Mux(p.special, f.max_exponent, exponent)
        p.o = Cat(fraction[: f.fraction_bits], exponent[: f.exponent_bits], p.final_sign)


def _levels(width: int) -> int:
    """Bits of the distance by which a number of `width` bits can be shifted without vanishing."""
    return (width - 1).bit_length()
