"""Binary floating-point formats of the IEEE 754 kind."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FloatFormat:
    """An IEEE-style binary format: sign, biased exponent, fraction, from the top bit down.

    An exponent field of all ones means infinity (fraction zero) or NaN, one of all zeros means
    zero or a subnormal.

    Parameters
    ----------
    exponent_bits: int
        Width of the exponent field, at least 2.
    fraction_bits: int
        Width of the fraction field (the significand without its hidden bit), at least 2.

    Raises
    ------
    TypeError
        A width is not an integer.
    ValueError
        A width is less than 2.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        for name in ("exponent_bits", "fraction_bits"):
            width = getattr(self, name)
            if not isinstance(width, int) or isinstance(width, bool):
                raise TypeError(f"{name} must be an integer, not {width!r}")
            if width < 2:
                raise ValueError(f"{name} must be at least 2, not {width}")

    @property
    def width(self) -> int:
        """Bits of one number."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def significand_bits(self) -> int:
        """Bits of the significand, hidden bit included."""
        return self.fraction_bits + 1

    @property
    def bias(self) -> int:
        """What the exponent field of 1.0 holds."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def max_exponent(self) -> int:
        """The exponent field of all ones: infinity or NaN."""
        return (1 << self.exponent_bits) - 1

    @property
    def sign_mask(self) -> int:
        """The encoding of -0."""
        return 1 << (self.width - 1)

    @property
    def infinity(self) -> int:
        """The encoding of +infinity."""
        return self.max_exponent << self.fraction_bits

    @property
    def nan(self) -> int:
        """The canonical NaN: positive, quiet, the rest of the payload zero."""
        return self.infinity | 1 << (self.fraction_bits - 1)

    @property
    def smallest_normal(self) -> int:
        """The encoding of the least positive normal number."""
        return 1 << self.fraction_bits

    @property
    def largest_finite(self) -> int:
        """The encoding of the greatest finite number."""
        return self.infinity - 1

    @property
    def one(self) -> int:
        """The encoding of 1.0."""
        return self.bias << self.fraction_bits

    @property
    def name(self) -> str:
        """Short name, a valid part of an identifier: e8f23 for binary32."""
        return f"e{self.exponent_bits}f{self.fraction_bits}"


BINARY32 = FloatFormat(8, 23)
BINARY16 = FloatFormat(5, 10)
BFLOAT16 = FloatFormat(8, 7)
E5M2 = FloatFormat(5, 2)
E4M3 = FloatFormat(4, 3)

# By the names that people use.
NAMED = {
    "binary32": BINARY32,
    "binary16": BINARY16,
    "bfloat16": BFLOAT16,
    "e5m2": E5M2,
    "e4m3": E4M3,
}
