"""The cocotb side of link_bench.sv: hands over what the host sends and waits for."""

import os
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Client
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

from sim.bench.remote import ADDRESS


@cocotb.test()
async def serves(dut: object) -> None:
    """Until the host hangs up; simulated time stands still while it has nothing to send."""
    # The host hangs up when it is done, or has been interrupted.
    with Client(os.environ[ADDRESS]) as connection, suppress(EOFError, OSError):
        for number in count(1):
            request, patience, whole = connection.recv()
            Path("request.bin").write_bytes(request)
            dut.count.value = len(request)
            dut.patience.value = patience
            dut.whole.value = whole
            dut.exchange.value = number
            await RisingEdge(dut.finished)
            connection.send(Path("reply.bin").read_bytes())
