"""SDR SDRAM chips: geometry and times from their data sheets, and the same in clocks."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hw.errors import InputError

BANKS = 4
BANK_BITS = 2
DATA_BITS = 16

# Clocks that hw.sdram.refresh takes itself, from `refresh_after` to where it begins to close rows.
_REFRESH_LATENCY = 3


@dataclass(frozen=True, kw_only=True)
class SdramChip:
    """An SDR SDRAM of four banks with 16 data pins, one speed grade of it.

    Times are the least in ns, as its data sheet has them, but for the two that say the most.

    Parameters
    ----------
    name : with its speed grade.
    rows, columns : of each bank, powers of two; a column is a word of 16 bits.
    t_rcd : from activating a row to reading or writing it.
    t_rp : from precharging a bank to activating or refreshing it.
    t_ras, t_ras_most : from activating a row to precharging its bank.
    t_rc : from activating a bank to activating it again.
    t_rrd : from activating a bank to activating another.
    t_rfc : from a refresh to what follows it.
    t_wr : from the last word written to precharging its bank.
    t_mrd : from setting the mode to what follows it; 2 clocks at least.
    t_refresh_most : in which all rows must be refreshed, each by one refresh.
    t_power_up : from stable power and clock to the first command.
    power_up_refreshes : after that.
    cas_periods : shortest clock period for each CAS latency in clocks.

    Raises
    ------
    InputError
        A value is not positive, or rows or columns are no power of two that the address pins can
        tell.
    """

    name: str
    rows: int = 8192
    columns: int
    t_rcd: float
    t_rp: float
    t_ras: float
    t_ras_most: float = 100_000.0
    t_rc: float
    t_rrd: float
    t_rfc: float
    t_wr: float
    t_mrd: float
    t_refresh_most: float = 64e6
    t_power_up: float = 200_000.0
    power_up_refreshes: int = 8
    cas_periods: Mapping[int, float]

    def __post_init__(self) -> None:
        # A10 selects all banks when precharging, so that it can be no column bit.
        for name, least, most in (("rows", 2048, 8192), ("columns", 2, 1024)):
            value = getattr(self, name)
            if value & (value - 1) or not least <= value <= most:
                raise InputError(
                    f"{name} must be a power of two from {least} to {most}, not {value}"
                )
        times = {name: value for name, value in vars(self).items() if name.startswith("t_")}
        times |= {f"cas_periods[{cas}]": period for cas, period in self.cas_periods.items()}
        times["power_up_refreshes"] = self.power_up_refreshes
        for name, value in times.items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name} must be positive, not {value:g}")
        if not self.cas_periods or not set(self.cas_periods) <= {2, 3}:
            raise InputError(f"cas_periods must be of latencies 2 or 3, not {[*self.cas_periods]}")

    @property
    def column_bits(self) -> int:
        """Width of a column's number."""
        return self.columns.bit_length() - 1

    @property
    def row_bits(self) -> int:
        """Width of a row's number, and number of address pins."""
        return self.rows.bit_length() - 1

    @property
    def address_bits(self) -> int:
        """Width of a word's address: row, bank and column, from the top bit down."""
        return self.row_bits + BANK_BITS + self.column_bits

    @property
    def words(self) -> int:
        """Capacity in words of 16 bits."""
        return 1 << self.address_bits

    @property
    def refresh_interval(self) -> float:
        """Most time from one refresh to the next in ns, when they are spread evenly."""
        return self.t_refresh_most / self.rows


@dataclass(frozen=True)
class SdramTiming:
    """What a chip demands at a clock frequency, in clocks.

    Parameters
    ----------
    chip : the chip.
    frequency_mhz : clock frequency in MHz.

    Raises
    ------
    InputError
        The frequency is more than the chip can, or so low that there is hardly time between
        refreshes.
    """

    chip: SdramChip
    frequency_mhz: float

    def __post_init__(self) -> None:
        most = 1e3 / min(self.chip.cas_periods.values())
        if not 0 < self.frequency_mhz <= most:
            raise InputError(
                f"frequency of {self.chip.name} must be above 0 and at most {most:.6g} MHz, "
                f"not {self.frequency_mhz:g}"
            )
        if self.refresh_after < self._refresh_takes:
            raise InputError(
                f"{self.frequency_mhz:g} MHz is too low for {self.chip.name}: a refresh takes "
                f"{self._refresh_takes} of {self.refresh_interval} clocks"
            )

    @property
    def name(self) -> str:
        """A valid part of an identifier."""
        return re.sub(r"\W", "_", f"{self.chip.name}_{self.frequency_mhz:g}mhz".lower())

    @property
    def cas(self) -> int:
        """CAS latency: the least that the chip can at this frequency."""
        periods = self.chip.cas_periods
        return min(cas for cas, period in periods.items() if self.frequency_mhz * period <= 1e3)

    @property
    def rcd(self) -> int:
        """From activating a row to reading or writing it."""
        return self._clocks(self.chip.t_rcd)

    @property
    def rp(self) -> int:
        """From precharging to activating or refreshing."""
        return self._clocks(self.chip.t_rp)

    @property
    def ras(self) -> int:
        """From activating to precharging; so many that t_rc is kept where t_rp is."""
        return max(self._clocks(self.chip.t_ras), self._clocks(self.chip.t_rc) - self.rp)

    @property
    def rrd(self) -> int:
        """From activating a bank to activating another."""
        return self._clocks(self.chip.t_rrd)

    @property
    def rfc(self) -> int:
        """From a refresh to what follows it."""
        return self._clocks(self.chip.t_rfc)

    @property
    def wr(self) -> int:
        """From writing to precharging."""
        return self._clocks(self.chip.t_wr)

    @property
    def mrd(self) -> int:
        """From setting the mode to what follows it."""
        return max(2, self._clocks(self.chip.t_mrd))

    @property
    def power_up(self) -> int:
        """From power to the first command."""
        return self._clocks(self.chip.t_power_up)

    @property
    def refresh_interval(self) -> int:
        """Most clocks from one refresh to the next."""
        return math.floor(round(self.chip.refresh_interval * self.frequency_mhz / 1e3, 6))

    @property
    def refresh_after(self) -> int:
        """Clocks after a refresh when the next may wait no longer for a pause."""
        return self.refresh_interval - max(self.ras, self.wr) - self.rp - _REFRESH_LATENCY

    @property
    def _refresh_takes(self) -> int:
        return self.refresh_interval - self.refresh_after + self.rfc

    def _clocks(self, nanoseconds: float) -> int:
        # Rounded first: 0.1 + 0.2 must not cost a clock.
        return max(1, math.ceil(round(nanoseconds * self.frequency_mhz / 1e3, 6)))


# Alliance AS4C32M16SB, Rev 1.0 of 2016; Micron MT48LC16M16A2 (256Mb SDRAM), t_wr for precharge by
# command; ISSI IS42S16160G, of its CAS latency 2 the more careful figure. Power-up is the longest
# of the three, with as many refreshes as any SDR SDRAM wants.
CHIPS: Mapping[str, SdramChip] = {
    chip.name: chip
    for chip in (
        SdramChip(
            name="AS4C32M16SB-7",
            columns=1024,
            t_rcd=21,
            t_rp=21,
            t_ras=42,
            t_rc=63,
            t_rrd=14,
            t_rfc=63,
            t_wr=14,
            t_mrd=14,
            cas_periods={2: 10, 3: 7},
        ),
        SdramChip(
            name="MT48LC16M16A2-75",
            columns=512,
            t_rcd=20,
            t_rp=20,
            t_ras=44,
            t_rc=66,
            t_rrd=15,
            t_rfc=66,
            t_wr=15,
            t_mrd=15,
            cas_periods={2: 10, 3: 7.5},
        ),
        SdramChip(
            name="IS42S16160G-7",
            columns=512,
            t_rcd=15,
            t_rp=15,
            t_ras=37,
            t_rc=60,
            t_rrd=14,
            t_rfc=60,
            t_wr=14,
            t_mrd=14,
            cas_periods={2: 10, 3: 7},
        ),
    )
}


def find_chip(name: str) -> SdramChip:
    """The chip of that name; raises InputError where there is none."""
    if name not in CHIPS:
        raise InputError(f"SDRAM chip must be one of {', '.join(CHIPS)}, not {name!r}")
    return CHIPS[name]
