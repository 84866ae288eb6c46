"""The activation functions as the hardware computes them, bit for bit."""

import functools

import numpy as np

from hw.activation.interpolation import POSITION_BITS, RANGE, RESULT_BITS, segments

Array = np.ndarray

# The tables of sigmoid and tanh cover -8 to 8 and -4 to 4.
_TABLE_RANGES = {"sigmoid": 8, "tanh": 4}


def activate(name: str, value: Array, entries: int, degree: int) -> Array:
    """Activation function `name` of a float32 array.

    `entries` and `degree` are those of the design's tables of sigmoid and tanh.
    """
    with np.errstate(all="ignore"):
        if name == "identity":
            return value
        if name == "relu":
            return np.where(np.signbit(value) & ~np.isnan(value), np.float32(0), value)
        if name == "sigmoid-exact":
            return interpolate("sigmoid", value, 512, 2)
        if degree:
            return interpolate(name, value, entries, degree)
        return look_up(name, value, entries)


def look_up(function: str, value: Array, entries: int) -> Array:
    """From a table of both halves of the range."""
    half = entries // 2
    with np.errstate(invalid="ignore"):  # NaN
        scaled = np.abs(value.astype(np.float64)) * (half / _TABLE_RANGES[function])
    step = np.fmin(scaled, half - 1).astype(np.int64)
    found = _table(function, entries)[step + half * np.signbit(value)]
    return np.where(np.isnan(value), np.float32(np.nan), found)


@functools.cache
def _table(function: str, entries: int) -> Array:
    half = entries // 2
    middles = (np.arange(half) + 0.5) * _TABLE_RANGES[function] / half
    both = np.concatenate([middles, -middles])
    exact = np.tanh(both) if function == "tanh" else 1 / (1 + np.exp(-both))
    return exact.astype(np.float32)


def interpolate(function: str, value: Array, entries: int, degree: int) -> Array:
    """By the polynomials of hw.activation.interpolation, in fixed point."""
    c0, c1, c2 = segments(entries, degree).coefficients
    with np.errstate(invalid="ignore"):  # NaN
        magnitude = np.abs(value.astype(np.float64)) * (2 if function == "tanh" else 1)
    beyond = ~(magnitude < RANGE)
    places = np.where(beyond, 0, magnitude) * (entries / RANGE) * 2.0**POSITION_BITS
    fixed = places.astype(np.int64)
    step, t = fixed >> POSITION_BITS, fixed % (1 << POSITION_BITS) - (1 << (POSITION_BITS - 1))
    slope = c1[step] + (c2[step] * t >> POSITION_BITS)
    result = c0[step] + (slope * t >> POSITION_BITS)
    result = np.where(beyond, (1 << RESULT_BITS) - (1 << (RESULT_BITS - 24)), result)
    half = 1 << (RESULT_BITS - 1)
    if function == "tanh":
        result = np.where(result >= half, 2 * (result - half), 0)
        result = np.where(np.abs(value) < np.finfo(np.float32).tiny, 0, result)
    else:
        result = np.where(np.signbit(value), (1 << RESULT_BITS) - result, result)
    found = (result / 2.0**RESULT_BITS).astype(np.float32)
    if function == "tanh":
        found = np.copysign(found, value)
    return np.where(np.isnan(value), np.float32(np.nan), found)
