"""The cocotb side of axi_bench.sv: masters that pause at random, and what they must find."""

import dataclasses
import json
import logging
import os
import random
from collections.abc import Callable, Iterator

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.axi.registers import AddressMap, packet_words, result_words
from hw.design import Design
from sim.bench.log import addresses, flatten
from sim.datasets import load
from sim.golden import Golden, LearningRate, Sample, Weights, initial_weights, loss
from sim.initial import seeded_weights
from sim.records import pack

OKAY, SLVERR = 0, 2
BUSY, DONE, LOADED, INITIALIZING, RECORD_ERROR = (1 << bit for bit in range(5))
START, INFER, STOP, INITIALIZE = (1 << bit for bit in range(4))
RATE = 0.25
CUT_SAMPLES = 5  # of runs that are given up

SCENARIO = os.environ["GRADWIRE_SCENARIO"]
COUNT = int(os.environ["GRADWIRE_COUNT"])
SEED = int(os.environ["COCOTB_RANDOM_SEED"])


def scenario(test: Callable) -> Callable:
    """A cocotb test that is run if it is asked for."""
    return cocotb.test(skip=test.__name__ != SCENARIO)(test)


def _design() -> Design:
    found = json.loads(os.environ["GRADWIRE_DESIGN"])
    return Design(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})


def _pauses(rng: random.Random) -> Iterator[bool]:
    """Phases of much, little and no pausing."""
    while True:
        share = rng.choice((0, 0.2, 0.5, 0.9))
        for _ in range(rng.randrange(1, 60)):
            yield rng.random() < share


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


class Host:
    """The masters of one core, and what a driver does with them.

    Parameters
    ----------
    dut : axi_bench.
    pausing : whether all channels pause at random.
    """

    def __init__(self, dut: object, *, pausing: bool = True) -> None:
        self.dut = dut
        self.design = _design()
        self.map = AddressMap(self.design)
        self.offsets = {register.name: register.offset for register in self.map.registers}
        self.rng = random.Random(SEED)
        # The masters tell of every transfer.
        logging.getLogger("cocotb.axi_bench").setLevel(logging.WARNING)
        dut.rst.value = 1
        Clock(dut.clk, 2, unit="step").start()
        bus = AxiLiteBus.from_prefix(dut, "s_axi")
        self.lite = AxiLiteMaster(bus, dut.clk, dut.rst)
        self.samples = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.results = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        write, read = self.lite.write_if, self.lite.read_if
        self.channels = [write.aw_channel, write.w_channel, write.b_channel]
        self.channels += [read.ar_channel, read.r_channel]
        if pausing:
            for channel in [*self.channels, self.samples, self.results]:
                channel.set_pause_generator(_pauses(random.Random(self.rng.random())))

    async def reset(self) -> None:
        """A reset of some clocks."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, self.rng.randrange(1, 5))
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    async def write(self, address: int | str, word: int) -> None:
        """A word that must be taken."""
        place = self.offsets.get(address, address)
        found = await self.lite.write(place, word.to_bytes(4, "little"))
        assert found.resp == OKAY, f"write to {address} was answered by {found.resp!r}"

    async def read(self, address: int | str) -> int:
        """A word that must be there."""
        found = await self.lite.read(self.offsets.get(address, address), 4)
        assert found.resp == OKAY, f"read of {address} was answered by {found.resp!r}"
        return int.from_bytes(found.data, "little")

    async def write_weights(self, weights: Weights) -> None:
        """All of them, one by one."""
        places = addresses(self.design)
        for place, word in zip(places, flatten(weights).view(np.uint32), strict=True):
            await self.write(self.map.weight(*place), int(word))

    async def read_weights(self) -> np.ndarray:
        """All words in the order of `sim.bench.log.flatten`."""
        places = [self.map.weight(*place) for place in addresses(self.design)]
        return np.array([await self.read(place) for place in places], np.uint32)

    def send(self, records: np.ndarray) -> None:
        """Records, a packet each."""
        for record in records:
            self.samples.send_nowait(AxiStreamFrame(record.astype("<u4").tobytes()))

    async def begin(self, samples: int, batch: int, *, infer: bool = False) -> None:
        """Start a run."""
        await self.write("samples", samples)
        await self.write("rate", _bits(RATE / batch))
        if self.design.batch > 1:
            await self.write("batch", batch)
        await self.write("control", START | INFER * infer)

    async def end(self) -> None:
        """Of the run, by the interrupt, which is cleared."""
        await self.write("interrupt_enable", 1)
        while not self.dut.irq.value:
            await RisingEdge(self.dut.clk)
        assert await self.read("interrupt_pending") == 1
        await self.write("interrupt_pending", 1)
        assert await self.read("interrupt_pending") == 0
        assert await self.read("status") & (BUSY | DONE) == DONE

    async def outputs(self, samples: int) -> np.ndarray:
        """Results of some samples; a packet each."""
        found = [bytes((await self.results.recv()).tdata) for _ in range(samples)]
        return np.array([np.frombuffer(packet, "<u4") for packet in found])

    def packet(self, sample: Sample) -> np.ndarray:
        """Words that a sample's packet must have."""
        losses = [loss(self.design, sample)] if self.design.loss else []
        return np.append(sample.activations[-1], np.float32(losses)).view(np.uint32)

    def data(self, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs, labels and records: of the data set, if there is one, or random ones."""
        seed = self.rng.randrange(1 << 32)
        if name := os.environ["GRADWIRE_DATA"]:
            found = load(name, self.design.layers, samples, 1, seed)
            inputs, labels = found.train_inputs, found.train_labels
            return inputs, labels, pack(self.design, inputs, labels)
        rng = np.random.default_rng(seed)
        size, labels = self.design.layers[0], self.design.layers[-1]
        inputs = np.float32(rng.integers(0, 256, (samples, size)) / 256)
        labels = np.float32(rng.integers(0, 2, (samples, labels)))
        return inputs, labels, pack(self.design, inputs, labels)

    async def train(self, samples: int, batch: int = 1) -> Weights:
        """A run from random weights, compared with the golden model; its weights."""
        inputs, labels, records = self.data(samples)
        start = initial_weights(self.design.layers, self.rng.randrange(1000))
        await self.write_weights(start)
        self.send(records)
        await self.begin(samples, batch)
        golden = Golden(self.design, start, LearningRate(rate=RATE), batch)
        pairs = enumerate(zip(inputs, labels, strict=True), 1)
        expected = [self.packet(golden.train(*pair, n == samples)) for n, pair in pairs]
        found = await self.outputs(samples)
        assert np.array_equal(found, expected), "results differ"
        await self.end()
        assert await self.read("trained") == samples
        assert await self.read("results_lost") == 0
        words = await self.read_weights()
        assert np.array_equal(words, flatten(golden.weights).view(np.uint32)), "weights differ"
        return golden.weights

    async def infer(self, weights: Weights, samples: int) -> None:
        """A run of forward passes, compared with the golden model."""
        inputs, labels, records = self.data(samples)
        self.send(records)
        await self.begin(samples, 1, infer=True)
        golden = Golden(self.design, weights, LearningRate(rate=RATE))
        pairs = zip(inputs, labels, strict=True)
        expected = [self.packet(golden.forward(*pair)) for pair in pairs]
        found = await self.outputs(samples)
        assert np.array_equal(found, expected), "results differ"
        await self.end()


@scenario
async def trains(dut: object) -> None:
    """A run, forward passes, and another run."""
    host = Host(dut)
    await host.reset()
    batch = host.design.batch
    await host.infer(await host.train(COUNT, batch), 5)
    await host.train(COUNT, 1)
    assert host.samples.idle() and host.results.empty()


@dataclasses.dataclass(frozen=True)
class Access:
    """One access to the AXI4-Lite slave; what it must be answered."""

    address: int
    error: bool
    word: int | None = None  #: of a read: what must come, None for anything
    data: int = 0
    strobes: int = 0


class Registers:
    """What the slave must do with a core that gets no samples: docs/integration.md, in Python."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.map = AddressMap(design)
        self.table = {register.offset: register for register in self.map.registers}
        self.weights: dict[int, int] = {}
        self.clear()

    def clear(self) -> None:
        """As after reset."""
        kinds = ("write", "idle", "clear")
        self.stored = {r.name: r.reset for r in self.map.registers if r.access in kinds}
        self.busy = self.done = False
        #: What is to be waited for before anything else is asked: "run", "weights".
        self.settles = ""

    @property
    def occupied(self) -> bool:
        return bool(self.busy or self.stored["reset"])

    def ended(self) -> None:
        """The run has."""
        self.busy, self.done, self.settles = False, True, ""
        self.stored["interrupt_pending"] |= 1

    def weight_exists(self, address: int) -> bool:
        """Whether a word lies there."""
        place = (address - self.map.weights) // 4
        bank, word = place >> self.map.word_bits, place & (1 << self.map.word_bits) - 1
        pes = self.design.processing_elements
        sizes = {pes: self.design.bias_words}
        return word < (self.design.bank_words if bank < pes else sizes.get(bank, 0))

    def read(self, address: int) -> Access:
        """What a read must be answered."""
        place = address & ~3
        if address >= self.map.weights:
            error = self.occupied or not self.weight_exists(address)
            return Access(address, error, 0 if error else self.weights.get(place))
        if (register := self.table.get(place)) is None:
            return Access(address, True, 0)
        if register.access == "constant":
            return Access(address, False, register.reset)
        zero = ("control", "trained", "results_lost", "results_waiting")
        known = dict.fromkeys(zero, 0) | self.stored
        known["status"] = BUSY * self.busy | DONE * self.done
        return Access(address, False, known.get(register.name))

    def write(self, address: int, data: int, strobes: int) -> Access:
        """What a write must be answered; it is done."""
        return Access(address, not self._written(address & ~3, data, strobes), None, data, strobes)

    def _written(self, place: int, data: int, strobes: int) -> bool:
        if place >= self.map.weights:
            good = strobes == 15 and not self.occupied and self.weight_exists(place)
            if good:
                self.weights[place] = data
            return good
        register = self.table.get(place)
        if register is None or register.access in ("constant", "read"):
            return False
        if register.access == "idle" and self.occupied:
            return False
        mask = sum(0xFF << 8 * lane for lane in range(4) if strobes >> lane & 1)
        mask &= (1 << register.width) - 1
        if register.access == "pulse":
            return self._control(data & mask)
        if register.access == "clear":
            self.stored[register.name] &= ~(data & mask)
            return True
        self.stored[register.name] = self.stored[register.name] & ~mask | data & mask
        if self.stored["reset"]:
            self.busy = self.done = False
        return True

    def _control(self, asked: int) -> bool:
        asked &= 15 if self.design.seeded_weights else 7
        one = asked & ~INFER
        if one.bit_count() > 1 or (one & (START | INITIALIZE) and self.occupied):
            return False
        if one == START:
            if not 1 <= self.stored.get("batch", 1) <= self.design.batch:
                return False
            self.busy, self.done = True, False
            self.settles = "" if self.stored["samples"] else "run"
        elif one == STOP and self.busy:
            self.settles = "run"
        elif one == INITIALIZE:
            self.settles = "weights"
        return True


class Accesses:
    """Random accesses to a host's core, legal and illegal, and their answers."""

    def __init__(self, host: Host) -> None:
        self.host, self.rng = host, host.rng
        self.model = Registers(host.design)
        for channel in host.channels:
            channel.queue_occupancy_limit = -1
        self.aw, self.w, self.b, self.ar, self.r = host.channels
        self.answered = self.runs = 0

    def address(self) -> int:
        """Of a register, of nothing, of a weight, or of none."""
        table, rng = self.model.map, self.rng
        kind = rng.random()
        if kind < 0.6:
            place = rng.choice(table.registers).offset
        elif kind < 0.7:
            place = rng.randrange(0, table.weights, 4)
        elif kind < 0.9:
            place = table.weight(*rng.choice(addresses(self.host.design)))
        else:
            place = rng.randrange(table.weights, 1 << table.bits, 4)
        return place + (rng.randrange(4) if rng.random() < 0.2 else 0)

    def writes(self, count: int) -> list[Access]:
        """Up to `count`; the last one may be something that takes its time."""
        rng, found, offsets = self.rng, [], self.host.offsets
        while len(found) < count and not self.model.settles:
            address = self.address()
            data = rng.choice((rng.randrange(1 << 32), rng.randrange(16), 1 << rng.randrange(4)))
            strobes = rng.choice((15, 15, 15, rng.randrange(16)))
            # Chance alone would begin and end few runs.
            kind = rng.random()
            if kind < 0.15:
                address, strobes = offsets["control"], 15
                data = rng.choice((START, START | INFER, STOP, INITIALIZE, rng.randrange(16)))
            elif kind < 0.25:
                address, data = offsets["reset"], 0
            elif kind < 0.3:
                address, data = offsets["interrupt_pending"], 3
            found.append(self.model.write(address, data, strobes))
        return found

    async def exchange(self, writes: list[Access], reads: list[Access]) -> None:
        """All at once; each is answered, in order, as it must be."""
        for access in writes:
            self.aw.send_nowait(self.aw._transaction_obj(awaddr=access.address))
            self.w.send_nowait(self.w._transaction_obj(wdata=access.data, wstrb=access.strobes))
        for access in reads:
            self.ar.send_nowait(self.ar._transaction_obj(araddr=access.address))
        for access in writes:
            found = int((await self.b.recv()).bresp)
            assert found == SLVERR * access.error, f"{access} was answered by {found}"
        for access in reads:
            answer = await self.r.recv()
            found, word = int(answer.rresp), int(answer.rdata)
            assert found == SLVERR * access.error, f"{access} was answered by {found}"
            assert access.word in (None, word), f"{access} brought {word:#x}"
        assert self.b.empty() and self.r.empty(), "more answers than accesses"
        self.answered += len(writes) + len(reads)

    async def settle(self) -> None:
        """Wait for what has been begun."""
        model, host = self.model, self.host
        waits = {"run": BUSY, "weights": INITIALIZING}.get(model.settles, 0)
        while await host.read("status") & waits:
            pass
        if model.settles == "run":
            model.ended()
            self.runs += 1
        elif model.settles == "weights":
            words = flatten(seeded_weights(host.design, model.stored["seed"])).view(np.uint32)
            places = [model.map.weight(*place) for place in addresses(host.design)]
            model.weights |= dict(zip(places, map(int, words), strict=True))
            model.settles = ""


@scenario
async def registers(dut: object) -> None:
    """Accesses of every kind, several under way at a time."""
    host = Host(dut)
    await host.reset()
    random_accesses = Accesses(host)
    model, rng = random_accesses.model, host.rng
    constant = [place for place, register in model.table.items() if register.access == "constant"]
    errors = 0
    while random_accesses.answered < COUNT:
        writes = random_accesses.writes(rng.randrange(6))
        # What is read meanwhile must not depend on what is written.
        unmapped = max(model.table) + 4
        reads = [model.read(rng.choice([*constant, unmapped])) for _ in range(rng.randrange(4))]
        await random_accesses.exchange(writes, reads)
        await random_accesses.settle()
        more = [model.read(random_accesses.address()) for _ in range(rng.randrange(4))]
        await random_accesses.exchange([], more)
        errors += sum(access.error for access in (*writes, *reads, *more))
        await ClockCycles(dut.clk, 4)
        wanted = model.stored["interrupt_pending"] & model.stored["interrupt_enable"]
        assert bool(dut.irq.value) == bool(wanted)
    assert random_accesses.answered // 10 < errors < random_accesses.answered * 9 // 10
    # Few starts find good parameters, and a machine that is not busy.
    assert random_accesses.runs > random_accesses.answered // 500


async def _cut(host: Host, clocks: int) -> None:
    """A run that is given up after some clocks."""
    run = cocotb.start_soon(host.train(CUT_SAMPLES, host.design.batch))
    await ClockCycles(host.dut.clk, clocks)
    run.cancel()


async def _reset_hard(host: Host) -> None:
    await host.reset()
    host.samples.clear()
    host.results.clear()
    for register in host.map.registers:
        if register.access in ("write", "idle", "clear"):
            assert await host.read(register.name) == register.reset, register.name


async def _reset_soft(host: Host) -> None:
    await host.lite.write_if.wait()
    await host.lite.read_if.wait()
    await host.write("reset", 1)
    if host.rng.random() < 0.5:
        # The rest of a record follows when the core works again, or all of one.
        host.samples.clear()
    else:
        await host.samples.wait()
    await host.write("reset", 0)
    await host.samples.wait()
    await ClockCycles(host.dut.clk, 20 + 2 * host.design.layers[0])
    status = await host.read("status")
    assert status in (0, LOADED), f"after reset and part of a record the status is {status}"
    if status == LOADED:
        await host.write("reset", 1)
        await host.write("reset", 0)
    while await host.read("results_waiting") or not host.results.idle():
        pass
    while not host.results.empty():
        packet = bytes(host.results.recv_nowait().tdata)
        assert len(packet) == 4 * packet_words(host.design), "a packet was cut"
    await host.write("interrupt_pending", 3)


@scenario
async def resets(dut: object) -> None:
    """Reset at random moments of a run; the next one is as if nothing had been."""
    host = Host(dut)
    await host.reset()
    began = get_sim_time("step")
    await host.train(CUT_SAMPLES, host.design.batch)
    clocks = (get_sim_time("step") - began) // 2
    for number in range(COUNT):
        await _cut(host, host.rng.randrange(int(clocks)))
        await (_reset_soft if number % 2 else _reset_hard)(host)
        assert await host.read("status") == 0, "not idle"
        await host.train(2, 1)


@scenario
async def records(dut: object) -> None:
    """Records that end too early or too late: none is trained on, and the host can go on."""
    host = Host(dut)
    await host.reset()
    for _ in range(COUNT):
        good = host.rng.randrange(5)
        inputs, labels, words = host.data(good + 3)
        start = initial_weights(host.design.layers, 1)
        await host.write_weights(start)
        host.send(words[:good])
        length = host.design.record_words
        size = host.rng.choice([n for n in range(1, 2 * length) if n != length])
        host.send([np.resize(words[good], size)])
        host.send(words[good + 1 :])
        await host.begin(good + 3, 1)
        await host.write("interrupt_enable", 2)
        while not dut.irq.value:
            await RisingEdge(dut.clk)
        assert await host.read("status") & RECORD_ERROR
        await host.samples.wait()
        golden = Golden(host.design, start, LearningRate(rate=RATE))
        for pair in zip(inputs[:good], labels[:good], strict=True):
            golden.train(*pair)
        await host.outputs(good)
        await host.write("control", STOP)
        while await host.read("status") & BUSY:
            pass
        assert await host.read("trained") == good
        found = await host.read_weights()
        assert np.array_equal(found, flatten(golden.weights).view(np.uint32)), "weights differ"
        await host.write("reset", 1)
        await host.write("reset", 0)
        assert await host.read("status") == 0
        await host.write("interrupt_pending", 3)
        await host.train(2)


@scenario
async def results(dut: object) -> None:
    """A consumer that takes nothing: whole samples are lost, and counted."""
    host = Host(dut, pausing=False)
    await host.reset()
    size = packet_words(host.design)
    room = result_words(host.design) // size
    samples = room + 7
    weights = initial_weights(host.design.layers, 1)
    await host.write_weights(weights)
    inputs, labels, words = host.data(samples)
    host.results.pause = True
    host.send(words)
    await host.begin(samples, 1, infer=True)
    await host.end()
    lost = await host.read("results_lost")
    # What waits at the port has left the queue's memory.
    assert samples - lost == room, f"{samples - lost} of {samples} samples are in the queue"
    assert await host.read("results_waiting") == room * size
    host.results.pause = False
    golden = Golden(host.design, weights, LearningRate(rate=RATE))
    pairs = zip(inputs[:room], labels[:room], strict=True)
    expected = np.array([host.packet(golden.forward(*pair)) for pair in pairs])
    assert np.array_equal(await host.outputs(room), expected), "results differ"
    everything = await host.read("results")
    wanted = {0: slice(0), 1: slice(host.design.layers[-1]), 2: slice(-1, None), 3: slice(None)}
    for choice in range(everything + 1):
        await host.write("results", choice)
        host.send(words[:3])
        await host.begin(3, 1, infer=True)
        if choice:
            found = await host.outputs(3)
            assert np.array_equal(found, expected[:3, wanted[choice]]), "results differ"
        await host.end()
        assert host.results.empty() and await host.read("results_lost") == 0
    await host.infer(weights, 3)
    assert host.results.empty()
