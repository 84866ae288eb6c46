"""Buffers where one net drives many cells or components.

ABC buffers within a module, but an output of a module, or what goes to many modules, is one load to
it. A tree of the library's buffers takes their place, so that the broadcast to 100 processing
elements is neither free nor, with one gate behind it, endlessly slow.
"""

from collections.abc import Iterator
from typing import Any

from fpga_flows.cell_netlist import Netlist, is_black_box

# The cell, if the library has it, and how many inputs it drives.
BUFFER = "BUF_X8"
MOST = 16


def buffer(netlist: Netlist) -> None:
    """Buffer all nets of the netlist but the clock; changes it."""
    if BUFFER not in netlist.cells.cells:
        return
    for module in netlist.modules.values():
        if not is_black_box(module):
            _buffer_module(module, netlist)


def _buffer_module(module: dict[str, Any], netlist: Netlist) -> None:
    sinks: dict[int, list[tuple[list, int]]] = {}
    for bits, index in _inputs(module, netlist):
        if isinstance(bits[index], int):
            sinks.setdefault(bits[index], []).append((bits, index))
    clock = module["ports"].get("clk", {"bits": []})["bits"]
    highest = _highest(module)
    count = 0
    for net, places in sinks.items():
        while len(places) > MOST and net not in clock:
            above = []
            # As many groups as are needed, all of about the same size.
            groups = -(-len(places) // MOST)
            for number in range(groups):
                highest += 1
                group = places[number::groups]
                for bits, index in group:
                    bits[index] = highest
                connections = {"A": [net], "Z": [highest]}
                module["cells"][f"fanout_{count}"] = {
                    "hide_name": 0,
                    "type": BUFFER,
                    "parameters": {},
                    "attributes": {},
                    "port_directions": {"A": "input", "Z": "output"},
                    "connections": connections,
                }
                count += 1
                above.append((connections["A"], 0))
            places = above


def _inputs(module: dict[str, Any], netlist: Netlist) -> Iterator[tuple[list, int]]:
    """Every input pin of the module's cells: the list that names its net, and where in it."""
    for cell in module["cells"].values():
        for name, bits in cell["connections"].items():
            if not netlist.is_output(cell["type"], name):
                for index in range(len(bits)):
                    yield bits, index


def _highest(module: dict[str, Any]) -> int:
    lists = [port["bits"] for port in module["ports"].values()]
    lists += [net["bits"] for net in module["netnames"].values()]
    lists += [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    return max((bit for bits in lists for bit in bits if isinstance(bit, int)), default=1)
