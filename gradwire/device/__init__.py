"""Machines as a program sees them: one interface, whatever they are reached by. docs/driver.md."""

from gradwire.device.device import Device
from gradwire.device.files import DeviceFile, StreamFile
from gradwire.device.memory_mapped import MemoryMapped
from gradwire.device.simulation import Simulation
from gradwire.device.transport import Counters, Order, Transport
from gradwire.device.uart import Uart

__all__ = [
    "Counters",
    "Device",
    "DeviceFile",
    "MemoryMapped",
    "Order",
    "Simulation",
    "StreamFile",
    "Transport",
    "Uart",
]
