"""The cocotb side of sdram_bench.sv and sdram_commands.sv: waits."""

import os

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

PERIOD = 2  # of the benches' clock, in steps of the simulator


@cocotb.test()
async def runs(dut: object) -> None:
    """All requests or commands."""
    most = int(os.environ["GRADWIRE_MOST_CLOCKS"])
    finished = RisingEdge(dut.finished)
    if await First(finished, Timer(PERIOD * most, unit="step")) is not finished:
        raise AssertionError(f"not finished after {most} clocks")
