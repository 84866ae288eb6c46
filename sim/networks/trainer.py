"""Stochastic gradient descent by a schedule of groups, replayed step by step."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hw.errors import InputError
from hw.pipelining import Pipelining, Step
from sim.golden import LearningRate, halved
from sim.networks.layer import Array, Parameters
from sim.networks.network import Network, backward, cross_entropy, forward

Report = Callable[[int, int], None]


class Trainer:
    """Trains a network as a machine with that schedule does: each pass with the weights it sees.

    The loss is the cross entropy of the softmax. An update is the sum of its samples' gradients
    times the learning rate, divided by the samples that an update takes in.

    Recurrent networks want a limit of what one update may do: where the norm of a group's gradient,
    divided by those samples, exceeds it, the gradient is made as short (R. Pascanu et al., "On the
    difficulty of training recurrent neural networks", 2013). A group knows its own gradient alone.

    Parameters
    ----------
    network : to train.
    parameters : to start from, by group and layer; they are copied.
    schedule : of as many groups as the network has.
    learning : learning rate; it is halved at the start of a batch.
    samples : of a unit of the schedule.
    limit : of that norm.

    Members
    -------
    parameters : as they are now.

    Raises InputError if the schedule has other groups than the network, or `samples` is not 1 or
    more.
    """

    def __init__(
        self,
        network: Network,
        parameters: list[list[Parameters]],
        schedule: Pipelining,
        learning: LearningRate,
        samples: int = 1,
        limit: float = math.inf,
    ) -> None:
        if schedule.groups != len(network.groups):
            raise InputError(
                f"schedule must have {len(network.groups)} groups, not {schedule.groups}"
            )
        if samples < 1:
            raise InputError(f"samples of a unit must be 1 or more, not {samples}")
        self.network = network
        self.schedule = schedule
        self.samples = samples
        self.parameters = [
            [{name: value.copy() for name, value in layer.items()} for layer in group]
            for group in parameters
        ]
        self._learning = learning
        self._limit = limit
        # What is under way, by group and unit.
        self._inputs: dict[tuple[int, int], Array] = {}
        self._kept: dict[tuple[int, int], list[Any]] = {}
        self._deltas: dict[tuple[int, int], Array] = {}
        # Of the batch in hand, by group and pipeline.
        self._gradients: dict[tuple[int, int], list[Parameters]] = {}

    def train(
        self, inputs: Array, labels: Array, order: Array | None = None, report: Report | None = None
    ) -> None:
        """A run, from an empty pipeline to an empty one.

        `inputs` and `labels` have a row for each sample; `order` are the rows to train on, one
        after the other, if not all in turn. The last unit is short if they are no multiple of its
        samples. `report` is called after each update of group 0, the last group to have it, with
        the number of the unit and of all units.
        """
        order = np.arange(len(inputs)) if order is None else order
        units = -(-len(order) // self.samples)
        for step in self.schedule.steps(units):
            if step.operation == "forward":
                rows = order[step.unit * self.samples :][: self.samples]
                self._forward(step, inputs[rows], labels[rows])
            elif step.operation == "backward":
                self._backward(step)
            else:
                self._update(step)
                if report and step.group == 0:
                    report(step.unit, units)

    def _forward(self, step: Step, inputs: Array, labels: Array) -> None:
        group, unit = step.group, step.unit
        if group == 0:
            x = inputs.reshape(-1, *self.network.inputs)
        else:
            x = self._inputs.pop((group, unit))
        y, kept = forward(self.network.groups[group], self.parameters[group], x)
        self._kept[group, unit] = kept
        if group == self.schedule.groups - 1:
            self._deltas[group, unit] = cross_entropy(y, labels)[1]
        else:
            self._inputs[group + 1, unit] = y

    def _backward(self, step: Step) -> None:
        group, unit = step.group, step.unit
        kept, delta = (store.pop((group, unit)) for store in (self._kept, self._deltas))
        layers, parameters = self.network.groups[group], self.parameters[group]
        delta, gradients = backward(layers, parameters, kept, delta)
        if group:
            self._deltas[group - 1, unit] = delta
        place = (group, step.pipeline)
        if place in self._gradients:
            for sums, more in zip(self._gradients[place], gradients, strict=True):
                for name, value in more.items():
                    sums[name] += value
        else:
            self._gradients[place] = gradients

    def _update(self, step: Step) -> None:
        gradients = self._gradients.pop((step.group, step.pipeline))
        rate = self._rate(step.unit) * self._shortened(gradients)
        for parameters, of_layer in zip(self.parameters[step.group], gradients, strict=True):
            for name, value in of_layer.items():
                parameters[name] -= rate * value

    def _shortened(self, gradients: list[Parameters]) -> np.float32:
        """Factor that makes a group's gradient no longer than the limit."""
        if self._limit == math.inf:
            return np.float32(1)
        squares = sum(float(np.vdot(g, g)) for layer in gradients for g in layer.values())
        norm = math.sqrt(squares) / (self.samples * self.schedule.batch)
        return np.float32(min(1, self._limit / norm)) if norm else np.float32(1)

    def _rate(self, unit: int) -> float:
        """Of the update that `unit` ends; the same in every group."""
        rate, floor = self._learning.words(self.samples * self.schedule.batch)
        if self._learning.halve_every:
            first = unit - unit % self.schedule.batch
            age = self._learning.age + first * self.samples
            for _ in range(age // self._learning.halve_every):
                rate = halved(rate, floor)
        return rate
