"""The host's end of the link: against the machine in simulation, and over lines that fail."""

import dataclasses
import os
import pty
import threading

import numpy as np
import pytest

from gradwire.link import Board, Link, decode, encode, serial_port
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.link.protocol import Command, Status, identity
from hw.schedule import design_for, make_schedule
from hw.sdram.chips import find_chip
from hw.system import System
from sim.bench.link import simulated
from sim.bench.log import flatten
from sim.cycles import CycleModel
from sim.datasets import red
from sim.golden import Golden, LearningRate, initial_weights
from sim.initial import seeded_weights
from sim.order import run_order
from sim.records import pack
from sim.supply import Epochs, SupplyModel

RED = design_for((3, 3, 3, 1))
CHIP = find_chip("MT48LC16M16A2-75")
SDRAM_WORDS = 8 << 20


def system(design):
    # 4 clocks a bit: a byte takes 40.
    return System(make_schedule(design), 50e6, 12.5e6, CHIP, 8e-6)


def predicted(design, samples, epochs, batch=1):
    """Clocks and stalls of a run, by the cycle model."""
    schedule = make_schedule(design)
    model, supply = CycleModel(schedule), SupplyModel(design, system(design).timing)
    starts = model.supplied_starts(samples, batch, supply=supply, epochs=epochs)
    return model.run_clocks(starts, batch), model.stalls(starts, batch)


def bits(weights):
    return flatten(weights).view(np.uint32).tolist()


def trained(design, weights, learning, inputs, labels, batch=1):
    golden = Golden(design, weights, learning, batch)
    for index, (x, y) in enumerate(zip(inputs, labels, strict=True), 1):
        golden.train(x, y, index == len(inputs))
    return golden


def test_red_trains_and_comes_back_bit_exact():
    """The same system as in tests/sim/bench/test_link.py."""
    data = red(64, 20, seed=1)
    start = initial_weights(RED.layers, 1)
    learning = LearningRate(rate=0.3, halve_every=20, floor=0.01)
    said = []

    def progress(what, done, total, note=""):
        said.append((what, done, total))

    with simulated(system(RED), optimize=0) as port:
        board = Board(port, RED)
        assert board.sdram_words == SDRAM_WORDS
        board.load_weights(start, progress)
        assert bits(board.read_weights(progress)) == bits(start)
        stored = np.concatenate(
            [
                pack(RED, data.train_inputs, data.train_labels),
                pack(RED, data.test_inputs, data.test_labels),
            ]
        )
        board.load_samples(stored, progress)
        assert board.read_samples(0, stored.size).tolist() == stored.ravel().tolist()
        status = board.train(learning, 64, records=64, progress=progress)
        golden = trained(RED, start, learning, data.train_inputs, data.train_labels)
        assert bits(board.read_weights()) == bits(golden.weights) != bits(start)
        assert (status.clocks, status.stalls) == predicted(RED, 64, Epochs(64))
        assert (status.busy, status.done, status.trained, status.stalls) == (False, True, 64, 0)

        found = board.infer(64, 20, progress)
        assert found.tolist() == [golden.infer(x).tolist() for x in data.test_inputs]
        assert bits(board.read_weights()) == bits(golden.weights)
        # The same samples are still there, and train as well again.
        board.load_weights(start)
        board.train(learning, 64, records=64)
        assert bits(board.read_weights()) == bits(golden.weights)
    for what in {what for what, _, _ in said}:
        done = [each[1] for each in said if each[0] == what]
        total = said[-1][2] if what == said[-1][0] else max(done)
        assert done == sorted(done) and done[-1] == total, what
    assert len({what for what, _, _ in said}) == 5


class BadLine:
    """A line that loses and changes some of what goes over it, both ways."""

    def __init__(self, port, seed):
        self.port = port
        self.rng = np.random.default_rng(seed)
        self.bad = 0

    def spoil(self, data):
        kind = self.rng.integers(12) if len(data) > 3 else 11
        self.bad += kind < 3
        if kind == 0:
            return data[: self.rng.integers(1, len(data))]
        if kind == 1:
            place = self.rng.integers(1, len(data) - 1)
            return (
                data[:place] + bytes([data[place] ^ 1 << self.rng.integers(8)]) + data[place + 1 :]
            )
        return data * 2 if kind == 2 else data

    def write(self, data):
        self.port.write(self.spoil(data))

    def read_until(self, expected):
        return self.spoil(self.port.read_until(expected))


def test_epochs_in_batches_over_a_bad_line():
    """More samples than the buffer holds, records of an odd size, weights in a bias bank."""
    design = Design(
        layers=(5, 4, 2),
        processing_elements=3,
        mapping=("row", "column"),
        batch=8,
        buffer_vectors=16,
        sample_format="bytes",
        seeded_weights=True,
    )
    rng = np.random.default_rng(1)
    inputs = rng.integers(0, 256, (1200, 5)).astype(np.float32) / np.float32(256)
    labels = rng.integers(0, 2, (1200, 2)).astype(np.float32)
    learning = LearningRate(rate=0.5, halve_every=50)
    with simulated(system(design), optimize=0) as port:
        line = BadLine(port, 5)
        board = Board(line, design)
        board.initialize(11)
        start = seeded_weights(design, 11)
        assert bits(board.read_weights()) == bits(start)
        # Several packets at a time are on the way.
        stored = pack(design, inputs, labels)
        board.load_samples(stored)
        assert stored.size > 9 * 511
        assert board.read_samples(0, stored.size).tolist() == stored.ravel().tolist()
        for seed in (0, 77):
            # Two epochs and a half of 60 records; batches run over their ends.
            status = board.train(learning, 150, records=60, first=1001, seed=seed, batch=8)
            order = 1001 + run_order(60, 150, seed)
            golden = trained(design, start, learning, inputs[order], labels[order], batch=8)
            start = golden.weights
            assert bits(board.read_weights()) == bits(start)
            epochs = Epochs(60, 1001, seed)
            assert (status.clocks, status.stalls) == predicted(design, 150, epochs, batch=8)
            assert status.trained == 150
        found = board.infer(200, 300)
        assert found.tolist() == [golden.infer(x).tolist() for x in inputs[200:500]]
        assert board.status().lost_predictions == 0
    assert line.bad > 20


class Counting:
    """A line that counts what is sent."""

    def __init__(self, port):
        self.port = port
        self.sent = 0

    def write(self, data):
        self.sent += 1
        self.port.write(data)

    def read_until(self, expected):
        return self.port.read_until(expected)


def test_a_run_that_waits_for_its_samples():
    """An iteration is shorter than the SDRAM takes for a record; each run takes the same clocks."""
    design = Design(layers=(24, 1), processing_elements=24, mapping=("column",), buffer_vectors=16)
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((100, 24)).astype(np.float32)
    labels = rng.integers(0, 2, (100, 1)).astype(np.float32)
    learning = LearningRate(rate=0.1)
    with simulated(system(design), optimize=0) as port:
        line = Counting(port)
        board = Board(line, design)
        start = initial_weights(design.layers, 1)
        before = line.sent
        board.load_samples(pack(design, inputs, labels))
        # Packets follow each other as fast as they may, and none has to be sent again.
        assert line.sent - before == 5
        found = []
        for seed in (0, 9, 9):
            board.load_weights(start)
            status = board.train(learning, 190, records=90, first=3, seed=seed)
            order = 3 + run_order(90, 190, seed)
            golden = trained(design, start, learning, inputs[order], labels[order])
            assert bits(board.read_weights()) == bits(golden.weights)
            found.append((status.clocks, status.stalls))
            assert found[-1] == predicted(design, 190, Epochs(90, 3, seed))
    assert found[1] == found[2] and all(stalls > 1000 for _, stalls in found)


class Silent:
    """A port that never answers."""

    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data

    def read_until(self, expected):
        return b""


class Scripted(Silent):
    """A port that answers each request with what `answer` makes of it."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.waiting = b""

    def write(self, data):
        self.waiting += self.answer(decode_request(data))

    def read_until(self, expected):
        text, found, self.waiting = self.waiting.partition(expected)
        return text + found


def decode_request(data):
    """Command and sequence."""
    text = data.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
    return text[1], text[2]


def answer(status, sequence, command, body=()):
    return encode(status, sequence, command, body)


def identified(design):
    def answers(request):
        command, sequence = request
        body = list(identity(design, SDRAM_WORDS).values()) if command == Command.IDENTIFY else []
        return answer(Status.OK, sequence, command, body)

    return answers


def test_a_machine_that_does_not_answer():
    port = Silent()
    with pytest.raises(
        ToolError, match=r'^the machine does not answer: the request "identify" was'
    ):
        Board(port, RED)
    assert port.written == encode(Command.IDENTIFY, 1) * 5


def test_stray_answers_and_noise_are_passed_over():
    def answers(request):
        command, sequence = request
        return (
            b"noise\xc0\xc0"
            + answer(Status.OK, sequence - 1, command, [1])
            + answer(Status.OK, sequence, command + 1, [2])
            + answer(Status.OK, sequence, command, [3])
        )

    assert Link(Scripted(answers)).request(Command.STOP).tolist() == [3]


def test_a_broken_request_is_sent_again():
    came = []

    def answers(request):
        came.append(request)
        command, sequence = request
        if len(came) < 3:
            return answer(Status.BAD_CRC, 0, 0)
        return answer(Status.OK, sequence, command)

    assert Link(Scripted(answers)).request(Command.STOP).tolist() == []
    assert came == [(Command.STOP, 1)] * 3


def test_a_line_that_only_makes_noise():
    with pytest.raises(ToolError, match="does not answer"):
        Link(Scripted(lambda request: b"\xc0x" * 1000 + b"\xc0")).request(Command.STOP)


@pytest.mark.parametrize("status", [status for status in Status if status != Status.OK])
def test_every_refusal_says_why(status):
    link = Link(Scripted(lambda request: answer(status, request[1], request[0])))
    with pytest.raises(ToolError, match=r'^the machine refuses the request "read weights": \w'):
        link.request(Command.READ_WEIGHTS)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"layers": (3, 4, 3, 1)}, "bank words of the machine must be .*, not"),
        ({"layers": (4, 3, 3, 1)}, "inputs of the machine must be 3, not 4"),
        ({"activation": "relu"}, "the machine must be gradwire_3_3_3_1_p3 in every parameter"),
    ],
)
def test_another_machine(changes, text):
    other = dataclasses.replace(RED, **changes)
    with pytest.raises(InputError, match=text):
        Board(Scripted(identified(other)), RED)


def test_a_burst_is_sent_again_as_far_as_it_is_not_answered():
    came = []

    def answers(request):
        came.append(request[1])
        if came.count(request[1]) == 1 and request[1] in (2, 5, 16):
            return b"" if request[1] == 5 else answer(Status.BAD_CRC, 0, 0)
        return answer(Status.OK, request[1], request[0]) * (1 + (request[1] == 3))

    requests = [(0, [k, 7]) for k in range(18)]
    done = list(Link(Scripted(answers)).request_each(Command.WRITE_SAMPLES, requests))
    assert done == [16, 18]
    assert came == [*range(1, 17), 2, 5, 16, 17, 18]


def test_a_burst_that_is_refused_or_never_answered():
    link = Link(Scripted(lambda request: answer(Status.BUSY, request[1], request[0])))
    with pytest.raises(ToolError, match=r'^the machine refuses the request "write samples": it is'):
        list(link.request_each(Command.WRITE_SAMPLES, [(0, [0, 1])]))
    with pytest.raises(ToolError, match=r'^the machine does not answer: .* "write samples" was'):
        list(Link(Silent()).request_each(Command.WRITE_SAMPLES, [(0, [0, 1])] * 3))


def test_bad_samples():
    board = Board(Scripted(identified(RED)), RED)
    with pytest.raises(
        InputError, match=r"^records must have the shape \(samples, 4\), not \(2, 3\)"
    ):
        board.load_samples(np.zeros((2, 3), np.uint32))
    with pytest.raises(
        InputError, match=r"^samples must fit into the SDRAM's 8,388,608 words, not need 8,388,612$"
    ):
        board.load_samples(np.zeros((SDRAM_WORDS // 4 + 1, 4), np.uint32))
    with pytest.raises(InputError, match="batch must be 1 to 1, not 2"):
        board.train(LearningRate(rate=0.1), 2, records=2, batch=2)


def test_what_is_no_answer():
    good = answer(Status.OK, 7, Command.STATUS, [0xC0DBC0DB, 5])[1:-1]
    found = decode(good)
    assert (found.status, found.sequence, found.command) == (Status.OK, 7, Command.STATUS)
    assert found.words.tolist() == [0xC0DBC0DB, 5]
    assert decode(good[:-1]) is None
    assert decode(b"") is None
    assert decode(bytes([good[0] ^ 1]) + good[1:]) is None
    # A request that comes back.
    assert decode(encode(Command.STATUS, 7)[1:-1]) is None


def test_a_serial_port():
    """The same over a terminal of the operating system, with a machine that only answers."""
    pytest.importorskip("serial")
    host, machine = pty.openpty()
    answers = identified(RED)

    def serve():
        for _ in range(2):
            data = b""
            while data.count(b"\xc0") < 2:
                data += os.read(host, 100)
            os.write(host, answers(decode_request(data)))

    thread = threading.Thread(target=serve)
    thread.start()
    with serial_port(os.ttyname(machine), 115_200) as port:
        Board(port, RED)
        # Slow lines get more time.
        assert 1.5 < port.timeout < 2
    thread.join()
    os.close(host)
    os.close(machine)


def test_a_serial_port_that_is_not_there(tmp_path):
    pytest.importorskip("serial")
    for baud in (115_200, 0, -1):
        with (
            pytest.raises(InputError, match=r"^serial port .*none cannot be opened: "),
            serial_port(str(tmp_path / "none"), baud),
        ):
            pass
