"""Outputs and gradients of whole networks, beside those of PyTorch's own layers."""

import numpy as np
import pytest

from sim.networks.activation import Activation
from sim.networks.convolution import Convolution, MaxPool
from sim.networks.dense import Dense, Flatten, Last
from sim.networks.network import Network, backward, cross_entropy, forward
from sim.networks.recurrent import LSTM, Recurrent

torch = pytest.importorskip("torch", reason="PyTorch (torch) is not installed")

CLOSE = {np.float32: 1e-5, np.float64: 1e-12}


class Sequence(torch.nn.Module):
    """A recurrent layer of PyTorch and a dense one for its last step."""

    def __init__(self, kind, inputs, size, outputs):
        super().__init__()
        self.recurrent = kind(inputs, size, batch_first=True)
        self.dense = torch.nn.Linear(size, outputs)

    def forward(self, x):
        return self.dense(self.recurrent(x)[0][:, -1])

    def ours(self):
        """The recurrent layer's parameters as a Dense layer and a recurrence, then the others."""
        r = self.recurrent
        first = {"weights": r.weight_ih_l0, "biases": r.bias_ih_l0}
        second = {"weights": r.weight_hh_l0, "biases": r.bias_hh_l0}
        if isinstance(r, torch.nn.RNN):
            # Our recurrence has no biases: Dense has them.
            torch.nn.init.zeros_(second.pop("biases"))
        return [[first], [second, {}], [linear(self.dense)]]


def linear(layer):
    return {"weights": layer.weight, "biases": layer.bias}


def dense(name):
    function = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}[name]
    theirs = torch.nn.Sequential(torch.nn.Linear(7, 6), function(), torch.nn.Linear(6, 4))
    groups = ((Dense(7, 6), Activation(name)), (Dense(6, 4),))
    return Network((7,), groups), theirs, [[linear(theirs[0]), {}], [linear(theirs[2])]]


def convolutional():
    nn = torch.nn
    first = (nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.ReLU())
    theirs = nn.Sequential(
        *first, nn.Conv2d(3, 4, 2), nn.MaxPool2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 5)
    )
    groups = (
        (Convolution(2, 3, 3), MaxPool(2), Activation("relu")),
        (Convolution(3, 4, 2), MaxPool(3), Activation("tanh")),
        (Flatten(), Dense(8, 5)),
    )
    parameters = [
        [linear(theirs[0]), {}, {}],
        [linear(theirs[3]), {}, {}],
        [{}, linear(theirs[7])],
    ]
    return Network((2, 10, 16), groups), theirs, parameters


def recurrent(ours, theirs, gates):
    size = 6
    found = Sequence(theirs, 3, size, 4)
    groups = ((Dense(3, gates * size),), (ours(size), Last()), (Dense(size, 4),))
    return Network((5, 3), groups), found, found.ours()


CASES = {
    "relu": lambda: dense("relu"),
    "tanh": lambda: dense("tanh"),
    "sigmoid": lambda: dense("sigmoid"),
    "convolution": convolutional,
    "RNN": lambda: recurrent(Recurrent, torch.nn.RNN, 1),
    "LSTM": lambda: recurrent(LSTM, torch.nn.LSTM, 4),
}


def gradients(network, parameters, x, labels):
    """Outputs, losses, deltas of the inputs, gradients by group and layer."""
    kept = []
    for layers, of_group in zip(network.groups, parameters, strict=True):
        x, of_pass = forward(layers, of_group, x)
        kept.append(of_pass)
    losses, delta = cross_entropy(x, labels)
    found = []
    for layers, of_group, of_pass in zip(
        network.groups[::-1], parameters[::-1], kept[::-1], strict=True
    ):
        delta, of_weights = backward(layers, of_group, of_pass, delta)
        found.insert(0, of_weights)
    return x, losses, delta, found


@pytest.mark.parametrize("dtype", CLOSE, ids=lambda t: t.__name__)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("case", CASES)
def test_gradients(case, batch, dtype):
    rng = np.random.default_rng(batch)
    torch.manual_seed(batch)
    network, theirs, named = CASES[case]()
    theirs.double()
    parameters = [
        [
            {name: value.detach().numpy().astype(dtype) for name, value in layer.items()}
            for layer in group
        ]
        for group in named
    ]
    x = rng.standard_normal((batch, *network.inputs)).astype(dtype)
    classes = rng.integers(4, size=batch)
    their_x = torch.tensor(x.astype(np.float64), requires_grad=True)
    their_outputs = theirs(their_x)
    loss = torch.nn.CrossEntropyLoss(reduction="none")(their_outputs, torch.tensor(classes))
    loss.sum().backward()
    labels = np.eye(their_outputs.shape[1], dtype=dtype)[classes]
    outputs, losses, delta, found = gradients(network, parameters, x, labels)

    def close(ours, exact):
        np.testing.assert_allclose(ours, exact.detach().numpy(), rtol=0, atol=CLOSE[dtype])

    close(outputs, their_outputs)
    close(losses, loss)
    close(delta, their_x.grad)
    largest = 0
    for group, of_group in zip(named, found, strict=True):
        for layer, of_layer in zip(group, of_group, strict=True):
            assert layer.keys() == of_layer.keys()
            for name, value in layer.items():
                close(of_layer[name], value.grad)
                largest = max(largest, value.grad.abs().max().item())
    assert largest > 0.1
