"""The cocotb side of axi_bench.sv: masters that pause at random, and what they must find."""

import json
import logging
import os
import random
from collections.abc import Callable, Iterator

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.axi.registers import AddressMap
from hw.design import Design
from sim.bench.log import addresses, flatten
from sim.golden import Golden, LearningRate, Weights, initial_weights
from sim.records import pack

OKAY, SLVERR = 0, 2
BUSY, DONE, LOADED, INITIALIZING, RECORD_ERROR = (1 << bit for bit in range(5))
START, INFER, STOP, INITIALIZE = (1 << bit for bit in range(4))
RATE = 0.25

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

    def data(self, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Random inputs, labels and records."""
        rng = np.random.default_rng(self.rng.randrange(1 << 32))
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
        expected = [golden.train(*pair, n == samples).activations[-1] for n, pair in pairs]
        found = await self.outputs(samples)
        assert np.array_equal(found, np.array(expected).view(np.uint32)), "outputs differ"
        await self.end()
        assert await self.read("trained") == samples
        assert await self.read("results_lost") == 0
        words = await self.read_weights()
        assert np.array_equal(words, flatten(golden.weights).view(np.uint32)), "weights differ"
        return golden.weights

    async def infer(self, weights: Weights, samples: int) -> None:
        """A run of forward passes, compared with the golden model."""
        inputs, _, records = self.data(samples)
        self.send(records)
        await self.begin(samples, 1, infer=True)
        golden = Golden(self.design, weights, LearningRate(rate=RATE))
        expected = [golden.infer(x) for x in inputs]
        found = await self.outputs(samples)
        assert np.array_equal(found, np.array(expected).view(np.uint32)), "outputs differ"
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
