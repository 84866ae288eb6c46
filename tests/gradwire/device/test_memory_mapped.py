"""What can go wrong on the way to a core with AXI outside, and what is said then."""

import dataclasses

import numpy as np
import pytest

from gradwire import Device, MemoryMapped
from gradwire.device import memory_mapped
from hw.axi.registers import MAGIC, VERSION, AddressMap
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.link.protocol import design_checksum
from hw.schedule import design_for
from sim.bench.axi_host import simulated_core
from sim.bench.log import flatten
from sim.golden import Golden, LearningRate, initial_weights

DESIGN = design_for((3, 3, 3, 1))
START = initial_weights(DESIGN.layers, 1)
LEARNING = LearningRate(rate=0.3, halve_every=12)
OFFSETS = {register.name: register.offset for register in AddressMap(DESIGN).registers}


def samples(count):
    rng = np.random.default_rng(1)
    return rng.random((count, 3), np.float32), rng.integers(0, 2, (count, 1)).astype(np.float32)


def bits(weights):
    return flatten(weights).view(np.uint32).tolist()


class Late:
    """A stream of results from which nothing is taken before the core has done what it can."""

    def __init__(self, core):
        self.core = core

    def receive(self, packets, words):
        for place in ("trained", "results_waiting"):
            seen = []
            while len(seen) < 30 or len(set(seen[-30:])) > 1:
                seen.append(self.core.memory.read(OFFSETS[place]))
        return self.core.results.receive(packets, words)

    def clear(self):
        self.core.results.clear()


def test_more_results_than_the_queue_holds():
    inputs, _ = samples(600)
    golden = Golden(DESIGN, START, LEARNING)
    with simulated_core(DESIGN) as core:
        device = Device(MemoryMapped(core.memory, core.samples, Late(core), DESIGN))
        device.load_weights(START)
        assert device.infer(inputs).tolist() == [golden.infer(x).tolist() for x in inputs]
        assert device.counters().samples == 600


def test_bytes_several_outputs_and_a_bias_bank():
    """The first run is shorter than a batch. Losses take room in the queue, wanted or not."""
    design = Design(
        layers=(5, 4, 2),
        processing_elements=3,
        mapping=("row", "column"),
        batch=8,
        buffer_vectors=16,
        sample_format="bytes",
        loss=True,
    )
    rng = np.random.default_rng(1)
    inputs = rng.integers(0, 256, (130, 5)) / 256
    labels = rng.integers(0, 2, (130, 2))
    start = initial_weights(design.layers, 1)
    golden = Golden(design, start, LEARNING, 8)
    with simulated_core(design) as core:
        device = Device(MemoryMapped(core.memory, core.samples, Late(core), design))
        device.load_weights(start)
        for part in (slice(0, 5), slice(5, 50)):
            device.train(inputs[part], labels[part], LEARNING, batch=8)
            golden = Golden(design, golden.weights, LEARNING, 8)
            rows = zip(np.float32(inputs[part]), np.float32(labels[part]), strict=True)
            for index, (x, y) in enumerate(rows, part.start + 1):
                golden.train(x, y, index == part.stop)
            assert bits(device.read_weights()) == bits(golden.weights)
        found = device.infer(inputs)
        assert found.tolist() == [golden.infer(x).tolist() for x in np.float32(inputs)]
        with pytest.raises(
            InputError, match=r"^inputs that are stored as bytes must be 0, 1, \.+ 255"
        ):
            device.infer(inputs + 0.001)


class Cut:
    """A stream of samples whose first packet has lost its last word."""

    def __init__(self, samples):
        self.samples, self.cut = samples, False

    def send(self, records):
        if not self.cut:
            self.cut = True
            self.samples.send(records[:1, :-1])
            records = records[1:]
        self.samples.send(records)

    def wait(self):
        self.samples.wait()


def test_what_goes_wrong_is_said_and_the_next_run_is_right(monkeypatch):
    inputs, labels = samples(300)
    with simulated_core(DESIGN) as core:

        def fails(text, act, samples):
            device = Device(MemoryMapped(core.memory, samples, Late(core), DESIGN))
            device.load_weights(START)
            with pytest.raises(ToolError, match=text):
                act(device)

        def pressed(*_):
            raise KeyboardInterrupt

        wrong_length = "^the core has found a record of the wrong length"
        fails(wrong_length, lambda d: d.train(inputs, labels, LEARNING), Cut(core.samples))
        fails(wrong_length, lambda d: d.infer(inputs[:5]), Cut(core.samples))
        with monkeypatch.context() as patch:
            patch.setattr(memory_mapped, "result_words", lambda design: 300)
            lost = "^the core has lost the results of 44 samples, which nobody took in time$"
            fails(lost, lambda d: d.infer(inputs), core.samples)
        late = Late(core)
        device = Device(MemoryMapped(core.memory, core.samples, late, DESIGN), pressed)
        with pytest.raises(KeyboardInterrupt):
            device.train(inputs, labels, LEARNING)
        # Ctrl-C when results wait in the queue.
        with monkeypatch.context() as patch:
            patch.setattr(core.results, "receive", pressed)
            with pytest.raises(KeyboardInterrupt):
                device.infer(inputs[:5])
        device = Device(MemoryMapped(core.memory, core.samples, core.results, DESIGN))
        # No sample, and no result, of all those is left.
        device.load_weights(START)
        golden = Golden(DESIGN, START, LEARNING)
        expected = [golden.infer(x).tolist() for x in inputs[10:15]]
        assert device.infer(inputs[10:15]).tolist() == expected
        with pytest.raises(ToolError, match=r"^the core refuses a write to 0x0$"):
            core.memory.write(0, 1)
        with pytest.raises(ToolError, match=r"^the core refuses a read of 0x1fc$"):
            core.memory.read(0x1FC)


class Words(dict):
    """Registers that hold what is written."""

    def __init__(self, **changes):
        super().__init__()
        known = {"magic": MAGIC, "version": VERSION, "design": design_checksum(DESIGN)}
        for name, word in (known | changes).items():
            self[OFFSETS[name]] = word

    def read(self, address):
        return self.get(address, 0)

    def write(self, address, word):
        self[address] = word


class Streams:
    """Take everything, and bring nothing."""

    def send(self, records):
        pass

    def wait(self):
        pass

    def receive(self, packets, words):
        raise TimeoutError

    def clear(self):
        pass


def reached(words, design=DESIGN, streams=None):
    streams = streams or Streams()
    return Device(MemoryMapped(words, streams, streams, design, timeout=0.02))


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"magic": 0}, "^there is no gradwire core: magic must be 0x31617767, not 0x0$"),
        ({"version": 77}, f"^the core's register map must be version {VERSION}, not 77$"),
        (
            {"design": 5},
            "^the core must be gradwire_3_3_3_1_p3 in every parameter: its design's checksum must "
            "be 0x[0-9a-f]{8}, not 0x00000005$",
        ),
    ],
)
def test_another_bitstream(changes, text):
    words = Words(**changes)
    before = dict(words)
    with pytest.raises(InputError, match=text):
        reached(words)
    assert words == before


def test_a_run_that_comes_to_no_end():
    words = Words(status=1, trained=3)
    text = r"^the core's run comes to no end: of 5 samples it has begun 3, and none in 0\.02 s$"
    with pytest.raises(ToolError, match=text):
        reached(words).train(*samples(5), LEARNING)
    with pytest.raises(ToolError, match=r"^a stream of the core's stands still: 3 samples were"):
        reached(words).infer(samples(5)[0])
    assert words[OFFSETS["reset"]] == 0


def test_weights_that_never_come():
    design = dataclasses.replace(DESIGN, seeded_weights=True)
    words = Words(status=8, design=design_checksum(design))
    with pytest.raises(ToolError, match=r"^the core still makes its weights after 0\.02 s$"):
        reached(words, design).initialize(1)


def test_a_stream_that_is_stuck_in_reset():
    class Stuck(Streams):
        def wait(self):
            raise TimeoutError

    with pytest.raises(ToolError, match=r"^samples are not taken, although the core is in reset$"):
        reached(Words(), streams=Stuck())


def test_long_counters():
    words = Words(clocks=5, clocks_high=2, stalls=7, stalls_high=1, trained=9)
    found = reached(words).counters()
    assert (found.samples, found.clocks, found.stalls) == (9, 2 << 32 | 5, 1 << 32 | 7)
