"""The cocotb side of core_bench.sv: waits, says how far it is, and stops it when told."""

import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

# Of the simulator's steps: the period of the bench's clock.
PERIOD = 2
# From one look at the stop file to the next.
CLOCKS = 20_000
# From one line of progress to the next, in seconds.
PAUSE = 0.2


@cocotb.test()
async def runs(dut: object) -> None:
    """All runs, from loading the weights to reading them back."""
    most = int(os.environ["GRADWIRE_MOST_CLOCKS"])
    stop = Path(os.environ["GRADWIRE_STOP_FILE"])
    finished = RisingEdge(dut.finished)
    said = 0.0
    for clock in range(0, most, CLOCKS):
        seen = await First(finished, Timer(PERIOD * CLOCKS, unit="step"))
        now = time.monotonic()
        if seen is finished or now - said >= PAUSE:
            said = now
            print(f"progress {int(dut.run.value)} {int(dut.trained.value)} {clock}", flush=True)
        if seen is finished:
            return
        if stop.exists():
            dut.stop.value = 1
    raise AssertionError(f"the core has not finished after {most} clocks")
