"""cocotb bench for `fp_replay`: gives the clock, and waits until all operands are through."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


@cocotb.test()
async def replays(dut):
    Clock(dut.clk, 2, "step").start()
    await RisingEdge(dut.done)
