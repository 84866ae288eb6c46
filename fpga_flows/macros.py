"""The memories of a machine in standard cells: which are SRAM, and how a bank of macros looks.

A bank is a module `sram_{words}x{bits}`, made of black boxes `macro_{words}x{bits}` and of logic
that chooses among them; both have a port that reads and one that writes. A read brings its word a
clock later, and what is written in the same clock is not seen by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fpga_flows.sram import Price, split

# A memory of so many bits, or more, is SRAM: as flip-flops it would take more area (docs/sram.md).
SRAM_BITS = 34 * 32

# Words of a macro. An access costs energy by the size of the macro, so that a bank of small ones
# saves energy and costs area; of large memories, of which a word is read in every thousandth clock
# only, the area counts.
MACRO_WORDS = 256
_LARGE = 4096
_LARGE_MACRO_WORDS = 1024


@dataclass(frozen=True)
class Shape:
    """Words and bits of a memory with a port that reads and one that writes.

    Attributes:
        words: Number of words.
        bits: Of a word.
    """

    words: int
    bits: int

    @property
    def name(self) -> str:
        """Of the bank's module."""
        return f"sram_{self.words}x{self.bits}"

    @property
    def address_bits(self) -> int:
        """Bits of an address."""
        return max(1, (self.words - 1).bit_length())

    @property
    def macros(self) -> tuple[int, ...]:
        """Words of each macro of the bank; all but the last have the same."""
        most = MACRO_WORDS if self.words <= _LARGE else _LARGE_MACRO_WORDS
        return split(self.words, most)


def macro_name(words: int, bits: int) -> str:
    """Name of the black box."""
    return f"macro_{words}x{bits}"


def macro_shapes(banks: Iterable[Shape]) -> list[tuple[int, int]]:
    """Words and bits of the macros that the banks are made of."""
    return sorted({(words, bank.bits) for bank in banks for words in bank.macros})


def mapping_rule(bank: Shape) -> str:
    """For Yosys' memory_libmap: a memory that is this bank."""
    return f"""ram block $__{bank.name} {{
  abits {bank.address_bits};
  width {bank.bits};
  cost 1;
  init none;
  port sr "R" {{
    clock posedge;
    rden;
  }}
  port sw "W" {{
    clock posedge;
    wrtrans all old;
  }}
}}
"""


def mapping_module(bank: Shape) -> str:
    """Verilog for Yosys' techmap: from what memory_libmap leaves to the bank."""
    address, word = f"[{bank.address_bits - 1}:0]", f"[{bank.bits - 1}:0]"
    return f"""module \\$__{bank.name} (
  input PORT_R_CLK, input PORT_R_RD_EN, input {address} PORT_R_ADDR,
  output {word} PORT_R_RD_DATA, input PORT_W_CLK, input PORT_W_WR_EN,
  input {address} PORT_W_ADDR, input {word} PORT_W_WR_DATA);
  {bank.name} _TECHMAP_REPLACE_ (
    .clk(PORT_R_CLK), .read(PORT_R_RD_EN), .read_address(PORT_R_ADDR),
    .read_data(PORT_R_RD_DATA), .write(PORT_W_WR_EN), .write_address(PORT_W_ADDR),
    .write_data(PORT_W_WR_DATA));
endmodule
"""


def bank_module(bank: Shape) -> str:
    """Verilog of the bank, of macros."""
    each = bank.macros[0]
    low = max(1, (each - 1).bit_length())
    chosen = [f"address[{bank.address_bits - 1}:{low}] == {k}" for k in range(len(bank.macros))]
    lines = [_header(bank.name, bank.address_bits, bank.bits)]
    alone = len(bank.macros) == 1
    if not alone:
        lines.append(
            f"  reg [{bank.address_bits - 1 - low}:0] chosen;\n"
            f"  always @(posedge clk) if (read) chosen <= "
            f"read_address[{bank.address_bits - 1}:{low}];"
        )
    for k, words in enumerate(bank.macros):
        bits = max(1, (words - 1).bit_length())
        enable = ("", "") if alone else (f" & read_{chosen[k]}", f" & write_{chosen[k]}")
        own = [f"{port}_address" for port in ("read", "write")]
        # A macro may have more words than the bank.
        wide = [
            f"{{{bits - bank.address_bits}'b0, {name}}}"
            if bits > bank.address_bits
            else f"{name}[{bits - 1}:0]"
            for name in own
        ]
        lines.append(
            f"  wire [{bank.bits - 1}:0] word_{k};\n"
            f"  {macro_name(words, bank.bits)} macro_{k} (.clk(clk), .read(read{enable[0]}), "
            f".read_address({wide[0]}), .read_data(word_{k}), .write(write{enable[1]}), "
            f".write_address({wide[1]}), .write_data(write_data));"
        )
    words = ", ".join(f"word_{k}" for k in reversed(range(len(bank.macros))))
    if alone:
        lines.append("  assign read_data = word_0;")
    else:
        lines.append(
            f"  wire [{len(bank.macros) * bank.bits - 1}:0] words = {{{words}}};\n"
            f"  assign read_data = words[chosen * {bank.bits} +: {bank.bits}];"
        )
    return "\n".join([*lines, "endmodule", ""])


def black_box(words: int, bits: int) -> str:
    """Verilog of the macro for synthesis: its ports."""
    address = max(1, (words - 1).bit_length())
    header = _header(macro_name(words, bits), address, bits)
    return f"(* blackbox *) {header}\nendmodule\n"


def behaviour(words: int, bits: int) -> str:
    """Verilog of the macro for simulation."""
    address = max(1, (words - 1).bit_length())
    return f"""{_header(macro_name(words, bits), address, bits)}
  reg [{bits - 1}:0] cells [0:{words - 1}];
  reg [{bits - 1}:0] word;
  assign read_data = word;
  always @(posedge clk) begin
    if (read) word <= cells[read_address];
    if (write) cells[write_address] <= write_data;
  end
endmodule
"""


def _header(name: str, address_bits: int, bits: int) -> str:
    address, word = f"[{address_bits - 1}:0]", f"[{bits - 1}:0]"
    return (
        f"module {name}(input clk, input read, input {address} read_address, "
        f"output {word} read_data, input write, input {address} write_address, "
        f"input {word} write_data);"
    )


# Of a macro's inputs, which OpenRAM's models do not tell: capacitance in fF, and setup in ns, those
# of a flip-flop of the library; and the slope of its output in ns.
_PIN_FF = 1.2
_SETUP_NS = 0.05
_SLOPE_NS = 0.05

_UNITS = """  time_unit : "1ns";
  capacitive_load_unit (1, ff);
  voltage_unit : "1V";
  current_unit : "1mA";
  leakage_power_unit : "1nW";
  pulling_resistance_unit : "1kohm";
  nom_process : 1; nom_voltage : 1.1; nom_temperature : 25;
  delay_model : table_lookup;
  slew_lower_threshold_pct_rise : 30; slew_upper_threshold_pct_rise : 70;
  slew_lower_threshold_pct_fall : 30; slew_upper_threshold_pct_fall : 70;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
"""


def timing_library(prices: Mapping[tuple[int, int], Price]) -> str:
    """Liberty of the macros, by words and bits: their access time, as OpenSTA wants it.

    Their power is not in it: it goes by accesses.
    """
    widths = {bits for _, bits in prices} | {max(1, (w - 1).bit_length()) for w, _ in prices}
    types = "".join(
        f"  type (bits_{width}) {{ base_type : array; data_type : bit; bit_width : {width}; "
        f"bit_from : {width - 1}; bit_to : 0; downto : true; }}\n"
        for width in sorted(widths)
    )
    cells = "".join(_cell(*shape, price.access_ns) for shape, price in sorted(prices.items()))
    return f"library (macros) {{\n{_UNITS}{types}{cells}}}\n"


def _cell(words: int, bits: int, access_ns: float) -> str:
    address = max(1, (words - 1).bit_length())
    setup = (
        f'direction : input; capacitance : {_PIN_FF}; timing () {{ related_pin : "clk"; '
        f'timing_type : setup_rising; rise_constraint (scalar) {{ values ("{_SETUP_NS}"); }} '
        f'fall_constraint (scalar) {{ values ("{_SETUP_NS}"); }} }}'
    )
    delays = " ".join(
        f'{kind} (scalar) {{ values ("{value}"); }}'
        for kind, value in (
            ("cell_rise", access_ns),
            ("cell_fall", access_ns),
            ("rise_transition", _SLOPE_NS),
            ("fall_transition", _SLOPE_NS),
        )
    )
    pins = [f"pin ({name}) {{ {setup} }}" for name in ("read", "write")]
    pins += [
        f"bus ({name}) {{ bus_type : bits_{width}; {setup} }}"
        for name, width in (
            ("read_address", address),
            ("write_address", address),
            ("write_data", bits),
        )
    ]
    pins += [
        f"pin (clk) {{ direction : input; clock : true; capacitance : {_PIN_FF}; }}",
        f"bus (read_data) {{ bus_type : bits_{bits}; direction : output; timing () {{ "
        f'related_pin : "clk"; timing_type : rising_edge; {delays} }} }}',
    ]
    body = "".join(f"    {pin}\n" for pin in pins)
    return f"  cell ({macro_name(words, bits)}) {{\n    area : 0;\n{body}  }}\n"
