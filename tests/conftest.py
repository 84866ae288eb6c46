"""What every test shares: where caches go, how hypothesis searches, where standard cells are."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from fpga_flows.liberty import VARIABLE

_BESIDE = Path(__file__).parents[2] / "shared" / "pdk" / "nangate45_typ.lib.gz"

# Simulations and synthesis take as long as the machine's load makes them; examples are repeatable.
settings.register_profile("gradwire", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gradwire")


# What a script starts in the background ignores Ctrl-C, and so does all that it starts in turn. The
# tests of interruption want what a terminal gives.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """An empty cache folder for one test, in place of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setitem(os.environ, "GRADWIRE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def nangate45_lib():
    """Path of the NanGate 45 nm library; the test is skipped where there is none."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else _BESIDE
    if not path.is_file():
        pytest.skip(f"no NanGate 45 nm Liberty file: {VARIABLE} names none, and none is beside")
    return path
