import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hw.errors import InputError
from sim.datasets import load
from sim.idx import read_idx

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def idx_bytes(array: np.ndarray) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """A data set of 20 and 8 images of 2 x 3 pixels in three classes."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 20), ("t10k", 8)):
        images, labels = rng.integers(0, 256, (count, 2, 3)), np.arange(count) % 3
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    return tmp_path


def test_images_and_labels(folder):
    data = load(f"idx:{folder}", (6, 4, 3), 20, 8, seed=3)
    images = read_idx(folder / "t10k-images-idx3-ubyte", 3).reshape(8, 6)
    np.testing.assert_array_equal(data.test_inputs * 256, images)
    np.testing.assert_array_equal(data.test_labels.argmax(axis=1), np.arange(8) % 3)
    assert data.train_inputs.dtype == data.train_labels.dtype == np.float32
    rows = {row.tobytes() for row in data.train_inputs}
    assert len(rows) == 20  # every image once in an epoch


def test_epochs_are_shuffled_anew(folder):
    data = load(f"idx:{folder}", (6, 3), 45, 1, seed=3)
    first, second = data.train_inputs[:20], data.train_inputs[20:40]
    assert len(data.train_inputs) == 45
    assert (first != second).any()
    assert {row.tobytes() for row in first} == {row.tobytes() for row in second}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"\0\0", "a header of 16 bytes, not 2 bytes"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros(30)), "magic number 0x00000803, not 0x0"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((20, 2, 3)))[:-1], "120 bytes .* not 119"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((20, 2, 3))) + b"x", "120 .* not 121"),
        ("train-images-idx3-ubyte", b"\x1f\x8bnonsense", "cannot be read"),
        ("train-images-idx3-ubyte", gzip.compress(b"x" * 999, mtime=0)[:-9], "cannot be read"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((19, 2, 3))), "not 20 for 19"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((20, 2, 2))), "needs 4 inputs, not 6"),
        ("train-labels-idx1-ubyte", idx_bytes(np.full(20, 3)), "below 3 outputs, not 3"),
    ],
)
def test_bad_files(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(f"idx:{folder}", (6, 3), 20, 8, seed=1)


def test_more_tests_than_there_are(folder):
    with pytest.raises(InputError, match=r"tests must be 1 to 8 for .*, not 9"):
        load(f"idx:{folder}", (6, 3), 20, 9, seed=1)


@pytest.mark.skipif(not MNIST.is_dir(), reason="the MNIST files are not beside the checkout")
def test_mnist():
    data = load(f"idx:{MNIST}", (784, 10), 60_000, 10_000, seed=1)
    assert data.train_inputs.shape == (60_000, 784)
    assert data.test_labels.sum(axis=0).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_digits():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    data = load("digits", (64, 10), 3000, 297, seed=1)
    assert data.train_inputs.shape == (3000, 64)
    assert data.test_inputs.max() == 1
