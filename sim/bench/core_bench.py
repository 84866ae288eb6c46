"""The cocotb side of core_bench.sv: waits, and says how far it is."""

import os

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

# Of the simulator's steps; the period of the clock has no meaning here.
PERIOD = 2


@cocotb.test()
async def runs(dut: object) -> None:
    """All runs, from loading the weights to reading them back."""
    most = int(os.environ["GRADWIRE_MOST_CLOCKS"])
    often = int(os.environ["GRADWIRE_PROGRESS_CLOCKS"])
    finished = RisingEdge(dut.finished)
    for _ in range(0, most, often):
        seen = await First(finished, Timer(PERIOD * often, unit="step"))
        print(f"progress {int(dut.run.value)} {int(dut.trained.value)}", flush=True)
        if seen is finished:
            return
    raise AssertionError(f"the core has not finished after {most} clocks")
