import numpy as np
import pytest

from hw.errors import InputError
from sim.datasets import accuracy, load, red


def test_red_is_what_the_docs_say():
    data = red(500, 100, seed=1)
    assert data.train_inputs.shape == (500, 3)
    assert data.test_labels.shape == (100, 1)
    bytes_ = data.train_inputs * 256
    assert (bytes_ == bytes_.astype(int)).all()
    others = (bytes_[:, 1] + bytes_[:, 2]) / 2
    np.testing.assert_array_equal(data.train_labels[:, 0], bytes_[:, 0] > others + 64)
    assert 0.1 < data.train_labels.mean() < 0.5


def test_the_seed_decides():
    np.testing.assert_array_equal(red(9, 9, 1).test_inputs, red(9, 9, 1).test_inputs)
    assert (red(9, 9, 1).test_inputs != red(9, 9, 2).test_inputs).any()


@pytest.mark.parametrize(
    ("name", "layers", "samples", "message"),
    [
        ("blue", (3, 1), 10, "data must be one of red, digits, idx:FOLDER, not 'blue'"),
        ("idx", (3, 1), 10, "not 'idx'"),
        ("idx:", (3, 1), 10, "not 'idx:'"),
        ("idx:nowhere", (3, 1), 10, "nowhere must hold train-images-idx3-ubyte or .*gz"),
        ("red", (4, 1), 10, "needs 3 inputs and 1 output, not 4 and 1"),
        ("red", (3, 1), 0, "samples must be 1 or more, not 0"),
    ],
)
def test_bad_data_sets(name, layers, samples, message):
    with pytest.raises(InputError, match=message):
        load(name, layers, samples, 10, 1)


def test_accuracy():
    one = np.float32([[0.9], [0.2], [0.5]])
    assert accuracy(one, np.float32([[1], [1], [0]])) == pytest.approx(2 / 3)
    several = np.float32([[0.1, 0.2], [0.4, 0.3]])
    assert accuracy(several, np.float32([[0, 1], [0, 1]])) == 0.5
