"""What the tests of the flows share: the standard cells, which do not come with gradwire."""

import os
from pathlib import Path

import pytest

from fpga_flows.liberty import VARIABLE

_BESIDE = Path(__file__).parents[3] / "shared" / "pdk" / "nangate45_typ.lib.gz"


@pytest.fixture(scope="session")
def nangate45_lib():
    """Path of the NanGate 45 nm library; the test is skipped where there is none."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else _BESIDE
    if not path.is_file():
        pytest.skip(f"no NanGate 45 nm Liberty file: {VARIABLE} names none, and none is beside")
    return path
