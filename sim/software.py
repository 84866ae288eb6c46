"""Other software that trains a network, to be measured beside the machine: numpy, and PyTorch.

Batch 1, the network and loss of the machine, additions in whatever order is fastest. `python -m
sim.software 784-100-100-10 relu,relu,sigmoid` prints a line of JSON for each. Threads are what the
environment says (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS).
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hw.design import parse_topology
from sim.golden import Weights, initial_weights

try:
    import torch
except ImportError:
    torch = None

RATE = 0.02

#: Trains on one sample: inputs and labels, float32.
Train = Callable[[np.ndarray, np.ndarray], None]

_POWERCAP = Path("/sys/class/powercap")
_ROUNDS = 5
_SECONDS = 0.5  # of a round
_SAMPLES = 64  # random ones, trained on again and again
_GAIN = 1.4

# Each function, and its derivative by its value.
_FUNCTIONS: Mapping[str, tuple[Callable, Callable]] = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda a: a > 0),
    "identity": (lambda z: z, lambda a: 1),
}


def plain(activation: str) -> str:
    """The function that a machine's activation function computes."""
    return activation.removesuffix("-exact")


def numpy_blas(activations: tuple[str, ...], start: Weights) -> Train:
    """Plain numpy, whose products of matrices are its BLAS'; it trains the weights `start`."""
    weights, biases = start.weights, start.biases
    changes = [np.empty_like(w) for w in weights]
    functions = [_FUNCTIONS[plain(name)] for name in activations]

    def train(x: np.ndarray, y: np.ndarray) -> None:
        a = [x]
        for w, b, (function, _) in zip(weights, biases, functions, strict=True):
            a.append(function(w @ a[-1] + b))
        delta = a[-1] - y
        for n in reversed(range(len(weights))):
            below = (weights[n].T @ delta) * functions[n - 1][1](a[n]) if n else None
            scaled = np.float32(RATE) * delta
            np.multiply(scaled[:, None], a[n], out=changes[n])
            np.subtract(weights[n], changes[n], out=weights[n])
            np.subtract(biases[n], scaled, out=biases[n])
            delta = below

    return train


def pytorch(activations: tuple[str, ...], start: Weights) -> Train:
    """PyTorch's layers, loss and optimizer; they train the weights `start`."""
    modules = {
        "sigmoid": torch.nn.Sigmoid,
        "tanh": torch.nn.Tanh,
        "relu": torch.nn.ReLU,
        "identity": torch.nn.Identity,
    }
    model = torch.nn.Sequential()
    for w, b, name in zip(start.weights, start.biases, activations, strict=True):
        layer = torch.nn.Linear(w.shape[1], w.shape[0])
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
        model.extend([layer, modules[plain(name)]()])
    model, last = model[:-1], model[-1]
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    cross_entropy = torch.nn.BCEWithLogitsLoss(reduction="sum")

    def train(x: np.ndarray, y: np.ndarray) -> None:
        optimizer.zero_grad()
        sums, labels = model(torch.from_numpy(x)), torch.from_numpy(y)
        if plain(activations[-1]) == "sigmoid":
            cross_entropy(sums, labels).backward()
        else:
            # The loss that goes with the function: its derivative is the error of the outputs.
            sums.backward(last(sums.detach()) - labels)
        optimizer.step()

    return train


def contenders() -> dict[str, Callable[[tuple[str, ...], Weights], Train]]:
    """What is installed, by name and version."""
    found = {f"numpy {np.__version__}": numpy_blas}
    if torch:
        found[f"PyTorch {importlib.metadata.version('torch')}"] = pytorch
    return found


def energy_uj(folder: Path = _POWERCAP) -> list[tuple[int, int]] | None:
    """Energy counters of the processor's packages in uJ, and where they begin anew.

    None where the kernel has none, or keeps them for itself.
    """
    try:
        packages = sorted(folder.glob("intel-rapl:[0-9]*"))
        found = [
            (int((p / "energy_uj").read_text()), int((p / "max_energy_range_uj").read_text()))
            for p in packages
            if p.name.count(":") == 1
        ]
    except (OSError, ValueError):
        return None
    return found or None


def used_uj(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> int:
    """Energy between two readings that are less than a round of the counters apart."""
    return sum(
        (now - then) % (most + 1) for (then, most), (now, _) in zip(before, after, strict=True)
    )


def measure(train: Train, inputs: np.ndarray, labels: np.ndarray) -> tuple[float, float | None]:
    """Samples a second in the best of several rounds, and energy of a sample in uJ, if known.

    Time is the processor's: on a busy machine it counts what was had of the core. Energy is that
    of the processor's packages, with all that runs on them.
    """
    best, trained = 0.0, 0
    before = energy_uj()
    for _ in range(_ROUNDS):
        began, count, seconds = time.process_time(), 0, 0.0
        while seconds < _SECONDS:
            with np.errstate(all="ignore"):
                for x, y in zip(inputs, labels, strict=True):
                    train(x, y)
            count += len(inputs)
            seconds = time.process_time() - began
        best = max(best, count / seconds)
        trained += count
    after = energy_uj()
    return best, used_uj(before, after) / trained if before and after else None


def main(topology: str, activation: str) -> None:
    """Measure all that is installed; a line of JSON for each."""
    layers = parse_topology(topology)
    names = tuple(activation.split(","))
    activations = names * (len(layers) - 1) if len(names) == 1 else names
    rng = np.random.default_rng(1)
    inputs = rng.random((_SAMPLES, layers[0]), np.float32)
    labels = np.eye(layers[-1], dtype=np.float32)[rng.integers(layers[-1], size=_SAMPLES)]
    start = initial_weights(layers, 1, _GAIN)
    for name, make in contenders().items():
        rate, energy = measure(make(activations, start.copy()), inputs, labels)
        print(
            json.dumps({"name": name, "samples_per_second": rate, "energy_uj": energy}), flush=True
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
