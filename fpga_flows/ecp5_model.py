"""What a machine will take on an ECP5, and its clock, by formulas: in microseconds.

They tell designs apart before one of them is synthesized (`gradwire explore`). Where their figures
are from, and how far they are off, is in docs/explore.md.
"""

import math
from dataclasses import dataclass

from fpga_flows.fpga import ARRAY
from hw.activation import make_function
from hw.activation.interpolation import Interpolation
from hw.activation.table import FunctionTable
from hw.design import Design
from hw.pe import input_bits, input_words

# LUT4s of the components by stages, as they are in machines; subnormals flushed.
_MULTIPLIER_LUTS = {2: 229, 3: 220, 4: 220, 5: 205, 6: 195}
_ADDER_LUTS = {3: 600, 4: 522, 5: 545, 6: 560, 7: 581, 8: 600}
_IEEE_LUTS = {"multiplier": 590, "adder": 40}

# LUT4s of a PE's multiplexers and control, and of all that there is once; of the array for each PE.
_PE_LUTS = 655
_SHARED_LUTS = 1_500
_ARRAY_LUTS = 37

# Blocks (MULT18X18D) of a multiplier, and multipliers beside those of the PEs.
_BLOCKS = 4
_OTHER_MULTIPLIERS = 2

# A block memory in its widest shape, and the most words of a PE's vectors that are in LUTs, in
# small machines and in arrays.
_BRAM_BITS, _BRAM_WORDS = 36, 512
_FEW_WORDS, _ARRAY_FEW_WORDS = 64, 256
_PAIRED_ROWS = 11
# What chooses among the blocks of a bank that has more than so many.
_SHALLOW_BLOCKS, _DEEP_BANK_LUTS, _DEEP_BLOCK_LUTS = 16, 300, 3
# Vectors, biases, derivatives and partial sums together: in blocks, and of arrays in LUT4s.
_SHARED_BRAMS, _SHARED_IN_LUTS = 4, 2_350
# Samples whose vectors, and whose inputs, the memories hold (hw.schedule).
_COPIES, _INPUT_COPIES = 1, 2

# Longest path between registers in ns, in an FPGA that is nearly empty, speed grade 6: through a
# multiplier and an adder of so many stages, and from the vector memory to the PEs with so many
# broadcast stages. Beyond the last, more stages bring nothing.
_MULTIPLIER_NS = {2: 13.3, 3: 10.6, 4: 10.2, 5: 9.8, 6: 9.6}
_ADDER_NS = {3: 15.3, 4: 12.9, 5: 11.5, 6: 10.5, 7: 9.85, 8: 9.6}
_BROADCAST_NS = {0: 13.0, 1: 11.5, 2: 9.6}
# By how much wires stretch it in one that is full, and what is nearly empty: wires grow with the
# side of the square that the LUTs fill.
_STRETCH = 1.05
_EMPTY = 4_600
_FULL = 83_640
#: Speed of the grades, the slowest being 1.
SPEED = {"6": 1.0, "7": 1.12, "8": 1.25}

#: Numbers of stages that there are figures for.
MULTIPLIER_STAGES = tuple(_MULTIPLIER_NS)
ADDER_STAGES = tuple(_ADDER_NS)
BROADCAST_STAGES = tuple(_BROADCAST_NS)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What a machine takes: LUT4s, multipliers and block memories."""

    luts: int
    dsps: int
    brams: int


def cells(design: Design) -> Cells:
    """What the machine of `design` will take, about."""
    pes = design.processing_elements
    multiplier = _of(_MULTIPLIER_LUTS, design.multiplier_stages)
    adder = _of(_ADDER_LUTS, design.adder_stages)
    if design.subnormals == "ieee":
        multiplier += _IEEE_LUTS["multiplier"]
        adder += _IEEE_LUTS["adder"]
    luts, brams = _SHARED_LUTS + 2 * (multiplier + adder), 0
    if pes >= ARRAY:
        luts += _SHARED_IN_LUTS
    else:
        brams += _SHARED_BRAMS
    luts += pes * (multiplier + adder + _PE_LUTS + _ARRAY_LUTS)
    few = _ARRAY_FEW_WORDS if pes >= ARRAY else _FEW_WORDS
    for words, bits in _vectors(design):
        if words <= few:
            luts += pes * _memory_luts(words, bits)
        else:
            brams += pes * blocks(words, bits)
    halves = 2 if design.batch > 1 else 1
    bank = blocks(design.bank_words * halves, 32)
    brams += pes * bank
    if bank > _SHALLOW_BLOCKS:
        luts += pes * (_DEEP_BANK_LUTS + _DEEP_BLOCK_LUTS * bank)
    brams += blocks(design.buffer_vectors * design.record_words, 32)
    if not input_words(design):
        brams += blocks(_copied(design.layers[0], _INPUT_COPIES), 32)
    brams += sum(_table_blocks(name, design) for name in set(design.activations))
    return Cells(luts=luts, dsps=_BLOCKS * (pes + _OTHER_MULTIPLIERS), brams=brams)


def blocks(words: int, bits: int) -> int:
    """Block memories for so many words."""
    rows = -(-words // _BRAM_WORDS)
    # Of many rows, Yosys takes blocks of another shape, in pairs.
    rows += rows % 2 if rows >= _PAIRED_ROWS else 0
    return rows * -(-bits // _BRAM_BITS)


def fmax_mhz(design: Design, luts: int, speed: str = "6") -> float:
    """Clock frequency of the machine, which takes so many LUT4s, about."""
    path = path_ns(design.multiplier_stages, design.adder_stages, design.broadcast_stages)
    side = math.sqrt(max(luts, _EMPTY) / _FULL) - math.sqrt(_EMPTY / _FULL)
    return 1e3 * SPEED[speed] / (path * (1 + _STRETCH * side))


def path_ns(multiplier_stages: int, adder_stages: int, broadcast_stages: int) -> float:
    """Longest path in a small machine, ns, speed grade 6."""
    return max(
        _of(_MULTIPLIER_NS, multiplier_stages),
        _of(_ADDER_NS, adder_stages),
        _of(_BROADCAST_NS, broadcast_stages),
    )


def _of(table: dict[int, float], stages: int) -> float:
    return table[min(max(stages, min(table)), max(table))]


def _vectors(design: Design) -> list[tuple[int, int]]:
    """Words and bits of each PE's memories beside the bank."""
    found = []
    if words := design.vectors.register_words:
        found.append((_copied(words, _COPIES), 32))
    if words := input_words(design):
        found.append((_copied(words, _INPUT_COPIES), input_bits(design)[1]))
    return found


def _copied(words: int, copies: int) -> int:
    """Copies begin at powers of two."""
    return (copies - 1) * (1 << (words - 1).bit_length()) + words


def _memory_luts(words: int, bits: int) -> int:
    """Of 16 words of 4 bits in six LUTs each, with what chooses among them."""
    rows = -(-words // 16)
    return rows * -(-bits // 4) * 6 + (rows - 1) * bits // 2


def _table_blocks(name: str, design: Design) -> int:
    function = make_function(name, design)
    if isinstance(function, FunctionTable):
        return blocks(function.entries, 32)
    if isinstance(function, Interpolation):
        return blocks(function.segments.entries, sum(function.segments.widths))
    return 0
