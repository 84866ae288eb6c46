"""The C header beside the Verilog of a core with AXI outside."""

from hw.axi.core import AxiCore
from hw.axi.registers import ACCESS, AddressMap, Register


def c_header(core: AxiCore) -> str:
    """Offsets of registers, masks of their fields, and what is constant in this design.

    Names that begin with GRADWIRE_ are the same in the headers of all designs.
    """
    name = core.module_name
    guard = f"{name.upper()}_H"
    lines = [
        f"/* Registers of {name}, in bytes from the base address of its AXI4-Lite slave. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stdint.h>",
        "",
        "/* Word w of bank b is at this offset; the bias bank comes after the others. */",
        f"#define {name.upper()}_WEIGHT(b, w) "
        f"({core.map.weights:#x}u + 4u * ((uint32_t)(b) << {core.map.word_bits} | (uint32_t)(w)))",
        "",
        "/* What the constant registers hold. */",
        *_constants(name, core.map),
    ]
    for register in core.map.registers:
        lines += ["", *_register(register)]
    return "\n".join([*lines, "", "#endif", ""])


def _constants(name: str, table: AddressMap) -> list[str]:
    return [
        f"#define {f'{name}_{register.name}'.upper()} {register.reset:#x}u"
        for register in table.registers
        if register.access == "constant"
    ]


def _register(register: Register) -> list[str]:
    name = f"GRADWIRE_{register.name.upper()}"
    lines = [f"/* {register.meaning}: {ACCESS[register.access]} */"]
    lines.append(f"#define {name} {register.offset:#05x}u")
    for field in register.fields:
        mask = ((1 << field.width) - 1) << field.bit
        lines.append(f"#define {name}_{field.name.upper()} {mask:#x}u /* {field.meaning} */")
    return lines
