"""What every test shares: where caches go, and how hypothesis searches."""

import os
import signal

import pytest
from hypothesis import settings

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
