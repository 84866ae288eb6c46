"""Tables of docs/memory.md: SDRAM chips, their times in clocks, and what the controller reaches."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gradwire.sdram import keeps_up
from hw.design import SAMPLE_FORMATS, Design
from hw.sdram.chips import CHIPS, SdramTiming, find_chip
from sim.bench.sdram import SdramBench, sequential

FREQUENCIES = (50, 66, 100, 133)
RECORDS = (824, 3176)  # bytes: 784 inputs, each a byte or FP32, and 10 labels
# Networks with so many inputs, 100-100-10 behind them.
INPUTS = (64, 256, 784, 1568)

# A head, with bars between the columns, and lines.
Table = tuple[str, list[tuple[object, ...]]]


def chips() -> Table:
    """Geometry, and times in ns."""
    times = ("t_rcd", "t_rp", "t_ras", "t_rc", "t_rrd", "t_rfc", "t_wr", "t_mrd")
    lines = [
        (
            chip.name,
            f"{chip.words >> 19} MB",
            chip.columns,
            *(f"{getattr(chip, time):g}" for time in times),
            *(f"{1e3 / chip.cas_periods[cas]:.0f} MHz" for cas in (2, 3)),
        )
        for chip in CHIPS.values()
    ]
    names = "|".join("t" + time[2:].upper() for time in times)
    return f"chip|size|columns|{names}|CAS 2 up to|CAS 3 up to", lines


def timings() -> Iterator[SdramTiming]:
    """Each chip at each frequency."""
    for chip in CHIPS.values():
        for frequency in FREQUENCIES:
            yield SdramTiming(chip, frequency)


def clocks() -> Table:
    """Times in clocks, and what they mean for a read: clocks from request to first word."""
    lines = []
    for at in timings():
        row_open = at.cas + 6
        closed = row_open + max(at.rcd, 2)
        lines.append(
            (
                at.chip.name,
                at.frequency_mhz,
                at.cas,
                *(at.rcd, at.rp, at.ras, at.rfc, at.wr, at.refresh_interval),
                *(row_open, closed, closed + max(at.rp, 2)),
            )
        )
    head = "chip|MHz|CAS|rcd|rp|ras|rfc|wr|refresh|row open|bank closed|another row"
    return head, lines


def rates() -> Table:
    """Words a clock in long runs of records one behind the other, refresh included."""
    lines = []
    for at in timings():
        with tempfile.TemporaryDirectory() as folder:
            bench = SdramBench(at, Path(folder))
            reads = [_rate(bench, at, size) for size in RECORDS]
            write = _rate(bench, at, RECORDS[-1], write=True)
        speed = 2 * reads[0] * at.frequency_mhz
        figures = [f"{rate:.4f}" for rate in (*reads, write)]
        lines.append((at.chip.name, at.frequency_mhz, *figures, f"{speed:.0f} MB/s"))
    read = "|".join(f"read, {size:,} bytes" for size in RECORDS)
    return f"chip|MHz|{read}|write, {RECORDS[-1]:,} bytes|read", lines


def _rate(bench: SdramBench, at: SdramTiming, size: int, *, write: bool = False) -> float:
    words = size // 2
    requests = sequential(at, words, 100_000 // words, write=write)
    data = np.zeros(int(requests[:, 1].sum()) if write else 0)
    result = bench.run(requests, data, clocks=True)
    transfers = result.write_clocks if write else result.read_clocks
    return (len(transfers) - 1) / (int(transfers[-1]) - int(transfers[0]))


def waits() -> Table:
    """From how many processing elements on the array waits for samples."""
    timing = SdramTiming(find_chip("MT48LC16M16A2-75"), 50)
    lines = []
    for inputs in INPUTS:
        for name in SAMPLE_FORMATS:
            design = Design(
                layers=(inputs, 100, 100, 10),
                processing_elements=100,
                mapping=("column",) * 3,
                sample_format=name,
            )
            found = keeps_up(design, timing)
            pes = found["waits_from_pes"]
            lines.append((design.topology, name, found["bytes"], found["clocks"], pes or "never"))
    return "network|samples as|bytes of one|clocks of one|the array waits from", lines
