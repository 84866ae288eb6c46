"""The cocotb side of axi_host.py: does with cocotbext-axi's masters what the driver asks for."""

import logging
import os
from contextlib import suppress
from multiprocessing.connection import Client

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, SimTimeoutError, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from sim.bench.remote import ADDRESS

PERIOD = 2  # of the clock, in the simulator's steps
# Clocks for which a stream is waited for, and those after which nothing more comes.
PATIENCE, SILENCE = 100_000, 1000


class Host:
    """The masters. Each method is a request of the driver's, and returns the answer."""

    def __init__(self, dut: object) -> None:
        self.dut = dut
        # The masters tell of every transfer.
        logging.getLogger("cocotb.axi_bench").setLevel(logging.WARNING)
        dut.rst.value = 1
        Clock(dut.clk, PERIOD, unit="step").start()
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.samples = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.results = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        # As a DMA controller without a buffer to fill.
        self.results.pause = True

    async def read(self, address: int) -> int | None:
        found = await self.lite.read(address, 4)
        return None if found.resp else int.from_bytes(found.data, "little")

    async def write(self, address: int, word: int) -> bool:
        found = await self.lite.write(address, word.to_bytes(4, "little"))
        return not found.resp

    async def send(self, packets: list[bytes]) -> None:
        for packet in packets:
            self.samples.send_nowait(AxiStreamFrame(packet))

    async def wait(self) -> bool:
        try:
            await with_timeout(self.samples.wait(), PERIOD * PATIENCE, "step")
        except SimTimeoutError:
            return False
        return True

    async def receive(self, packets: int) -> list[bytes] | None:
        self.results.pause = False
        try:
            return [
                bytes((await with_timeout(self.results.recv(), PERIOD * PATIENCE, "step")).tdata)
                for _ in range(packets)
            ]
        except SimTimeoutError:
            return None
        finally:
            self.results.pause = True

    async def clear(self) -> None:
        self.results.pause = False
        await ClockCycles(self.dut.clk, SILENCE)
        self.results.pause = True
        self.results.clear()


@cocotb.test()
async def serves(dut: object) -> None:
    """Until the driver hangs up; simulated time stands still while it asks for nothing."""
    host = Host(dut)
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    # The driver hangs up when it is done, or has been interrupted.
    with Client(os.environ[ADDRESS]) as connection, suppress(EOFError, OSError):
        while True:
            request, *arguments = connection.recv()
            connection.send(await getattr(host, request)(*arguments))
