"""What travels over the link: framing, commands, replies. docs/link.md has it byte by byte.

Host and hardware both read the numbers here.
"""

import dataclasses
import enum
import json
import zlib

from amaranth.lib.crc.catalog import CRC32_ISO_HDLC

from hw.design import Design

# Framing of RFC 1055 (SLIP): END before and after each packet, and never within.
END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD

# The same as Python's zlib.crc32.
CRC = CRC32_ISO_HDLC(data_width=8)

# Most words of a packet's body: one block RAM of an ECP5 for each direction.
PACKET_WORDS = 512

MAGIC = int.from_bytes(b"gwl1", "little")


class Command(enum.IntEnum):
    """First byte of a request."""

    IDENTIFY = 1
    STATUS = 2
    WRITE_WEIGHTS = 3
    READ_WEIGHTS = 4
    WRITE_SAMPLES = 5
    READ_SAMPLES = 6
    TRAIN = 7
    INFER = 8
    STOP = 9
    READ_PREDICTIONS = 10
    RESET = 11
    INITIALIZE = 12


class Status(enum.IntEnum):
    """First byte of a reply. No request begins with such a byte."""

    OK = 0x80
    BAD_FRAME = 0x81
    BAD_CRC = 0x82
    BAD_LENGTH = 0x83
    BAD_COMMAND = 0x84
    BAD_ADDRESS = 0x85
    BAD_VALUE = 0x86
    BUSY = 0x87


#: Words of a reply to STATUS.
STATUS_WORDS = (
    "flags",
    "trained",
    "clocks_low",
    "clocks_high",
    "stalls_low",
    "stalls_high",
    "prediction_words",
    "lost_predictions",
)
#: Bits of the first one.
STATUS_FLAGS = ("busy", "done", "loaded", "initializing", "sdram_initialized")


def design_checksum(design: Design) -> int:
    """CRC-32 of the design as JSON, by which a host knows what it talks to."""
    return zlib.crc32(json.dumps(dataclasses.asdict(design), sort_keys=True).encode())


def identity(design: Design, sdram_words: int) -> dict[str, int]:
    """Words of a reply to IDENTIFY, in their order; `sdram_words` of 32 bits."""
    return {
        "magic": MAGIC,
        "design": design_checksum(design),
        "inputs": design.layers[0],
        "outputs": design.layers[-1],
        "banks": design.processing_elements,
        "bank_words": design.bank_words,
        "bias_words": design.bias_words,
        "buffer_vectors": design.buffer_vectors,
        "batch": design.batch,
        "packet_words": PACKET_WORDS,
        "prediction_words": prediction_words(design),
        "record_words": design.record_words,
        "sdram_words": sdram_words,
    }


def prediction_words(design: Design) -> int:
    """Depth of the machine's queue of predictions: a block RAM, or one sample's outputs."""
    return max(256, design.layers[-1])
