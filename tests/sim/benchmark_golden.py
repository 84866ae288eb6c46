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
from sim import datasets, software
from sim.golden import Golden, LearningRate, initial_weights

LAYERS = (784, 100, 100, 10)
PES = 100
ROUNDS = 5
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def golden(activation, start):
    design = design_for(LAYERS, PES, activation=",".join(activation))
    return Golden(design, start, LearningRate(rate=software.RATE)).train


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
    contenders = {"golden model": golden} | software.contenders()
    table = Table(title=f"784-100-100-10, batch 1, one core, {what}")
    table.add_column("hidden layers")
    table.add_column("trained by")
    table.add_column("samples a second", justify="right")
    table.add_column("golden model to this", justify="right")
    for activation, gain in (("relu,relu,sigmoid", 1.4), ("sigmoid", 2.0)):
        start = initial_weights(LAYERS, 1, gain)
        each = activation.split(",") if "," in activation else [activation] * (len(LAYERS) - 1)
        made = [make(tuple(each), start.copy()) for make in contenders.values()]
        rates = measure(made, inputs, labels)
        for name, rate in zip(contenders, rates, strict=True):
            table.add_row(activation.split(",")[0], name, f"{rate:,.0f}", f"{rates[0] / rate:.2f}")
    console = Console()
    console.print(table)
    if not software.torch:
        console.print("PyTorch is not installed: it is left out")


if __name__ == "__main__":
    main()
