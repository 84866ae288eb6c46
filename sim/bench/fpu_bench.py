"""The cocotb side of fpu_bench.sv: starts the clock, and waits."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


@cocotb.test()
async def operates(dut: object) -> None:
    """All pairs of operands."""
    Clock(dut.clk, 2, unit="step").start()
    await RisingEdge(dut.finished)
