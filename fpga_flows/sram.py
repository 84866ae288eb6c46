"""SRAM banks in 45 nm: OpenRAM's FreePDK45, by its analytical models.

OpenRAM is no dependency: it wants older versions of packages that this project uses, and much else
that nothing here needs. It is looked for in this Python, or in the one that $GRADWIRE_OPENRAM
names. A macro takes it seconds to a minute, so that every price is kept in the cache.

A bank is made of macros of powers of two, from `SMALLEST` words (OpenRAM makes 16 rows at least) to
`LARGEST`, or fewer: as many of the largest as are full, and one that holds the rest. What chooses
between several macros is not priced.

What the models are good for, and what they are not, stands in docs/sram.md.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hw import tool
from hw.errors import InputError, ToolError

VARIABLE = "GRADWIRE_OPENRAM"

SMALLEST = 16
LARGEST = 1024
_MOST_BITS = 128

# What OpenRAM makes of them: ports that read and write, that only read, that only write.
PORTS = {"1r1w": (0, 1, 1), "1rw": (1, 0, 0)}

_NAME = "OpenRAM"
_DRIVER = Path(__file__).with_name("openram_macro.py")
_VERSION = "import importlib.metadata as m; print(m.version('openram'))"


@dataclass(frozen=True)
class Price:
    """What a macro, or a bank of macros, costs at 1.0 V, 25 degrees, typical.

    Attributes:
        area_um2: Area in um2.
        access_ns: From the clock's edge to the word that is read, in ns.
        access_energy_pj: Energy in pJ of one access through one port; the models tell reading and
            writing not apart.
        leakage_uw: Leakage in uW.
    """

    area_um2: float
    access_ns: float
    access_energy_pj: float
    leakage_uw: float


@dataclass(frozen=True)
class Bank:
    """A bank and its price.

    Attributes:
        words: Words asked for.
        macros: Words of each of its macros.
        price: Of all of them; an access uses one macro, and takes as long as the slowest.
    """

    words: int
    macros: tuple[int, ...]
    price: Price


def split(words: int, largest: int = LARGEST) -> tuple[int, ...]:
    """Words of the macros that make a bank of `words` words; at least as many.

    No macro has more words than `largest`, a power of two.

    >>> split(2530)
    (1024, 1024, 512)
    >>> split(700, 256)
    (256, 256, 256)
    """
    whole, rest = divmod(words, largest)
    last = (max(SMALLEST, 1 << (rest - 1).bit_length()),) if rest else ()
    return (largest,) * whole + last


class OpenRAM:
    """OpenRAM, where it is installed.

    Raises ToolError when neither $GRADWIRE_OPENRAM nor this Python has it.
    """

    def __init__(self) -> None:
        self.python = os.environ.get(VARIABLE) or sys.executable
        log = tool.cache_dir() / "sram" / "openram.log"
        try:
            said = tool.run([self.python, "-c", _VERSION], tool=_NAME, log=log)
        except ToolError as error:
            raise ToolError(
                f"SRAM prices need the package openram of PyPI, which {self.python} does not have: "
                f"install it in an environment of its own and let {VARIABLE} name its python; "
                f"log: {log}"
            ) from error
        self.version = said.split()[-1]

    def price(
        self,
        words: int,
        bits: int = 32,
        ports: str = "1r1w",
        *,
        largest: int = LARGEST,
        progress: Callable[[str], None] = lambda stage: None,
    ) -> Bank:
        """Price of a bank.

        Args:
            words: Words that it must hold; macros have powers of two.
            bits: Bits of a word.
            ports: "1r1w", a port that reads and one that writes, or "1rw", one that does either.
            largest: Most words of a macro, a power of two.
            progress: Called with the shape of each macro that is not in the cache.

        Raises:
            InputError: There are no words, no bits or too many, or other ports.
            ToolError: OpenRAM fails; what it said is in the log.
        """
        if words < 1:
            raise InputError(f"words of a bank must be at least 1, not {words}")
        if not 1 <= bits <= _MOST_BITS:
            raise InputError(f"bits of a bank must be 1 to {_MOST_BITS}, not {bits}")
        if ports not in PORTS:
            raise InputError(f"ports of a bank must be one of {', '.join(PORTS)}, not {ports!r}")
        macros = split(words, largest)
        prices = {size: self._macro(size, bits, ports, progress) for size in set(macros)}
        each = [prices[size] for size in macros]
        return Bank(
            words=words,
            macros=macros,
            price=Price(
                area_um2=round(sum(price.area_um2 for price in each), 1),
                access_ns=max(price.access_ns for price in each),
                access_energy_pj=max(price.access_energy_pj for price in each),
                leakage_uw=round(sum(price.leakage_uw for price in each), 3),
            ),
        )

    def _macro(self, words: int, bits: int, ports: str, progress: Callable[[str], None]) -> Price:
        shape = f"{words}x{bits}-{ports}"
        how = hashlib.sha256(_DRIVER.read_bytes()).hexdigest()[:8]
        file = tool.cache_dir() / "sram" / f"{shape}-{self.version}-{how}.json"
        # Of several processes that want the same price, one works it out.
        with tool.lock(f"sram-{shape}"):
            if (known := _kept(file)) is None:
                progress(f"{words:,} words of {bits} bits")
                known = self._work_out([words, bits, *PORTS[ports]], file)
        return known

    def _work_out(self, numbers: list[int], file: Path) -> Price:
        log = file.with_suffix(".log")
        command = [self.python, str(_DRIVER), *map(str, numbers)]
        with tempfile.TemporaryDirectory(prefix="gradwire-sram-") as folder:
            text = tool.run(command, tool=_NAME, log=log, cwd=Path(folder))
        line = (text.strip().splitlines() or [""])[-1]
        price = _parsed(line)
        if price is None:
            raise ToolError(f"{_NAME} gave no price: {tool.telling_line(text)}; log: {log}")
        # Another process must not read half a file.
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(line + "\n", encoding="utf-8")
        part.replace(file)
        return price


def _kept(file: Path) -> Price | None:
    try:
        return _parsed(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def _parsed(text: str) -> Price | None:
    """The price in `text`; None where there is none: a file may be broken."""
    try:
        return Price(**{name: float(value) for name, value in json.loads(text).items()})
    except (ValueError, TypeError, AttributeError):
        return None
