"""Samples trained a second: the golden model, numpy with BLAS and PyTorch, on one core.

784-100-100-10, batch 1, the same samples and initial weights. `make bench` runs it, with one thread
for the libraries. Time is the processor's: on a busy machine it counts what was had of the core.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hw.schedule import design_for
from sim import datasets
from sim.golden import Golden, LearningRate, initial_weights

try:
    import torch
except ImportError:
    torch = None

LAYERS = (784, 100, 100, 10)
PES = 100
RATE = 0.02
ROUNDS = 5
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def golden(activation, start):
    design = design_for(LAYERS, PES, activation=activation)
    return Golden(design, start, LearningRate(rate=RATE)).train


def numpy_blas(activation, start):
    """The same network and loss in plain numpy; additions in the order that BLAS likes."""
    weights, biases = start.copy().weights, start.copy().biases
    changes = [np.empty_like(w) for w in weights]
    hidden = activation.split(",")[0]

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def train(x, y):
        a = [x]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            z = w @ a[-1] + b
            a.append(np.maximum(z, 0) if hidden == "relu" else sigmoid(z))
        delta = sigmoid(weights[-1] @ a[-1] + biases[-1]) - y
        for n in reversed(range(len(weights))):
            slope = (a[n] > 0) if hidden == "relu" else a[n] * (1 - a[n])
            below = (weights[n].T @ delta) * slope if n else None
            scaled = np.float32(RATE) * delta
            np.multiply(scaled[:, None], a[n], out=changes[n])
            np.subtract(weights[n], changes[n], out=weights[n])
            np.subtract(biases[n], scaled, out=biases[n])
            delta = below

    return train


def pytorch(activation, start):
    torch.set_num_threads(1)
    hidden = torch.nn.ReLU if activation.split(",")[0] == "relu" else torch.nn.Sigmoid
    model = torch.nn.Sequential()
    for w, b in zip(start.weights, start.biases, strict=True):
        layer = torch.nn.Linear(w.shape[1], w.shape[0])
        layer.weight.data, layer.bias.data = torch.tensor(w), torch.tensor(b)
        model.extend([layer, hidden()])
    model = model[:-1]
    # The sigmoid of the outputs is part of the loss.
    loss = torch.nn.BCEWithLogitsLoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), RATE)

    def train(x, y):
        optimizer.zero_grad()
        loss(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()

    return train


def samples(folder, count):
    """MNIST's, or random ones of the same shape; and what they are."""
    if folder.is_dir():
        found = datasets.load(f"idx:{folder}", LAYERS, count, 1, 1)
        return found.train_inputs, found.train_labels, "MNIST"
    rng = np.random.default_rng(1)
    labels = np.eye(LAYERS[-1], dtype=np.float32)[rng.integers(LAYERS[-1], size=count)]
    return rng.random((count, LAYERS[0]), np.float32), labels, f"random data: no folder {folder}"


def measure(trainers, inputs, labels):
    """Samples a second of each, in its best round; the rounds take turns."""
    rounds = [[] for _ in trainers]
    for part in np.array_split(np.arange(len(inputs)), ROUNDS):
        for train, seconds in zip(trainers, rounds, strict=True):
            began = time.process_time()
            for index in part:
                train(inputs[index], labels[index])
            seconds.append((time.process_time() - began) / len(part))
    return [1 / min(seconds) for seconds in rounds]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=MNIST, help="folder with MNIST's files")
    parser.add_argument("--samples", type=int, default=10_000)
    options = parser.parse_args()
    inputs, labels, what = samples(options.data, options.samples)
    contenders = {"golden model": golden, "numpy with BLAS": numpy_blas}
    if torch:
        contenders["PyTorch"] = pytorch
    table = Table(title=f"784-100-100-10, batch 1, one core, {what}")
    table.add_column("hidden layers")
    table.add_column("trained by")
    table.add_column("samples a second", justify="right")
    table.add_column("golden model to this", justify="right")
    for activation, gain in (("relu,relu,sigmoid", 1.4), ("sigmoid", 2.0)):
        start = initial_weights(LAYERS, 1, gain)
        made = [make(activation, start) for make in contenders.values()]
        rates = measure(made, inputs, labels)
        for name, rate in zip(contenders, rates, strict=True):
            table.add_row(activation.split(",")[0], name, f"{rate:,.0f}", f"{rates[0] / rate:.2f}")
    console = Console()
    console.print(table)
    if not torch:
        console.print("PyTorch is not installed: it is left out")


if __name__ == "__main__":
    main()
