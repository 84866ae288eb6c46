"""Conversion between floating-point formats."""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Mux, Value

from hw.fp.bits import leading_zeros, lost_by_shift
from hw.fp.format import FloatFormat
from hw.fp.pipeline import Datapath, Pipeline, check_format


class Converter(Datapath):
    """i in another format, rounded to nearest even, one result each clock, `latency` clocks later.

    Signed zeros and infinities keep their sign; what is too large for the target becomes infinity,
    as in IEEE 754; every NaN becomes `target.nan`. Source and target may be the same: then only
    NaNs and, in "flush", subnormals change.

    Subnormals: "ieee" is IEEE 754 in full. "flush" takes an input that is subnormal in the source
    as zero of the same sign, converts that as IEEE does, and makes the result zero of the same sign
    if it is subnormal in the target; an input below the target's smallest normal number that IEEE
    rounds up to it stays.

    Parameters
    ----------
    source, target: FloatFormat
        Formats of input and output.
    subnormals: str
        "ieee" or "flush".
    stages: int
        Number of register ranks, 1 to 3; equal to `latency`.

    Members
    -------
    i: In(source.width)
        Number.
    o: Out(target.width)
        The same number, directly from registers.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind, or out of range.
    """

    STEPS = ("unpack", "shift", "round")
    _PLACES: ClassVar = {1: STEPS[2:], 2: STEPS[1:], 3: STEPS}
    REGISTERED: ClassVar = {"flush": _PLACES, "ieee": _PLACES}

    def __init__(
        self,
        source: FloatFormat,
        target: FloatFormat,
        *,
        subnormals: str = "flush",
        stages: int = 2,
    ) -> None:
        self.source = check_format("source", source)
        self.target = check_format("target", target)
        super().__init__({"i": source}, target, subnormals=subnormals, stages=stages)

    @property
    def module_name(self) -> str:
        """Name of the Verilog module, telling apart all that differs in content."""
        formats = f"{self.source.name}_{self.target.name}"
        return f"converter_{formats}_{self.subnormals}_{self.stages}"

    @property
    def _rebias(self) -> int:
        """What the target's exponent field holds more than the source's, for the same number."""
        return self.target.bias - self.source.bias

    @property
    def _kept_below(self) -> int:
        """Bits below the target's last place: at least one to round by, and one that is sticky."""
        return max(self.source.fraction_bits - self.target.fraction_bits, 2)

    def _unpack(self, p: Pipeline) -> None:
        s = self.source
        fraction, exponent = p.i[: s.fraction_bits], p.i[s.fraction_bits : -1]
        normal = exponent.any()
        p.sign = p.i[-1]
        p.special = exponent.all()
        p.nan = exponent.all() & fraction.any()
        if self.subnormals == "flush":
            # The hidden bit is one: zeros go their own way.
            significand = Cat(fraction, Const(1, 1))
            p.zero = ~normal
        else:
            significand = Cat(fraction, normal)
            exponent = exponent | ~normal
            p.zero = ~normal & ~fraction.any()
        self._plan_shift(p, significand, exponent)
        padding = self.target.fraction_bits + self._kept_below - s.fraction_bits
        p.significand = Cat(Const(0, padding), significand)
        p.exponent = exponent

    def _plan_shift(self, p: Pipeline, significand: Value, exponent: Value) -> None:
        """To the left where the target's range is wider, to the right where it is narrower."""
        s, t, rebias = self.source, self.target, self._rebias
        if rebias > 0 and self.subnormals == "ieee":
            # A number that is subnormal in the target too moves no further than if there were a
            # one where the target's smallest normal number has it.
            lowest = 1 << max(s.fraction_bits - rebias, 0)
            p.zeros, _ = leading_zeros(p.m, "zeros", significand | lowest)
        if rebias < 0:
            p.huge = exponent >= t.max_exponent - rebias
            p.below = exponent <= -rebias
            p.least = exponent == -rebias
            p.distance = ((1 - rebias) - exponent)[: s.exponent_bits]

    def _shift(self, p: Pipeline) -> None:
        """The significand where the target wants it, and one less than the exponent there."""
        rebias, width = self._rebias, self.target.exponent_bits
        lowered = p.exponent + (rebias - 1)
        lost = Const(0, 1)
        if self.subnormals == "flush" or rebias == 0:
            p.moved = p.significand
            p.lowered = lowered[:width]
        elif rebias > 0:
            p.moved = (p.significand << p.zeros)[: len(p.significand)]
            p.lowered = (lowered - p.zeros)[:width]
        else:
            lost = self._shift_right(p)
            p.lowered = Mux(p.below, 0, lowered[:width])
        p.sticky = p.moved[: self._kept_below - 1].any() | lost

    def _shift_right(self, p: Pipeline) -> Value:
        """Move what is subnormal in the target; the result says whether a one got lost."""
        furthest = self.target.fraction_bits + 2
        levels = min(furthest.bit_length(), len(p.distance))
        distance = p.distance[:levels] & p.below.replicate(levels)
        # Beyond, there is less than half of the least number: nothing, and nothing to round up.
        gone = p.below & (p.distance > furthest)
        p.moved = Mux(gone, 0, p.significand >> distance)
        return lost_by_shift(p.m, "lost", p.significand, distance)

    def _round(self, p: Pipeline) -> None:
        t, below = self.target, self._kept_below
        kept, guard = p.moved[below:], p.moved[below - 1]
        up = guard & (p.sticky | kept[0])
        none, infinity = p.zero, p.special
        if self._rebias < 0:
            infinity = infinity | p.huge
            if self.subnormals == "flush":
                # Below the smallest normal number IEEE rounds one place further left. All that it
                # makes of that is flushed, but for the carry out of a fraction of all ones.
                none = none | (p.below & ~(p.least & kept.all()))
                up = up | p.least
        rounded = Cat(kept[:-1], p.lowered) + Cat(up, Const(0, t.fraction_bits - 1), kept[-1])
        special = Cat(Const(0, t.fraction_bits - 1), p.nan)
        fraction = Mux(none | infinity, special, rounded[: t.fraction_bits])
        exponent = Mux(none, 0, rounded[t.fraction_bits : t.width - 1])
        exponent = Mux(infinity, t.max_exponent, exponent)
        p.o = Cat(fraction, exponent, p.sign & ~p.nan)
