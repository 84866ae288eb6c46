"""Accuracy over samples, from the golden model, to which the hardware is equal in every bit."""

import numpy as np

from gradwire import paper
from gradwire.report.model import Learning, Point
from gradwire.training import Progress, Task, cross_entropies
from hw.design import Design
from sim import datasets
from sim.golden import Golden

_POINTS = 10


def learn(design: Design, task: Task, command: str, progress: Progress) -> Learning:
    """Train, and test on all test samples from time to time.

    Raises InputError if the data do not fit the network.
    """
    data = task.load(design)
    golden = Golden(design, task.start(design), task.learning(design.batch), design.batch)
    ends = {int(end) for end in np.linspace(0, task.samples, _POINTS + 1)}
    work = task.samples + len(ends) * task.tests
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done % 100 == 0 or done == work:
            progress("training the golden model", done, work)

    def point(samples: int, outputs: list[np.ndarray]) -> Point:
        """Accuracy now, and the mean loss of the last samples, whose outputs these were."""
        found = []
        for x in data.test_inputs:
            found.append(golden.infer(x))
            step()
        labels = data.train_labels[samples - len(outputs) : samples]
        mean = float(cross_entropies(np.array(outputs), labels).mean()) if outputs else np.inf
        return Point(
            samples=samples,
            accuracy=datasets.accuracy(np.array(found), data.test_labels),
            loss=mean if np.isfinite(mean) else None,
        )

    points: list[Point] = [point(0, [])]
    outputs: list[np.ndarray] = []
    for index, (x, y) in enumerate(zip(data.train_inputs, data.train_labels, strict=True), 1):
        outputs.append(golden.train(x, y, index == task.samples).activations[-1])
        step()
        if index in ends:
            points.append(point(index, outputs))
            outputs = []
    known = paper.ACCURACY.get(design.topology, {})
    return Learning(
        data=task.data,
        rate=task.rate,
        seed=task.seed,
        points=tuple(points),
        tests=task.tests,
        paper=tuple(Point(samples=n, accuracy=found, loss=None) for n, found in known.items()),
        command=command,
    )
