"""The cocotb side of fpu_bench.sv: waits."""

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def operates(dut: object) -> None:
    """All pairs of operands."""
    await RisingEdge(dut.finished)
