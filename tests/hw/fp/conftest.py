"""Makes this folder's helpers importable, by the tests and by the cocotb bench."""

import sys
import warnings
from pathlib import Path

from amaranth.hdl import UnusedElaboratable

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    # Components are also made to read their names and latencies.
    config.addinivalue_line("filterwarnings", "ignore::amaranth.hdl.UnusedElaboratable")


def pytest_unconfigure():
    # The last of them go after pytest has taken its filters away.
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
