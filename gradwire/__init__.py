"""gradwire: generates machines that train neural networks, proves them and prices them.

The names that a user imports; `gradwire --help` is the command line.
"""

from hw.design import Design, parse_topology
from hw.errors import InputError, ToolError
from hw.schedule import Schedule, design_for, make_schedule

__version__ = "0.1.0"

__all__ = [
    "Design",
    "InputError",
    "Schedule",
    "ToolError",
    "__version__",
    "design_for",
    "make_schedule",
    "parse_topology",
]
