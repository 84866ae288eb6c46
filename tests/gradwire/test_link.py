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
from hw.system import System
from sim.bench.link import simulated
from sim.bench.log import flatten
from sim.cycles import CycleModel
from sim.datasets import red
from sim.golden import Golden, LearningRate, initial_weights
from sim.initial import seeded_weights

RED = design_for((3, 3, 3, 1))


def system(design):
    # 4 clocks a bit: a byte takes 40.
    return System(make_schedule(design), 1e6, 250e3, 400e-6)


def bits(weights):
    return flatten(weights).view(np.uint32).tolist()


def trained(design, weights, learning, data, batch=1):
    golden = Golden(design, weights, learning, batch)
    for index, (x, y) in enumerate(zip(data.train_inputs, data.train_labels, strict=True), 1):
        golden.train(x, y, index == len(data.train_inputs))
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
        board.load_weights(start, progress)
        assert bits(board.read_weights(progress)) == bits(start)
        status = board.train(data.train_inputs, data.train_labels, learning, progress=progress)
        golden = trained(RED, start, learning, data)
        assert bits(board.read_weights()) == bits(golden.weights) != bits(start)
        # All samples fitted into the buffer, so that the run never waited.
        model = CycleModel(make_schedule(RED))
        assert status.clocks == model.run_clocks(model.starts(64, 1))
        assert (status.busy, status.done, status.trained, status.stalls) == (False, True, 64, 0)

        found = board.infer(data.test_inputs, progress)
        assert found.tolist() == [golden.infer(x).tolist() for x in data.test_inputs]
        assert bits(board.read_weights()) == bits(golden.weights)
    for what in {what for what, _, _ in said}:
        done = [each[1] for each in said if each[0] == what]
        total = said[-1][2] if what == said[-1][0] else max(done)
        assert done == sorted(done) and done[-1] == total, what
    assert len({what for what, _, _ in said}) == 4


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


def test_more_samples_than_fit_in_batches_over_a_bad_line():
    """Records of an odd size, a buffer that runs full, weights in a bias bank."""
    design = Design(
        layers=(5, 4, 2),
        processing_elements=3,
        mapping=("row", "column"),
        batch=8,
        buffer_vectors=16,
        seeded_weights=True,
    )
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((150, 5)).astype(np.float32)
    labels = rng.integers(0, 2, (150, 2)).astype(np.float32)
    data = dataclasses.replace(red(1, 1, 1), train_inputs=inputs, train_labels=labels)
    learning = LearningRate(rate=0.5, halve_every=50)
    with simulated(system(design), optimize=0) as port:
        line = BadLine(port, 5)
        board = Board(line, design)
        board.initialize(11)
        start = seeded_weights(design, 11)
        assert bits(board.read_weights()) == bits(start)
        status = board.train(inputs, labels, learning, batch=8)
        golden = trained(design, start, learning, data, batch=8)
        assert bits(board.read_weights()) == bits(golden.weights)
        assert (status.trained, status.accepted_words) == (150, 1050)
        found = board.infer(inputs)
        assert found.tolist() == [golden.infer(x).tolist() for x in inputs]
        assert board.status().lost_predictions == 0
    assert line.bad > 20


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
        body = list(identity(design).values()) if command == Command.IDENTIFY else []
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


def test_bad_samples():
    board = Board(Scripted(identified(RED)), RED)
    good = np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)
    rate = LearningRate(rate=0.1)
    with pytest.raises(InputError, match=r"the shape \(samples, 3\), not \(2, 4\)"):
        board.train(np.zeros((2, 4), np.float32), good[1], rate)
    with pytest.raises(InputError, match="1 or more, as many as labels, not 2 and 1"):
        board.train(good[0], good[1][:1], rate)
    with pytest.raises(InputError, match="1 or more, as many as labels, not 0 and 0"):
        board.infer(good[0][:0])
    with pytest.raises(InputError, match="batch must be 1 to 1, not 2"):
        board.train(*good, rate, batch=2)


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
    thread.join()
    os.close(host)
    os.close(machine)


def test_a_serial_port_that_is_not_there(tmp_path):
    pytest.importorskip("serial")
    with (
        pytest.raises(InputError, match=r"^serial port .*none cannot be opened: "),
        serial_port(str(tmp_path / "none"), 115_200),
    ):
        pass
