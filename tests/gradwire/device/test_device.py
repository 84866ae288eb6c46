"""One driver over every transport: the same session gives the golden model's bits."""

import contextlib
import dataclasses
import signal

import numpy as np
import pytest

from gradwire import Counters, Device, MemoryMapped, Simulation, Uart, learning_after
from gradwire.device import simulation as module
from hw.errors import InputError, ToolError
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import find_chip
from hw.system import System
from sim.bench.axi_host import simulated_core
from sim.bench.link import simulated
from sim.bench.log import flatten
from sim.cycles import CycleModel
from sim.datasets import red
from sim.golden import Golden, LearningRate, Weights, initial_weights
from sim.initial import seeded_weights
from sim.order import run_order
from sim.supply import Epochs, SupplyModel

DESIGN = design_for((3, 3, 3, 1), batch=4, seeded_weights=True)
START = initial_weights(DESIGN.layers, 3)
LEARNING = LearningRate(rate=0.75, halve_every=12, floor=0.1)
DATA = red(40, 20, seed=1)


def system(design):
    # 4 clocks a bit: a byte takes 40.
    return System(make_schedule(design), 50e6, 12.5e6, find_chip("MT48LC16M16A2-75"), 8e-6)


@contextlib.contextmanager
def simulation():
    yield lambda design: Simulation(design, optimize=0)


@contextlib.contextmanager
def uart():
    with simulated(system(DESIGN), optimize=0) as port:
        yield lambda design: Uart(port, design)


@contextlib.contextmanager
def memory_mapped():
    with simulated_core(DESIGN) as core:
        yield lambda design: MemoryMapped(core.memory, core.samples, core.results, design)


def bits(weights):
    return flatten(weights).view(np.uint32).tolist()


def trained(start, samples, batch, seed=0):
    """The golden model after a run over DATA."""
    golden = Golden(DESIGN, start, LEARNING, batch)
    order = run_order(40, samples, seed)
    for index, place in enumerate(order, 1):
        golden.train(DATA.train_inputs[place], DATA.train_labels[place], index == samples)
    return golden


def predicted(transport, samples, batch, seed=0):
    """Clocks and stalls, by the cycle model of what is around the machine."""
    model = CycleModel(make_schedule(DESIGN))
    starts = model.starts(samples, batch)
    if transport is uart:
        supply = SupplyModel(DESIGN, system(DESIGN).timing)
        epochs = Epochs(40, 0, seed)
        starts = model.supplied_starts(samples, batch, supply=supply, epochs=epochs)
    return model.run_clocks(starts, batch), model.stalls(starts, batch)


@pytest.mark.parametrize("transport", [simulation, uart, memory_mapped])
def test_the_same_session(transport):
    said = set()

    def progress(what, done, total, note=""):
        said.add(what)
        assert 0 <= done <= total

    with transport() as reach:
        if transport is not simulation:
            with pytest.raises(InputError, match="must be gradwire_3_3_3_1_p3_relu_batch4_seeded"):
                reach(dataclasses.replace(DESIGN, activation="relu"))
        device = Device(reach(DESIGN), progress)
        assert device.design == DESIGN
        device.initialize(11)
        assert bits(device.read_weights()) == bits(seeded_weights(DESIGN, 11))
        device.load_weights(START)
        assert bits(device.read_weights()) == bits(START)

        found = device.train(DATA.train_inputs, DATA.train_labels, LEARNING, batch=4)
        golden = trained(START, 40, 4)
        assert bits(device.read_weights()) == bits(golden.weights) != bits(START)
        clocks, stalls = predicted(transport, 40, 4)
        # What is around a core with AXI may make it wait, and nothing more.
        least = found.stalls if transport is memory_mapped else stalls
        assert found == device.counters() == Counters(40, clocks - stalls + least, least)

        outputs = device.infer(DATA.test_inputs)
        assert outputs.tolist() == [golden.infer(x).tolist() for x in DATA.test_inputs]
        assert device.counters().samples == 20

        # Two epochs and batches that run over the first one's end.
        found = device.train(
            DATA.train_inputs, DATA.train_labels, LEARNING, batch=3, epochs=2, shuffle_seed=9
        )
        golden = trained(golden.weights, 80, 3, seed=9)
        assert bits(device.read_weights()) == bits(golden.weights)
        assert found.samples == 80
    assert len(said) >= 3


def pressed(what, done, total, note=""):
    """Ctrl-C while the machine trains."""
    if what == "training on the machine":
        raise KeyboardInterrupt


@pytest.mark.parametrize("transport", [uart, memory_mapped])
def test_ctrl_c_leaves_the_machine_idle(transport):
    """The next training is right; it is done in two parts, which are as good as one."""
    with transport() as reach:
        reached = reach(DESIGN)
        with pytest.raises(KeyboardInterrupt):
            Device(reached, pressed).train(
                DATA.train_inputs, DATA.train_labels, LEARNING, epochs=50
            )
        device = Device(reached)
        device.load_weights(START)
        halves = ((slice(0, 16), LEARNING), (slice(16, 40), learning_after(LEARNING, 16, 4)))
        for part, learning in halves:
            device.train(DATA.train_inputs[part], DATA.train_labels[part], learning, batch=4)
        assert bits(device.read_weights()) == bits(trained(START, 40, 4).weights)


def test_ctrl_c_ends_a_simulation_after_a_batch():
    def interrupted(what, done, total, note=""):
        if what == "simulating the RTL":
            signal.raise_signal(signal.SIGINT)

    device = Device(Simulation(DESIGN, optimize=0), interrupted)
    device.load_weights(START)
    with pytest.raises(KeyboardInterrupt):
        device.train(DATA.train_inputs, DATA.train_labels, LEARNING, batch=4, epochs=100)
    samples = device.counters().samples
    assert samples % 4 == 0 and samples < 4000
    assert bits(device.read_weights()) == bits(trained(START, samples, 4).weights)


class Nothing:
    """A transport that must not be asked for anything."""

    design = DESIGN

    def load_weights(self, weights, progress):
        self.weights = weights


INPUTS, LABELS = np.zeros((5, 3)), np.zeros((5, 1))


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            {"inputs": np.zeros((5, 4))},
            r"^inputs must have the shape \(samples, 3\), .*, not \(5, ",
        ),
        ({"inputs": np.zeros((0, 3))}, r"^inputs must have the shape .* 1 sample or more"),
        ({"inputs": np.zeros(3)}, r"not \(3,\)$"),
        ({"inputs": [["a", "b", "c"]] * 5}, "^inputs must be an array of real numbers, not of <U1"),
        ({"inputs": [[1, 2, 3], [4]]}, "^inputs must be an array of real numbers, not of object"),
        ({"labels": np.zeros((5, 2))}, r"^labels must have the shape \(samples, 1\)"),
        ({"labels": np.zeros((4, 1))}, "^there must be as many labels as inputs, not 4 and 5$"),
        ({"batch": 5}, "^batch must be 1 to 4, not 5$"),
        ({"batch": 0}, "^batch must be 1 to 4, not 0$"),
        ({"epochs": 0}, "^epochs must be 1 to 4294967295, not 0$"),
        ({"epochs": 1 << 30}, "^samples of all epochs must be 1 to 4294967295, not 5368709120$"),
        ({"shuffle_seed": -1}, "^seed must be 0 to 2147483647, not -1$"),
        (
            {"learning": LearningRate(rate=1, halve_every=1 << 32)},
            "^samples from halving to halving must be 0 to 4294967295, not 4294967296$",
        ),
        ({"learning": LearningRate(rate=1, age=1 << 32)}, "^age of the learning rate must be 0"),
    ],
)
def test_what_cannot_be_trained_on(changes, text):
    given = {"inputs": INPUTS, "labels": LABELS, "learning": LEARNING, "batch": 1} | changes
    with pytest.raises(InputError, match=text):
        Device(Nothing()).train(**given)


def test_what_cannot_be_inferred():
    with pytest.raises(InputError, match=r"^inputs must have the shape \(samples, 3\)"):
        Device(Nothing()).infer(np.zeros((5, 2)))


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda w, b: (w[:2], b), "^weights must be of 3 layers, not 2$"),
        (lambda w, b: (w, b[1:]), "^biases must be of 3 layers, not 2$"),
        (
            lambda w, b: ((w[0][:2], *w[1:]), b),
            r"^weights of layer 1 must have the shape \(3, 3\), not \(2, 3\)$",
        ),
        (
            lambda w, b: (w, (*b[:2], np.zeros((1, 1)))),
            r"^biases of layer 3 must have the shape \(1,\), not \(1, 1\)$",
        ),
        (
            lambda w, b: ((w[0] * np.nan, *w[1:]), b),
            "^weights of layer 1 must be finite in FP32, not nan$",
        ),
        (
            lambda w, b: ((w[0], np.full((3, 3), 1e39), w[2]), b),
            "^weights of layer 2 must be finite in FP32, not inf$",
        ),
    ],
)
def test_weights_that_do_not_fit(change, text):
    with pytest.raises(InputError, match=text):
        Device(Nothing()).load_weights(Weights(*change(START.weights, START.biases)))


@pytest.mark.parametrize("subnormals", ["flush", "ieee"])
def test_subnormal_weights(subnormals):
    transport = Nothing()
    transport.design = dataclasses.replace(DESIGN, subnormals=subnormals)
    small = START.copy()
    small.weights[0][0] = [-1e-39, 1e-39, 1e-37]
    Device(transport).load_weights(small)
    kept = 0.0 if subnormals == "flush" else 1e-39
    expected = np.array([-kept, kept, 1e-37], np.float32)
    assert transport.weights.weights[0][0].tobytes() == expected.tobytes()


def test_a_machine_without_an_initializer():
    transport = Nothing()
    transport.design = dataclasses.replace(DESIGN, seeded_weights=False)
    with pytest.raises(InputError, match=r"^gradwire_3_3_3_1_p3_batch4 makes no initial weights"):
        Device(transport).initialize(1)
    with pytest.raises(InputError, match=r"^seed must be 0 to"):
        Device(Nothing()).initialize(-1)


def test_a_simulation_that_differs_from_the_models(monkeypatch):
    """The core makes its weights itself: others than those that it should make are found."""
    monkeypatch.setattr(module, "seeded_weights", lambda design, seed: START)
    with pytest.raises(ToolError, match=r"^the simulation differs from the models: sample 0, "):
        Device(Simulation(DESIGN, optimize=0)).initialize(1)
