"""The replay of schedules, beside training that is written down in another way."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import Design
from hw.errors import InputError
from hw.pipelining import KINDS, Pipelining
from sim.golden import Golden, LearningRate, initial_weights
from sim.networks.activation import Activation
from sim.networks.dense import Dense
from sim.networks.network import Network, backward, cross_entropy, forward
from sim.networks.table import MODELS
from sim.networks.trainer import Trainer

RATE = LearningRate(rate=0.5)


def dense(groups):
    """A network of so many groups of one dense layer each."""
    hidden = [(Dense(4, 4), Activation("tanh"))] * (groups - 1)
    return Network((4,), (*hidden, (Dense(4, 3),)))


def samples(count, seed=1, shape=(4,), classes=3):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((count, *shape)).astype(np.float32)
    return inputs, np.eye(classes, dtype=np.float32)[rng.integers(classes, size=count)]


def trained(network, schedule, data, learning=RATE, unit=1, seed=1):
    trainer = Trainer(network, network.initial(seed), schedule, learning, unit)
    trainer.train(*data)
    return trainer.parameters


def equal(a, b):
    return all(
        (x[name].view(np.uint32) == y[name].view(np.uint32)).all()
        for group_a, group_b in zip(a, b, strict=True)
        for x, y in zip(group_a, group_b, strict=True)
        for name in x
    )


def plain(network, data, batch, rate):
    """Mini-batch SGD, sample after sample, without a schedule."""
    parameters = network.initial(1)
    sums = None
    for number, (x, label) in enumerate(zip(*data, strict=True), 1):
        x, kept = x[None], []
        for layers, of_group in zip(network.groups, parameters, strict=True):
            x, of_pass = forward(layers, of_group, x)
            kept.append(of_pass)
        delta, found = cross_entropy(x, label[None])[1], []
        for layers, of_group, of_pass in zip(
            network.groups[::-1], parameters[::-1], kept[::-1], strict=True
        ):
            delta, gradients = backward(layers, of_group, of_pass, delta)
            found.insert(0, gradients)
        sums = found if sums is None else added(sums, found)
        if number % batch == 0 or number == len(data[0]):
            parameters, sums = moved(parameters, sums, np.float32(rate / batch)), None
    return parameters


def each(function, *trees):
    return [
        [
            {name: function(*(layer[name] for layer in layers)) for name in layers[0]}
            for layers in zip(*groups, strict=True)
        ]
        for groups in zip(*trees, strict=True)
    ]


def added(a, b):
    return each(lambda x, y: x + y, a, b)


def moved(parameters, gradients, rate):
    return each(lambda p, g: p - rate * g, parameters, gradients)


def by_versions(network, schedule, data):
    """Each group's weights of every version, and each pass with the version that it declares."""
    groups, last = network.groups, len(network.groups) - 1
    versions = [[group] for group in network.initial(1)]
    units = len(data[0])
    # In the order of the updates, by their own number.
    order = sorted(range(units), key=lambda u: (schedule.entry(u), schedule.pipeline(u)))

    def seen(operation, group, number, unit):
        late = schedule.late(operation, group, schedule.pipeline(unit))
        return number - min(late, number)

    # A version may be used long after it was made, so all units are done group by group as soon
    # as what they need is there.
    outputs, deltas, kept = {}, {}, {}
    todo = [(op, g, n) for op in ("forward", "backward") for g in range(last + 1) for n in order]
    while todo:
        later = []
        for op, group, unit in todo:
            number = order.index(unit)
            version = seen(op, group, number, unit)
            needs = outputs if op == "forward" else deltas
            ready = (op == "forward" and group == 0) or (group, unit) in needs
            newest = len(versions[group]) - 1
            if not ready or version > newest or (op == "backward" and number > newest):
                later.append((op, group, unit))
                continue
            parameters = versions[group][version]
            if op == "forward":
                x = data[0][unit][None] if group == 0 else outputs[group, unit]
                y, kept[group, unit] = forward(groups[group], parameters, x)
                outputs[group + 1, unit] = y
                if group == last:
                    deltas[group, unit] = cross_entropy(y, data[1][unit][None])[1]
            else:
                delta, gradients = backward(
                    groups[group], parameters, kept[group, unit], deltas[group, unit]
                )
                deltas[group - 1, unit] = delta
                (new,) = moved([versions[group][number]], [gradients], np.float32(RATE.rate))
                assert newest == number
                versions[group].append(new)
        assert len(later) < len(todo)
        todo = later
    return [of_group[-1] for of_group in versions]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 20), st.integers(0, 9))
@settings(max_examples=30)
def test_fill_drain_is_mini_batch_descent(groups, batch, count, seed):
    """Bit for bit, and so is sequential."""
    network, data = dense(groups), samples(count, seed)
    expected = plain(network, data, batch, RATE.rate)
    for kind in ("sequential", "fill-drain"):
        schedule = Pipelining(kind=kind, groups=groups, batch=batch)
        assert equal(trained(network, schedule, data), expected)


@given(st.integers(1, 4), st.integers(1, 2), st.integers(0, 9))
@settings(max_examples=20)
def test_delayed_weights_by_version(groups, blocks, seed):
    """Bit for bit what the declared lateness says, with old weights kept instead of a replay."""
    network = dense(groups)
    for kind in ("delayed", "ping-pong"):
        schedule = Pipelining(kind=kind, groups=groups)
        data = samples(2 * blocks * schedule.length, seed)
        assert equal(trained(network, schedule, data), by_versions(network, schedule, data))


def test_schedules_differ_where_they_should():
    network, data = dense(3), samples(20)
    found = [trained(network, Pipelining(kind=kind, groups=3), data) for kind in KINDS]
    assert equal(found[0], found[1])
    assert not any(equal(found[a], found[b]) for a, b in ((0, 2), (0, 3), (2, 3)))


def test_one_group_is_exact_with_one_pipeline():
    network, data = dense(1), samples(9)
    found = [trained(network, Pipelining(kind=kind, groups=1), data) for kind in KINDS]
    assert equal(found[0], found[1]) and equal(found[0], found[2])
    assert not equal(found[0], found[3])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_schedule_on_every_network(name, kind):
    """It runs, changes every parameter, and the seed decides."""
    model = MODELS[name]
    network = model.network
    schedule = Pipelining(kind=kind, groups=len(network.groups))
    data = samples(7, shape=network.inputs, classes=10)
    found = trained(network, schedule, data, model.learning(60_000), unit=2)
    start = network.initial(1)
    assert equal(found, trained(network, schedule, data, model.learning(60_000), unit=2))
    for group, before in zip(found, start, strict=True):
        for layer, old in zip(group, before, strict=True):
            for parameter in layer:
                assert (layer[parameter] != old[parameter]).any(), parameter
                assert np.isfinite(layer[parameter]).all()
    other = trained(network, schedule, data, model.learning(60_000), unit=2, seed=2)
    assert not equal(found, other)


def test_the_machine_learns_the_same():
    """Its golden model, within rounding: sigmoid in one layer, by cross entropy of two classes."""
    design = Design(
        layers=(4, 1), processing_elements=1, mapping=("row",), activation="sigmoid-exact", batch=3
    )
    learning = LearningRate(rate=0.8, halve_every=6, floor=0.1)
    inputs, _ = samples(30)
    labels = (inputs.sum(axis=1) > 0).astype(np.float32)
    start = initial_weights(design.layers, 1)
    golden = Golden(design, start, learning, 3)
    for x, y in zip(inputs, labels, strict=True):
        golden.train(x, y[None])
    # The softmax of (z, 0) is the sigmoid of z; the second output's weights stay out of it.
    network = Network((4,), ((Dense(4, 2),),))
    schedule = Pipelining(kind="sequential", groups=1, batch=3)
    weights = np.concatenate([start.weights[0] / 2, -start.weights[0] / 2])
    parameters = [[{"weights": weights, "biases": np.zeros(2, np.float32)}]]
    half = dataclasses.replace(learning, rate=0.4, floor=0.05)
    trainer = Trainer(network, parameters, schedule, half)
    trainer.train(inputs, np.stack([labels, 1 - labels], axis=1))
    (((found,),)) = trainer.parameters
    difference = found["weights"][0] - found["weights"][1]
    np.testing.assert_allclose(difference, golden.weights.weights[0][0], atol=1e-5)
    bias = found["biases"][0] - found["biases"][1]
    np.testing.assert_allclose(bias, golden.weights.biases[0][0], atol=1e-5)


def test_the_rate_is_halved():
    network, data = dense(1), samples(8)
    schedule = Pipelining(kind="sequential", groups=1, batch=2)
    falling = LearningRate(rate=0.4, halve_every=4, floor=0.15)
    trainer = Trainer(network, network.initial(1), schedule, falling)
    trainer.train(data[0][:4], data[1][:4])
    second = Trainer(network, trainer.parameters, schedule, LearningRate(rate=0.2))
    second.train(data[0][4:], data[1][4:])
    assert equal(trained(network, schedule, data, falling), second.parameters)


def test_the_limit_of_a_gradient():
    """A long gradient of a group is made as short as the limit, another is left as it is."""
    network, data = dense(2), samples(6)
    schedule = Pipelining(kind="fill-drain", groups=2, batch=3)

    def moved_by(limit):
        trainer = Trainer(network, network.initial(1), schedule, RATE, samples=2, limit=limit)
        trainer.train(*data)
        changes = each(np.subtract, trainer.parameters, network.initial(1))
        return [np.linalg.norm([np.linalg.norm(v) for x in g for v in x.values()]) for g in changes]

    free = moved_by(np.inf)
    assert moved_by(10) == free
    assert min(free) > 0.01
    np.testing.assert_allclose(moved_by(0.01), [RATE.rate * 0.01] * 2, rtol=1e-5)
    # A group's limit is of its own gradient: the shorter one stays as it is.
    between, longer = moved_by(np.mean(free) / RATE.rate), np.argmax(free)
    assert between[1 - longer] == free[1 - longer] and between[longer] < free[longer]


def test_bad_trainers():
    network = dense(2)
    with pytest.raises(InputError, match="schedule must have 2 groups, not 3"):
        Trainer(network, network.initial(1), Pipelining(kind="delayed", groups=3), RATE)
    with pytest.raises(InputError, match="samples of a unit must be 1 or more, not 0"):
        Trainer(network, network.initial(1), Pipelining(kind="delayed", groups=2), RATE, 0)


def test_reports():
    network, said = dense(2), []
    trainer = Trainer(
        network, network.initial(1), Pipelining(kind="fill-drain", groups=2, batch=2), RATE, 2
    )
    trainer.train(*samples(10), report=lambda *done: said.append(done))
    assert said == [(1, 5), (3, 5), (4, 5)]
