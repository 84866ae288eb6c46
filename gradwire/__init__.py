"""gradwire: generates machines that train neural networks, proves them and prices them.

The names that a user imports; `gradwire --help` is the command line.
"""

from gradwire.device import (
    Counters,
    Device,
    DeviceFile,
    MemoryMapped,
    Simulation,
    StreamFile,
    Uart,
)
from gradwire.link import serial_port
from gradwire.training import learning_after
from hw.design import Design, parse_topology
from hw.errors import InputError, ToolError
from hw.schedule import Schedule, design_for, make_schedule
from sim.golden import LearningRate, Weights, initial_weights

__version__ = "0.1.0"

__all__ = [
    "Counters",
    "Design",
    "Device",
    "DeviceFile",
    "InputError",
    "LearningRate",
    "MemoryMapped",
    "Schedule",
    "Simulation",
    "StreamFile",
    "ToolError",
    "Uart",
    "Weights",
    "__version__",
    "design_for",
    "initial_weights",
    "learning_after",
    "make_schedule",
    "parse_topology",
    "serial_port",
]
