"""Samples as they are stored: what goes into SDRAM, and through the core's stream."""

import numpy as np

from hw.design import Design
from hw.errors import InputError


def pack(design: Design, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Records of samples, one row each; shape (samples, Design.record_words), uint32.

    Raises InputError if a shape is not the design's, or if inputs are to be stored as bytes and
    one is no byte / 256.
    """
    for name, rows, size in (
        ("inputs", inputs, design.layers[0]),
        ("labels", labels, design.labels),
    ):
        if rows.ndim != 2 or rows.shape[1] != size:
            raise InputError(f"{name} must have the shape (samples, {size}), not {rows.shape}")
    if len(inputs) != len(labels):
        raise InputError(
            f"there must be as many labels as inputs, not {len(labels)} and {len(inputs)}"
        )
    stored = _words(np.asarray(inputs, np.float32))
    if design.sample_format == "bytes":
        stored = _packed(np.asarray(inputs, np.float32))
    return np.concatenate([stored, _words(np.asarray(labels, np.float32))], axis=1)


def _words(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows).view(np.uint32)


def _unfit(inputs: np.ndarray) -> np.ndarray:
    scaled = inputs * np.float32(256)
    # A negative zero is no byte either.
    return (scaled != np.floor(scaled)) | np.signbit(inputs) | (scaled > 255)


def _packed(inputs: np.ndarray) -> np.ndarray:
    unfit = inputs[_unfit(inputs)]
    if unfit.size:
        raise InputError(
            f"inputs that are stored as bytes must be 0, 1, ... 255 / 256, not {unfit[0]:g}"
        )
    width = -(-inputs.shape[1] // 4) * 4
    stored = np.zeros((len(inputs), width), np.uint8)
    stored[:, : inputs.shape[1]] = inputs * np.float32(256)
    return stored.view("<u4").astype(np.uint32)
