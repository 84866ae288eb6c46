"""A netlist of standard cells, module by module, as Yosys' JSON has it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from fpga_flows.liberty import Liberty


class Netlist:
    """Modules that are made of cells of a library and of each other.

    Args:
        modules: By name, as Yosys' write_json writes them; the black boxes among them are not
            looked into. Cells without names of their own get some.
        cells: The library.
        top: Name of the module that is the whole.
    """

    def __init__(self, modules: Mapping[str, dict[str, Any]], cells: Liberty, top: str) -> None:
        self.modules = modules
        self.cells = cells
        self.top = top
        self._nets: dict[str, list[int]] = {}
        self._sinks: dict[str, dict[int, list[tuple[dict[str, Any], str, int]]]] = {}
        for module in modules.values():
            module["cells"] = dict(_renamed(module["cells"]))

    def types(self, name: str) -> Counter[str]:
        """How many cells and modules of each type are in module `name`."""
        return Counter(cell["type"] for cell in self.modules[name]["cells"].values())

    @property
    def unknown(self) -> Counter[str]:
        """Types that are neither cells of the library nor modules, and how many there are."""
        known = self.cells.cells.keys() | self.modules.keys()
        every = Counter[str]()
        for name in self.modules:
            every += self.types(name)
        return Counter({kind: count for kind, count in every.items() if kind not in known})

    @cached_property
    def instances(self) -> Counter[str]:
        """How many there are of each module in the whole."""
        found: Counter[str] = Counter()

        def visit(name: str, times: int) -> None:
            found[name] += times
            for kind, count in self.types(name).items():
                if kind in self.modules:
                    visit(kind, times * count)

        visit(self.top, 1)
        return found

    def total(self, kind: str) -> int:
        """How many cells of a type there are in the whole."""
        return sum(self.instances[name] * self.types(name)[kind] for name in self.modules)

    def nets(self, name: str) -> list[int]:
        """All nets of a module, by their numbers in Yosys' JSON, in order."""
        if name not in self._nets:
            module = self.modules[name]
            found = {bit for port in module["ports"].values() for bit in port["bits"]}
            for cell in module["cells"].values():
                found.update(*cell["connections"].values())
            self._nets[name] = sorted(bit for bit in found if isinstance(bit, int))
        return self._nets[name]

    def sinks(self, name: str) -> Mapping[int, list[tuple[dict[str, Any], str, int]]]:
        """Of each net of a module what it drives: cell, input, and bit of the input."""
        if name not in self._sinks:
            found: dict[int, list[tuple[dict[str, Any], str, int]]] = {}
            for cell in self.modules[name]["cells"].values():
                for pin, bits in cell["connections"].items():
                    if not self.is_output(cell["type"], pin):
                        for index, bit in enumerate(bits):
                            if isinstance(bit, int):
                                found.setdefault(bit, []).append((cell, pin, index))
            self._sinks[name] = found
        return self._sinks[name]

    def is_output(self, kind: str, pin: str) -> bool:
        """Whether the pin of a cell or module is an output."""
        if kind in self.modules:
            return self.modules[kind]["ports"][pin]["direction"] == "output"
        return pin in self.cells.outputs[kind]

    @cached_property
    def areas(self) -> Mapping[str, float]:
        """Area in um2 of the standard cells of each module, with all modules below it."""
        found: dict[str, float] = {}

        def area(kind: str) -> float:
            if kind not in self.modules:
                return self.cells.area_um2(kind)
            if kind not in found:
                types = self.types(kind)
                found[kind] = sum(count * area(below) for below, count in types.items())
            return found[kind]

        for name in self.modules:
            area(name)
        return found

    def verilog(
        self,
        observed: Collection[str] = (),
        probe: Callable[[list[str]], str] | None = None,
        gate: Callable[[str, Mapping[str, str]], str] | None = None,
    ) -> str:
        """Verilog of all modules but black boxes.

        Ports are what they were; other nets are single bits, but for signals that are named in
        `observed`. There are no expressions, and assignments of single bits only, which is what
        OpenSTA reads.

        `probe` gets all nets of a module, in the order of `nets`, and returns what is written into
        the module. `gate` gets a cell's type and the nets at its pins, and returns what takes the
        place of its instance.
        """
        whole = (name for name, module in self.modules.items() if not is_black_box(module))
        texts = (
            "\n".join([*self._module(name, observed, probe, gate), "endmodule", ""])
            for name in whole
        )
        return "".join(texts)

    def _module(
        self,
        name: str,
        observed: Collection[str],
        probe: Callable[[list[str]], str] | None,
        gate: Callable[[str, Mapping[str, str]], str] | None,
    ) -> Iterator[str]:
        module = self.modules[name]
        ports = module["ports"]
        yield f"module {_id(name)}({', '.join(map(_id, ports))});"
        nets: dict[int, str] = {}
        aliases = []
        # Nets that come in have the names of inputs.
        for port, about in sorted(ports.items(), key=lambda item: item[1]["direction"] != "input"):
            bits = about["bits"]
            width = f"[{len(bits) - 1}:0] " if len(bits) > 1 else ""
            yield f"  {about['direction']} {width}{_id(port)};"
            for index, bit in enumerate(bits):
                here = f"{_id(port)}[{index}]" if len(bits) > 1 else _id(port)
                # What goes out has a net of its own: a simulator may take a vector of which one bit
                # depends on another for a loop.
                if about["direction"] == "input":
                    nets[bit] = here
                else:
                    aliases.append((here, bit))
        lines = []
        for signal in sorted(module["netnames"].keys() & set(observed) - ports.keys()):
            bits = module["netnames"][signal]["bits"]
            lines.append(f"  wire [{len(bits) - 1}:0] {_id(signal)} = {self._net(bits, nets)};")
        for cell, about in module["cells"].items():
            pins = {
                pin: self._net(bits, nets) for pin, bits in about["connections"].items() if bits
            }
            if gate and about["type"] not in self.modules:
                lines.append(gate(about["type"], pins))
                continue
            listed = ", ".join(f".{_id(pin)}({net})" for pin, net in pins.items())
            lines.append(f"  {_id(about['type'])} {_id(cell)} ({listed});")
        if probe and (every := self.nets(name)):
            lines.append(probe([self._net([bit], nets) for bit in every]))
        outputs = [f"  assign {here} = {self._net([bit], nets)};" for here, bit in aliases]
        inner = sorted(bit for bit, net in nets.items() if net == _inner(bit))
        yield from (f"  wire {_inner(bit)};" for bit in inner)
        yield from [*lines, *outputs]

    @staticmethod
    def _net(bits: list[int | str], nets: dict[int, str]) -> str:
        """Verilog of some bits, lowest first; new nets get names."""
        names = [
            f"1'b{bit if bit in '01' else 0}"
            if isinstance(bit, str)
            else nets.setdefault(bit, _inner(bit))
            for bit in reversed(bits)
        ]
        return names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"


def is_black_box(module: Mapping[str, Any]) -> bool:
    """Whether nothing is known of the module but its ports."""
    return bool(module.get("attributes", {}).get("blackbox"))


def _renamed(cells: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number, (name, cell) in enumerate(cells.items()):
        yield (f"u{number}_" if name.startswith("$") else name), cell


def _inner(bit: int) -> str:
    return f"n{bit}_"


def _id(name: str) -> str:
    """A name in Verilog; unusual ones are escaped."""
    return name if name.isidentifier() else f"\\{name} "
