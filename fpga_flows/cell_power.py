"""What the cells of a Liberty file take: energy of a toggle, of a clock, and leakage.

Tables are read at one slope, and averaged over the states (`when`) and over rising and falling.
OpenSTA, which does it state by state, cannot be told the toggles of a net: version 2.0.17 knows no
such files, and its set_power_activity fails for pins. At one activity for all inputs, which it
propagates in its own way, it has the same power for an adder within a tenth, and half of ours for a
multiplier.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from fpga_flows.liberty import Liberty

# Slope of all signals, in ns: what gates with a handful of others behind them have.
_SLOPE_NS = 0.03

_VALUE = r"\b{name}\s*:\s*\"?([-+\w.]+)"
_LIST = r"\b{name}\s*\(([^;]*?)\)\s*;"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_VOLTAGE = re.compile(r"\bnom_voltage\s*:\s*([\d.]+)")


class CellPower:
    """Energies of a library's cells.

    Args:
        library: With capacitances in fF and voltages in V, and so energies in fJ; leakage in nW.

    Attributes:
        volts: Supply.
    """

    def __init__(self, library: Liberty) -> None:
        self.library = library
        found = _VOLTAGE.search(library.text)
        self.volts = float(found[1]) if found else 1.0
        self._pins: dict[str, dict[str, _Pin]] = {}

    def _cell(self, cell: str) -> Mapping[str, "_Pin"]:
        if cell not in self._pins:
            body = self.library.cells[cell]
            self._pins[cell] = {name: _Pin(text) for name, text in _groups(body, "pin")}
        return self._pins[cell]

    def load_ff(self, cell: str, pin: str) -> float:
        """Capacitance of an input in fF."""
        return self._cell(cell)[pin].capacitance

    def input_fj(self, cell: str, pin: str) -> float:
        """What a cell takes of a toggle of an input, whether or not its output follows; in fJ."""
        return self._cell(cell)[pin].energy(0.0)

    def output_fj(self, cell: str, pin: str, load_ff: float) -> float:
        """What a cell takes of a toggle of its output, its load apart; in fJ."""
        return self._cell(cell)[pin].energy(load_ff)

    def switch_fj(self, load_ff: float) -> float:
        """What a toggle of a net takes to charge it; in fJ, the mean of up and down."""
        return load_ff * self.volts**2 / 2

    def clock_fj(self, cell: str) -> float:
        """What a flip-flop takes of each clock period, its data resting; in fJ."""
        clock = next(pin for pin in self._cell(cell).values() if pin.is_clock)
        return 2 * clock.energy(0.0)

    def is_clock(self, cell: str, pin: str) -> bool:
        """Whether the pin is a flip-flop's clock input."""
        return self._cell(cell)[pin].is_clock

    def clock_load_ff(self, cell: str) -> float:
        """Capacitance of a flip-flop's clock input in fF."""
        return next(pin.capacitance for pin in self._cell(cell).values() if pin.is_clock)

    def leakage_nw(self, cell: str) -> float:
        """Leakage in nW."""
        found = re.search(_VALUE.format(name="cell_leakage_power"), self.library.cells[cell])
        return float(found[1]) if found else 0.0


class _Pin:
    def __init__(self, text: str) -> None:
        self.text = text
        found = re.search(_VALUE.format(name="capacitance"), text)
        self.capacitance = float(found[1]) if found else 0.0
        self.is_clock = bool(re.search(r"\bclock\s*:\s*\"?true", text))

    @cached_property
    def _tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of every state, and of rising and falling: loads in fF, energies in fJ."""
        found = []
        for _, power in _groups(self.text, "internal_power"):
            for kind in ("rise_power", "fall_power"):
                found += [_table(text) for _, text in _groups(power, kind)]
        return found

    def energy(self, load_ff: float) -> float:
        """Mean energy of a toggle at that load, in fJ."""
        if not self._tables:
            return 0.0
        every = [float(np.interp(load_ff, loads, values)) for loads, values in self._tables]
        return sum(every) / len(every)


def _table(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Loads and energies at the slope."""
    values = _numbers(text, "values")
    slopes, loads = _numbers(text, "index_1"), _numbers(text, "index_2")
    if len(values) == 1:
        return np.zeros(1), values
    if not len(loads):
        return np.zeros(1), np.array([np.interp(_SLOPE_NS, slopes, values)])
    rows = values.reshape(len(slopes), len(loads))
    return loads, np.array([np.interp(_SLOPE_NS, slopes, column) for column in rows.T])


def _numbers(text: str, name: str) -> np.ndarray:
    found = re.search(_LIST.format(name=name), text, re.DOTALL)
    return np.array([float(number) for number in _NUMBER.findall(found[1])] if found else [])


def _groups(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Arguments and contents of the groups of that kind."""
    for start in re.finditer(rf"\b{kind}\s*\(([^)]*)\)\s*\{{", text):
        depth = 1
        for brace in re.finditer(r"[{}]", text[start.end() :]):
            depth += 1 if brace[0] == "{" else -1
            if not depth:
                yield start[1].strip(' "'), text[start.end() : start.end() + brace.start()]
                break
