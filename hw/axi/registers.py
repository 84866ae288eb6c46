"""The register map: one table, which the RTL, the C header, the JSON and the docs are made from."""

import dataclasses
from typing import Literal

from hw.core import WeightAddress
from hw.design import Design
from hw.errors import InputError
from hw.link.protocol import design_checksum

Access = Literal["constant", "read", "write", "idle", "pulse", "clear"]

#: What may be done with a register of each kind of access.
ACCESS = {
    "constant": "read",
    "read": "read",
    "write": "read, write",
    "idle": "read; write while the core is idle",
    "pulse": "write ones; reads as 0",
    "clear": "read; write ones to clear",
}

MAGIC = int.from_bytes(b"gwa1", "little")
#: Of the register map; changes when a driver has to.
VERSION = 1

_LAYERS = 0x100
_LEAST_RESULTS = 256  # words: a block RAM
_MOST_ADDRESS_BITS = 32


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits of a register.

    Members
    -------
    name, bit, width : which bits.
    meaning : what they say or do.
    """

    name: str
    bit: int
    meaning: str
    width: int = 1


@dataclasses.dataclass(frozen=True)
class Register:
    """A word of the register map.

    Members
    -------
    name : in the RTL, of the port or signal behind it; upper case in the C header.
    offset : bytes.
    access : see `ACCESS`.
    meaning : what it is.
    fields : its parts; none if it is one number.
    reset : what it holds after reset; of a constant, always.
    width : bits that there are; the others read as 0.
    """

    name: str
    offset: int
    access: Access
    meaning: str
    fields: tuple[Field, ...] = ()
    reset: int = 0
    width: int = 32


def result_words(design: Design) -> int:
    """Depth of the queue of results: a block RAM, or two packets."""
    return max(_LEAST_RESULTS, 2 * packet_words(design))


def packet_words(design: Design) -> int:
    """Most words of a sample's packet of results: its outputs, and its loss if there is one."""
    return design.layers[-1] + design.loss


class AddressMap:
    """Where what lies in the address space of the AXI4-Lite slave.

    The highest bit of an address tells weights from registers. Bank and word are those of the
    core's weight port.

    Parameters
    ----------
    design : of the machine.

    Members
    -------
    word_bits, bank_bits : see hw.core.WeightAddress.
    bits : of an address, which is in bytes.
    weights : address of word 0 of bank 0.
    registers : the table.

    Raises InputError if the weights need more than 32 bits of address.
    """

    def __init__(self, design: Design) -> None:
        core = WeightAddress(design)
        self.word_bits, self.bank_bits = core.word_bits, core.bank_bits
        end = _LAYERS + 4 * len(design.layers)
        self.bits = 1 + max(core.word_bits + core.bank_bits + 2, (end - 1).bit_length())
        if self.bits > _MOST_ADDRESS_BITS:
            raise InputError(
                f"addresses of registers and weights must have at most {_MOST_ADDRESS_BITS} bits, "
                f"not {self.bits}"
            )
        self.weights = 1 << (self.bits - 1)
        self.registers = (*self._identity(design), *_control(design), *_layers(design))

    def weight(self, bank: int, word: int) -> int:
        """Address of `word` in `bank`; bank P is the bias bank."""
        return self.weights + 4 * (bank << self.word_bits | word)

    def _identity(self, design: Design) -> list[Register]:
        bits = self.word_bits
        words = {
            "magic": (MAGIC, 'the letters "gwa1", the first in the low byte'),
            "version": (VERSION, "of this register map"),
            "design": (design_checksum(design), "CRC-32 of the design as JSON with sorted keys"),
            "layers": (len(design.layers), "number of layers, inputs and outputs counted"),
            "banks": (design.processing_elements, "weight banks; the bias bank comes after them"),
            "bank_words": (design.bank_words, "words of each weight bank"),
            "bias_words": (design.bias_words, "words of the bias bank; 0 if there is none"),
            "weights": (self.weights, "address of word 0 of bank 0"),
            "word_bits": (bits, "word w of bank b is at weights + 4 * ((b << word_bits) + w)"),
            "record_words": (design.record_words, "words of a record of the sample stream"),
            "buffer_vectors": (design.buffer_vectors, "records that the core's buffer holds"),
            "largest_batch": (design.batch, "samples of a batch"),
            "result_words": (result_words(design), "words that the queue of results holds"),
        }
        return [
            Register(name, 4 * index, "constant", meaning, reset=value)
            for index, (name, (value, meaning)) in enumerate(words.items())
        ]


def _control(design: Design) -> list[Register]:
    initialize = status = ()
    batch = seed = ()
    if design.seeded_weights:
        initialize = (Field("initialize", 3, "make initial weights from `seed`"),)
        status = (Field("initializing", 3, "initial weights are being made"),)
        seed = (Register("seed", 0x78, "idle", "of the initial weights"),)
    if design.batch > 1:
        meaning = "samples of a batch, 1 to `largest_batch`"
        width = design.batch.bit_length()
        batch = (Register("batch", 0x64, "idle", meaning, reset=1, width=width),)
    start = (
        Field("start", 0, "begin a run"),
        Field("infer", 1, "with `start`: forward passes alone, no weight changes"),
        Field("stop", 2, "end the run with the sample, or the batch, in progress"),
        *initialize,
    )
    seen = (
        Field("busy", 0, "a run is in progress"),
        Field("done", 1, "a run has ended since the last start"),
        Field("loaded", 2, "a sample is ready"),
        *status,
        Field("record_error", 4, "a record of samples had its TLAST at the wrong word"),
    )
    causes = (
        Field("done", 0, "a run has ended"),
        Field("record_error", 1, "a record of samples had its TLAST at the wrong word"),
    )
    results = (Field("enable", 0, "the outputs of the run's samples go to the result stream"),)
    if design.loss:
        results += (Field("loss", 1, "the loss of each goes there too, behind the outputs"),)
    reset = (Field("reset", 0, "1: the core is in reset, and samples are taken and dropped"),)
    wide = "its higher half, as it was when the lower half was last read"
    return [
        Register("control", 0x40, "pulse", "what to do now", start, width=4),
        Register("reset", 0x44, "write", "reset of the core; weights and registers stay", reset,
                 width=1),
        Register("status", 0x48, "read", "how things are", seen, width=5),
        Register("interrupt_enable", 0x4C, "write", "what the interrupt is raised for", causes,
                 width=2),
        Register("interrupt_pending", 0x50, "clear", "what has happened", causes, width=2),
        Register("samples", 0x60, "idle", "samples of a run"),
        *batch,
        Register("rate", 0x68, "idle", "learning rate / batch size, FP32"),
        Register("halve_every", 0x6C, "idle", "samples from one halving of the rate to the next; "
                 "0 for never"),
        Register("floor", 0x70, "idle", "least rate / batch size, FP32"),
        Register("age", 0x74, "idle", "samples for which the rate has been in use before the run"),
        *seed,
        Register("results", 0x7C, "idle", "whether there are results", results,
                 reset=(1 << len(results)) - 1, width=len(results)),
        Register("clocks", 0x80, "read", "clocks for which this run, or the last, has been busy"),
        Register("clocks_high", 0x84, "read", wide),
        Register("stalls", 0x88, "read", "clocks for which this run has waited for samples"),
        Register("stalls_high", 0x8C, "read", wide),
        Register("trained", 0x90, "read", "samples that this run has begun"),
        Register("results_lost", 0x94, "read", "samples of this run whose results found no room in "
                 "the queue"),
        Register("results_waiting", 0x98, "read", "words in the queue of results"),
    ]  # fmt: skip


def _layers(design: Design) -> list[Register]:
    return [
        Register(f"layer_{number}", _LAYERS + 4 * number, "constant", "its size", reset=size)
        for number, size in enumerate(design.layers)
    ]
