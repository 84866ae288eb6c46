"""The golden model of groups, beside that of one array and the trainer of networks."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import MAPPINGS, Design
from hw.errors import InputError
from hw.groups import GroupedDesign, stage
from hw.pipelining import KINDS, Pipelining
from sim.golden import Golden, LearningRate, initial_weights
from sim.grouped import GroupedGolden, join_weights, split_weights
from sim.networks.activation import Activation
from sim.networks.dense import Dense
from sim.networks.network import Network
from sim.networks.trainer import Trainer

CONTINUOUS = ("sigmoid-exact", "tanh")


def grouped(schedule, groups, pes, mappings, activations, batch=1, **more):
    """A design; what differs from group to group is given for each."""
    below = ["", *(names[-1] for names in activations)]
    batch = 2 if schedule == "ping-pong" else batch
    designs = [
        Design(
            layers=layers,
            processing_elements=pes[number],
            mapping=mappings[number],
            activation=",".join(activations[number]),
            batch=batch,
            stage=stage(number, len(groups), schedule, batch, below[number], groups[-1][-1]),
            **more,
        )
        for number, layers in enumerate(groups)
    ]
    return GroupedDesign(designs=tuple(designs), schedule=schedule)


@st.composite
def described(draw, names=CONTINUOUS, last=None):
    """Layers, PEs, mappings and activations of 2 to 5 groups, in 2 to 6 layers of weights."""
    count = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.integers(1, 8), min_size=count + 1, max_size=count + 1))
    inner = st.sets(st.integers(1, count - 1), min_size=1, max_size=4)
    bounds = [0, *sorted(draw(inner)), count]
    groups = [tuple(sizes[a : b + 1]) for a, b in itertools.pairwise(bounds)]
    pes, mappings, activations = [], [], []
    for number, layers in enumerate(groups):
        top = number == len(groups) - 1
        mapping = [draw(st.sampled_from(MAPPINGS)) for _ in layers[2:]]
        mappings.append((*mapping, draw(st.sampled_from(MAPPINGS)) if top else "column"))
        activations.append([draw(st.sampled_from(names)) for _ in layers[1:]])
        pes.append(draw(st.integers(1, 5)))
    if last:
        activations[-1][-1] = last
    return groups, pes, mappings, activations


def samples(design, count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, design.layers[-1])).astype(np.float32)
    return rng.normal(size=(count, design.layers[0])).astype(np.float32), labels


def trained(design, data, learning, batch=1, seed=1):
    golden = GroupedGolden(design, initial_weights(design.layers, seed), learning, batch)
    steps = [(*step, weights.copy()) for *step, weights in golden.train(*data)]
    return golden, steps


def arrays(weights):
    return [*weights.weights, *weights.biases]


def same(found, expected):
    """Whether sequences of arrays are equal in every bit."""
    return all(
        np.array_equal(a.view(np.uint32), b.view(np.uint32))
        for a, b in zip(found, expected, strict=True)
    )


@given(
    about=described((*CONTINUOUS, "sigmoid", "relu", "identity")),
    pes=st.integers(1, 5),
    count=st.integers(1, 12),
    batch=st.integers(1, 5),
    halve_every=st.integers(0, 5),
    data=st.data(),
)
def test_exact_schedules_are_those_of_one_array(about, pes, count, batch, halve_every, data):
    """Every bit of every sample and all weights in the making, with the last batch short."""
    schedule = data.draw(st.sampled_from(["sequential", "fill-drain"]))
    batch = 1 if schedule == "sequential" else batch
    groups, _, mappings, activations = about
    design = grouped(schedule, groups, [pes] * len(groups), mappings, activations, batch)
    learning = LearningRate(rate=0.5, halve_every=halve_every, floor=0.1, age=1)
    inputs, labels = samples(design, count, 1)
    golden, steps = trained(design, (inputs, labels), learning, batch)
    whole = Design(
        layers=design.layers,
        processing_elements=pes,
        mapping=design.mapping,
        activation=",".join(design.activations),
        batch=batch,
    )
    one = Golden(whole, initial_weights(design.layers, 1), learning, batch)
    by_sample = [
        sorted(step[:1] + step[2:] for step in steps if step[1] == n) for n in range(count)
    ]
    for n, found in enumerate(by_sample):
        sample = one.train(inputs[n], labels[n], last=n == count - 1)
        assert [step[0] for step in found] == list(range(len(groups)))
        for name in ("sums", "activations"):
            assert same([v for _, s, _ in found for v in getattr(s, name)], getattr(sample, name))
        assert same([v for _, s, _ in found for v in s.deltas], sample.deltas)
        assert same(arrays(join_weights([w for *_, w in found])), arrays(one.made))
    assert same(arrays(golden.weights), arrays(one.weights))


class ByEntry(Pipelining):
    """A schedule whose units are numbered in the order in which they enter."""

    def steps(self, units):
        for step in super().steps(units + 2 * self.length):
            number = step.unit
            if self.pipelines == 2:
                number = 2 * self.entry(step.unit) + step.pipeline
            if number < units:
                yield step._replace(unit=number)


class Halved(Dense):
    """Both of two outputs learn, in opposite directions, what is meant for one: half each."""

    def backward(self, parameters, kept, delta):
        delta, gradients = super().backward(parameters, kept, delta)
        return delta, {name: value / 2 for name, value in gradients.items()}


def network(groups, activations):
    """The same for the trainer of networks: one output, as the first of a softmax of two."""
    made = []
    for layers, names in zip(groups, activations, strict=True):
        of_group = []
        for (inputs, outputs), name in zip(itertools.pairwise(layers), names, strict=True):
            of_group += [Dense(inputs, outputs), Activation(name.removesuffix("-exact"))]
        made.append(tuple(of_group))
    made[-1] = (*made[-1][:-2], Halved(groups[-1][-2], 2))
    return Network((groups[0][0],), tuple(made))


def parameters(design, weights, double):
    """`weights` as the trainer has them, in float64 of half the last layer each way, or back."""
    found = []
    for part in split_weights(design, weights):
        of_group = []
        for w, b in zip(part.weights, part.biases, strict=True):
            of_group += [{"weights": w.astype(float), "biases": b.astype(float)}, {}]
        found.append(of_group)
    found[-1].pop()
    if double:
        last = found[-1][-1]
        for name, value in last.items():
            last[name] = np.concatenate([value / 2, -value / 2])
    return found


@settings(deadline=None)
@given(
    about=described(last="sigmoid-exact"),
    count=st.integers(1, 40),
    halve_every=st.integers(0, 4).map(lambda n: 6 * n),
    schedule=st.sampled_from(KINDS),
    batch=st.integers(1, 3),
)
def test_it_trains_as_the_declared_schedule_does(about, count, halve_every, schedule, batch):
    """Beside the trainer of networks, in float64; of ping-pong runs also odd ones."""
    groups, pes, mappings, activations = about
    groups = [*groups[:-1], (*groups[-1][:-1], 1)]
    batch = batch if schedule == "fill-drain" else 1
    design = grouped(schedule, groups, pes, mappings, activations, batch, table_degree=2)
    learning = LearningRate(rate=0.3, halve_every=halve_every, floor=0.1)
    inputs, labels = samples(design, count - count % batch, 2)
    golden, _ = trained(design, (inputs, labels), learning, batch)
    trainer = Trainer(
        network(groups, activations),
        parameters(design, initial_weights(design.layers, 1), double=True),
        ByEntry(kind=schedule, groups=len(groups), batch=batch),
        learning,
    )
    trainer.train(inputs.astype(float), np.concatenate([labels, 1 - labels], axis=1).astype(float))
    last = trainer.parameters[-1][-1]
    for name, value in last.items():
        last[name] = value[:1] - value[1:]
    found = parameters(design, golden.weights, double=False)
    for of_group, expected in zip(found, trainer.parameters, strict=True):
        for layer, exact in zip(of_group, expected, strict=True):
            for name, value in layer.items():
                np.testing.assert_allclose(value, exact[name], atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("schedule", KINDS)
def test_a_pass_sees_the_weights_that_lack_so_many_updates(schedule):
    groups = [(5, 4), (4, 6, 3), (3, 4), (4, 2)]
    mappings = [("column",), ("row", "column"), ("column",), ("row",)]
    activations = [[*names] for names in (["tanh"], ["tanh", "sigmoid"], ["relu"], ["sigmoid"])]
    batch = 3 if schedule == "fill-drain" else 1
    design = grouped(schedule, groups, [3, 2, 4, 1], mappings, activations, batch)
    data = samples(design, 60, 3)
    learning = LearningRate(rate=0.2)
    _, steps = trained(design, data, learning, batch)
    start = split_weights(design, initial_weights(design.layers, 1))
    pipelining = design.pipelining(batch)
    inputs, seen = list(data[0]), 0
    for number, of_group in enumerate(design.designs):
        own = [step for step in steps if step[0] == number]
        assert [sample for _, sample, *_ in own] == list(range(60))
        versions = [start[number], *(weights for *_, weights in own)]
        for _, n, sample, _ in own[20:]:
            late = pipelining.late("forward", number, n % pipelining.pipelines)
            one = Golden(of_group, versions[n - n % batch - late], learning)
            assert same(one.forward_pass(inputs[n])[0], sample.sums)
            seen += late > 0
        inputs = [sample.activations[-1] for _, _, sample, _ in own]
    assert (seen > 0) == (schedule in ("delayed", "ping-pong"))


def test_both_of_a_pair_see_the_same_weights_and_change_them_one_after_the_other():
    design = grouped("ping-pong", [(4, 3, 2)], [2], [("row", "column")], [["tanh", "sigmoid"]])
    data = samples(design, 7, 5)
    learning = LearningRate(rate=0.25, halve_every=3)
    golden, steps = trained(design, data, learning)
    one = Golden(
        design.designs[0], initial_weights((4, 3, 2), 1), dataclasses.replace(learning, rate=0.5), 2
    )
    for n, (_, sample, found, made) in enumerate(steps):
        expected = one.train(data[0][n], data[1][n], last=n == 6)
        assert sample == n
        assert same(found.deltas, expected.deltas)
        assert same(arrays(made), arrays(one.made))
    assert same(arrays(golden.weights), arrays(one.weights))


@pytest.mark.parametrize("schedule", KINDS)
def test_forward_and_infer(schedule):
    groups, mappings = [(4, 3), (3, 5, 2)], [("column",), ("row", "column")]
    design = grouped(schedule, groups, [2, 2], mappings, [["tanh"], ["relu", "sigmoid"]])
    golden = GroupedGolden(design, initial_weights(design.layers, 1), LearningRate(rate=0.1))
    (x,), (y,) = samples(design, 1, 4)
    whole = Design(
        layers=design.layers,
        processing_elements=2,
        mapping=design.mapping,
        activation="tanh,relu,sigmoid",
    )
    one = Golden(whole, initial_weights(design.layers, 1), LearningRate(rate=0.1))
    expected = one.forward(x, y)
    first, second = golden.forward(x, y)
    assert same([*first.sums, *second.sums], expected.sums)
    assert same([*first.activations, *second.activations], expected.activations)
    assert first.deltas == ()
    assert same(second.deltas, expected.deltas)
    assert same([golden.infer(x)], [one.infer(x)])
    assert same(arrays(golden.weights), arrays(one.weights))


def test_no_samples_and_a_batch_too_large():
    design = grouped("delayed", [(2, 2), (2, 1)], [1, 1], [("column",), ("row",)], [["tanh"]] * 2)
    weights = initial_weights(design.layers, 1)
    golden = GroupedGolden(design, weights, LearningRate(rate=0.1))
    assert list(golden.train(*samples(design, 0, 1))) == []
    with pytest.raises(InputError, match="batch must be 1 to 1, not 2"):
        GroupedGolden(design, weights, LearningRate(rate=0.1), 2)


@pytest.mark.parametrize("schedule", KINDS)
@pytest.mark.parametrize("told", [0, 1, 7])
def test_told_to_stop(schedule, told):
    """The run is that of the samples of batches that had begun to enter."""
    batch = 4 if schedule == "fill-drain" else 1
    groups = [(3, 4), (4, 2), (2, 2)]
    mappings, names = [("column",), ("column",), ("row",)], [("tanh",)] * 3
    design = grouped(schedule, groups, [2, 3, 1], mappings, names, batch)
    data, learning = samples(design, 20, 3), LearningRate(rate=0.3)
    golden = GroupedGolden(design, initial_weights(design.layers, 1), learning, batch)
    passed = []
    for group, sample, *_ in golden.train(*data, lambda: len(passed) >= told):
        passed.append((group, sample))
    count = len({sample for _, sample in passed})
    assert set(passed) == {(group, sample) for group in range(3) for sample in range(count)}
    assert count % design.batch == 0 and (0 < count < 20) == (told > 0)
    shorter, steps = trained(design, [each[:count] for each in data], learning, batch)
    assert same(arrays(golden.weights), arrays(shorter.weights))
    assert [tuple(step[:2]) for step in steps] == passed
