"""`gradwire clocks --sdram`."""

import dataclasses

import pytest

from gradwire.sdram import keeps_up
from hw.design import Design
from hw.schedule import make_schedule
from hw.sdram.chips import SdramTiming, find_chip
from sim.cycles import CycleModel
from sim.supply import Epochs, SupplyModel

TIMING = SdramTiming(find_chip("MT48LC16M16A2-75"), 50)
DESIGN = Design(
    layers=(120, 6, 2), processing_elements=4, mapping=("column", "row"), buffer_vectors=8
)


def stalls(pes: int) -> int:
    schedule = make_schedule(dataclasses.replace(DESIGN, processing_elements=pes))
    model = CycleModel(schedule)
    supply = SupplyModel(schedule.design, TIMING)
    return model.stalls(model.supplied_starts(200, supply=supply, epochs=Epochs(200)))


def test_the_array_waits_from_there_on():
    found = keeps_up(DESIGN, TIMING)
    assert found["bytes"] == 4 * 122
    assert found["clocks"] == pytest.approx(250, abs=3)
    assert stalls(found["waits_from_pes"] - 1) == 0
    assert stalls(found["waits_from_pes"]) > 0


def test_bytes_come_faster_than_they_are_loaded():
    design = dataclasses.replace(DESIGN, sample_format="bytes")
    assert keeps_up(design, TIMING)["waits_from_pes"] is None


def test_the_command(run, run_json):
    command = ["clocks", "120-6-2", "--pes", "4", "--buffer-vectors", "8"]
    found = run_json(*command, "--sdram", "AS4C32M16SB-7", "--frequency", "66")["sdram"]
    assert (found["chip"], found["frequency_mhz"], found["stalls"]) == ("AS4C32M16SB-7", 66, 0)
    assert [each["format"] for each in found["formats"]] == ["fp32", "bytes"]
    assert "waits in 32 samples" in run(*command, "--sdram", "AS4C32M16SB-7").stdout
