"""What the arithmetic must give, and the operands that are likely to catch it failing.

Two references that share nothing with the hardware: numpy's float32, and float64 arithmetic with
one correct rounding to any format of up to 8 exponent bits and 25 fraction bits.
"""

import numpy as np

OPERATIONS = ("add", "multiply")


def flush(format, bits):
    """`bits` with every subnormal number replaced by the zero of its sign."""
    subnormal = (bits & format.infinity) == 0
    return np.where(subnormal, bits & format.sign_mask, bits).astype(np.uint32)


def expected(format, operation, subnormals, a, b):
    """The right results of `a` and `b`, arrays of encodings, as an array of encodings."""
    if subnormals == "flush":
        a, b = flush(format, a), flush(format, b)
    result = _round(format, *_exact(operation, _decode(format, a), _decode(format, b)))
    return flush(format, result) if subnormals == "flush" else result


def converted(source, target, subnormals, bits):
    """The right conversions of `bits`, an array of encodings, as an array of encodings."""
    if subnormals == "flush":
        bits = flush(source, bits)
    result = _round(target, _decode(source, bits), 0)
    return flush(target, result) if subnormals == "flush" else result


def expected_float32(operation, subnormals, a, b):
    """As `expected`, for binary32, by numpy's float32."""
    from hw.fp.format import BINARY32

    if subnormals == "flush":
        a, b = flush(BINARY32, a), flush(BINARY32, b)
    with np.errstate(all="ignore"):
        result = getattr(np, operation)(a.view(np.float32), b.view(np.float32))
    bits = np.where(np.isnan(result), np.uint32(BINARY32.nan), result.view(np.uint32))
    return flush(BINARY32, bits) if subnormals == "flush" else bits


def _decode(format, bits):
    """The value of each encoding, exactly, in float64."""
    bits = bits.astype(np.int64)
    fraction = bits & (format.smallest_normal - 1)
    exponent = (bits >> format.fraction_bits) & format.max_exponent
    significand = np.where(exponent > 0, fraction + format.smallest_normal, fraction)
    power = np.maximum(exponent, 1) - format.bias - format.fraction_bits
    value = np.ldexp(significand.astype(np.float64), power)
    value = np.where(exponent == format.max_exponent, np.where(fraction, np.nan, np.inf), value)
    return np.where(bits & format.sign_mask, -value, value)


def _exact(operation, x, y):
    """Result in float64, and the sign of what it lacks to the exact one."""
    with np.errstate(all="ignore"):
        if operation == "multiply":
            return x * y, np.zeros(x.shape)
        total = x + y
        # The rounding error of a sum, exactly (Knuth, TAOCP 2, 4.2.2, theorem B).
        other = total - x
        rest = (x - (total - other)) + (y - other)
    return total, np.where(np.isfinite(total), np.sign(rest), 0)


def _round(format, value, rest):
    """Encodings of `value` plus a trifle of sign `rest`, rounded once, to nearest even."""
    # Rounded to odd, a float64 keeps all that a later rounding to fewer bits can depend on
    # (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008).
    even = (value.view(np.int64) & 1) == 0
    value = np.where(even & (rest != 0), np.nextafter(value, np.copysign(np.inf, rest)), value)
    magnitude = np.where(np.isfinite(value), np.abs(value), 0)
    exponent = np.where(magnitude > 0, np.frexp(magnitude)[1] - 1, -np.inf)
    exponent = np.maximum(exponent, 1 - format.bias).astype(np.int64)
    units = np.rint(np.ldexp(magnitude, format.fraction_bits - exponent)).astype(np.int64)
    # The hidden bit counts one exponent; so does the carry of a fraction that rounds up to 2.
    bits = units + ((exponent + format.bias - 1) << format.fraction_bits)
    bits = np.minimum(np.where(np.isinf(value), format.infinity, bits), format.infinity)
    bits = np.where(np.signbit(value), bits | format.sign_mask, bits)
    return np.where(np.isnan(value), format.nan, bits).astype(np.uint32)


def all_pairs(format):
    """Every pair of operands, in random order: neighbours that are alike hide missing registers."""
    count = 1 << format.width
    pairs = np.random.default_rng(4).permutation(np.arange(count * count, dtype=np.uint32))
    return pairs // np.uint32(count), pairs % np.uint32(count)


def random_pairs(format, count, seed):
    """Pairs of operands, most of them where adders and multipliers are likely to be wrong.

    Exponents close together, or apart by about the significand's width; products about the least
    and the greatest number; fractions of all ones, of few bits, nearly equal ones (cancellation);
    and the special encodings.
    """
    random = np.random.default_rng(seed)
    f, top = format.fraction_bits, format.max_exponent

    def draw(low, high):
        return random.integers(low, high, count, endpoint=True)

    near, far = draw(-3, 3), draw(-f - 4, f + 4)
    a_exponent = draw(0, top)
    relations = [
        (a_exponent, a_exponent + near),
        (a_exponent, a_exponent + far),
        (a_exponent, format.bias + far - a_exponent),
        (a_exponent, top + format.bias + near - a_exponent),
        (draw(0, f + 5), draw(0, f + 5)),
        (a_exponent, draw(0, top)),
    ]
    which = draw(0, len(relations) - 1)
    exponents = [
        np.clip(np.choose(which, choice), 0, top) for choice in zip(*relations, strict=True)
    ]
    fractions = [_fractions(format, draw), _fractions(format, draw)]
    mask = format.smallest_normal - 1
    fractions[1] = np.where(draw(0, 3) == 0, (fractions[0] + near) & mask, fractions[1])
    special = np.array(_specials(format))
    pair = []
    for exponent, fraction in zip(exponents, fractions, strict=True):
        bits = draw(0, 1) * format.sign_mask | exponent << f | fraction
        bits = np.where(draw(0, 11) == 0, special[draw(0, len(special) - 1)], bits)
        pair.append(bits.astype(np.uint32))
    swapped = draw(0, 1) == 1
    return np.where(swapped, *pair), np.where(swapped, *reversed(pair))


def random_sources(source, target, count, seed):
    """Numbers to convert, most of them where that is likely to be wrong.

    Magnitudes about the target's least and greatest numbers, ties of its rounding and their
    neighbours, and the special encodings.
    """
    random = np.random.default_rng(seed)

    def draw(low, high):
        return random.integers(low, high, count, endpoint=True)

    rebias, near = source.bias - target.bias, draw(-2, 2)
    exponents = [
        draw(0, source.max_exponent),
        rebias - draw(-2, target.fraction_bits + 3),
        rebias + target.max_exponent + near,
        rebias + draw(0, target.max_exponent),
    ]
    exponent = np.clip(np.choose(draw(0, 3), exponents), 0, source.max_exponent)
    # A one, or zeros, or ones behind some place: ties, and the halves of subnormal numbers' places.
    place = draw(0, source.fraction_bits - 1)
    tie = (draw(0, source.smallest_normal - 1) >> place | 1) << place
    mask = source.smallest_normal - 1
    tie = (tie + np.where(draw(0, 1), near, 0)) & mask
    fraction = np.where(draw(0, 1) == 1, tie, _fractions(source, draw))
    bits = draw(0, 1) * source.sign_mask | exponent << source.fraction_bits | fraction
    special = np.array(_specials(source))
    bits = np.where(draw(0, 11) == 0, special[draw(0, len(special) - 1)], bits)
    return bits.astype(np.uint32)


def _fractions(format, draw):
    mask = format.smallest_normal - 1
    anything, place = draw(0, mask), draw(0, format.fraction_bits - 1)
    kinds = [
        anything,
        anything,
        anything >> place << place,
        anything >> place,
        mask >> place << place,
        mask >> place,
        1 << place,
        mask ^ 1 << place,
    ]
    return np.choose(draw(0, len(kinds) - 1), kinds)


def _specials(format):
    one, normal, infinity = format.one, format.smallest_normal, format.infinity
    positive = [0, 1, 2, normal - 2, normal - 1, normal, normal + 1, 2 * normal - 1, 2 * normal]
    positive += [one - 1, one, one + 1, infinity - 2, infinity - 1, infinity, infinity + 1]
    positive += [format.nan, format.nan + 1, format.sign_mask - 1]
    return [sign | bits for bits in positive for sign in (0, format.sign_mask)]
