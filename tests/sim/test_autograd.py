"""The golden model's gradients, beside those that PyTorch's autograd finds in float64."""

import itertools

import numpy as np
import pytest

from hw.activation import table
from hw.design import ACTIVATIONS, Design
from hw.groups import GroupedDesign, stage
from sim.golden import Golden, LearningRate, Weights
from sim.grouped import GroupedGolden

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

# FP32 rounds sums and weights of about 1; the interpolated functions err by less than 1e-6.
CLOSE = 1e-5

FUNCTIONS = {
    "sigmoid": torch.sigmoid,
    "sigmoid-exact": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda z: z,
}
# The error at the outputs is activation - label whatever their function f: that is the gradient,
# by the sums z, of the loss F(z) - label z, F being the integral of f. For the sigmoid it is the
# cross-entropy, for the identity the squared error (but for constants).
INTEGRALS = {
    "sigmoid": torch.nn.functional.softplus,
    "sigmoid-exact": torch.nn.functional.softplus,
    "tanh": lambda z: z + torch.nn.functional.softplus(-2 * z),
    "relu": lambda z: torch.relu(z) ** 2 / 2,
    "identity": lambda z: z**2 / 2,
}


def random_weights(design, seed):
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(design.layers))
    return Weights(
        tuple(rng.normal(0, 1 / np.sqrt(i), (o, i)).astype(np.float32) for i, o in pairs),
        tuple(rng.normal(0, 0.5, o).astype(np.float32) for _, o in pairs),
    )


def random_samples(design, seed):
    rng = np.random.default_rng(seed)
    size = (design.batch, design.layers[0])
    labels = rng.integers(0, 2, (design.batch, design.layers[-1]))
    return rng.random(size, np.float32), labels.astype(np.float32)


def golden_gradients(design, start, inputs, labels):
    """What one batch changes the weights by, at a rate of 1, with the sign turned."""
    if isinstance(design, GroupedDesign):
        golden = GroupedGolden(design, start, LearningRate(rate=1), design.batch)
        assert len(list(golden.train(inputs, labels))) == len(inputs) * len(design.designs)
    else:
        golden = Golden(design, start, LearningRate(rate=1), design.batch)
        for x, y in zip(inputs, labels, strict=True):
            golden.train(x, y)
    before, after = ([*w.weights, *w.biases] for w in (start, golden.weights))
    return [old.astype(np.float64) - new for old, new in zip(before, after, strict=True)]


def autograd_gradients(design, start, inputs, labels):
    """Of the mean loss over the batch."""
    weights = [torch.tensor(w.astype(np.float64), requires_grad=True) for w in start.weights]
    biases = [torch.tensor(b.astype(np.float64), requires_grad=True) for b in start.biases]
    a, y = (torch.tensor(array.astype(np.float64)) for array in (inputs, labels))
    for w, b, name in zip(weights, biases, design.activations, strict=True):
        z = a @ w.T + b
        a = FUNCTIONS[name](z)
    loss = (INTEGRALS[design.activations[-1]](z) - y * z).sum() / len(inputs)
    loss.backward()
    return [parameter.grad.numpy() for parameter in (*weights, *biases)]


def compare(design, atol=CLOSE, seeds=range(3)):
    largest = 0
    for seed in seeds:
        start, samples = random_weights(design, seed), random_samples(design, seed)
        exact = autograd_gradients(design, start, *samples)
        largest = max(largest, *(np.abs(gradient).max() for gradient in exact))
        for found, gradient in zip(golden_gradients(design, start, *samples), exact, strict=True):
            np.testing.assert_allclose(found, gradient, atol=atol, rtol=0, err_msg=f"seed {seed}")
    assert largest > 0.1


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("last", ACTIVATIONS)
def test_every_pair_of_activations(activation, last, batch):
    compare(
        Design(
            layers=(6, 5, 3),
            processing_elements=4,
            mapping=("row", "column"),
            activation=f"{activation},{last}",
            table_degree=2,
            batch=batch,
        )
    )


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize(
    "layers, pes, mapping",
    [
        ((3, 1), 1, ("row",)),
        ((9, 4), 3, ("column",)),
        ((1, 1, 1, 1), 2, ("column", "row", "column")),
        ((12, 7, 5), 5, ("column", "row")),
        ((5, 8, 6, 4, 2), 8, ("row", "column", "row", "column")),
        ((5, 8, 6, 4, 2), 3, ("column", "column", "row", "row")),
        ((64, 20, 10), 20, ("row", "column")),
    ],
)
def test_topologies(layers, pes, mapping, batch):
    names = itertools.cycle(("tanh", "relu", "sigmoid-exact"))
    activation = ",".join(itertools.islice(names, len(layers) - 1))
    compare(
        Design(
            layers=layers,
            processing_elements=pes,
            mapping=mapping,
            activation=activation,
            table_degree=1,
            batch=batch,
        )
    )


@pytest.mark.parametrize("batch", [1, 5])
def test_groups(batch):
    """The batch of a machine of groups, with other PEs and mappings in each."""
    groups = {(6, 5): "tanh", (5, 8, 4): "relu,sigmoid-exact", (4, 3): "tanh", (3, 2): "identity"}
    mappings = [("column",), ("row", "column"), ("column",), ("row",)]
    below, designs = "", []
    for number, (layers, names) in enumerate(groups.items()):
        designs.append(
            Design(
                layers=layers,
                processing_elements=4 - number,
                mapping=mappings[number],
                activation=names,
                table_degree=2,
                batch=batch,
                stage=stage(number, len(groups), "fill-drain", batch, below, 2),
            )
        )
        below = names.split(",")[-1]
    compare(GroupedDesign(designs=tuple(designs), schedule="fill-drain"))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_tables_without_interpolation(activation):
    """In one layer the gradient is (a - y) x, whose error is that of the table, for x up to 1."""
    design = Design(layers=(6, 3), processing_elements=3, mapping=("row",), activation=activation)
    compare(design, atol=table.error_bound(activation, design.table_entries) + CLOSE)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare(design)
