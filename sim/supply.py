"""The cycle model of what comes from SDRAM: supply and controller, equal to the RTL in every clock.

Clocks are counted from the one in which the run's first refresh ends.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from hw.design import Design
from hw.sdram.chips import BANK_BITS, BANKS, SdramTiming
from hw.supply import ROUNDS, record_size
from sim.order import run_attempts, run_order

# Clocks from the decision to read a word, CAS latency apart, until it enters the buffer: pins, the
# register that catches it, the controller's queue.
_PASSAGE = 3

# Clocks that the supply needs for a number, and more for each permutation.
_NUMBER, _PERMUTATION = 2, ROUNDS + 1


@dataclasses.dataclass(frozen=True)
class Epochs:
    """Which records a run takes.

    Members
    -------
    records : of an epoch.
    first : number of the first one in SDRAM.
    seed : of the order of each epoch; 0 for the stored one.
    """

    records: int
    first: int = 0
    seed: int = 0


class SupplyModel:
    """When the samples of a run come from SDRAM.

    Parameters
    ----------
    design : of the machine.
    timing : of the SDRAM.
    """

    def __init__(self, design: Design, timing: SdramTiming) -> None:
        self.design = design
        self.timing = timing

    def arrivals(self, epochs: Epochs, samples: int, released: Sequence[int]) -> Iterator[int]:
        """Clock in which the last word of each sample enters the buffer.

        `released` are the clocks in which the core gives the places of samples free, in their
        order. It may grow between samples: those of all samples before must be there.
        """
        clocks = _Supply(self.design, self.timing, epochs, samples, released)
        size = record_size(self.design)
        for sample in range(1, samples + 1):
            while clocks.words < sample * size:
                clocks.step()
            yield clocks.now - 1 + self.timing.cas + _PASSAGE

    def clocks_per_record(self) -> float:
        """Mean clocks from one record to the next, while there is room for all."""
        count = 1000
        freed = range(1, count)
        entered = list(self.arrivals(Epochs(count), count, freed))
        return (entered[-1] - entered[0]) / (count - 1)


class _Supply:
    """hw.supply.SampleSupply: asks for records, part by part. All that changes is a register."""

    def __init__(
        self,
        design: Design,
        timing: SdramTiming,
        epochs: Epochs,
        samples: int,
        released: Sequence[int],
    ) -> None:
        self.size = record_size(design)
        self.refill = design.refill_vectors
        self.numbers = run_order(epochs.records, samples, epochs.seed).tolist()
        self.attempts = run_attempts(epochs.records, samples, epochs.seed).tolist()
        self.first = epochs.first
        self.released = released
        self.controller = _Controller(timing)
        self.now = 0
        self.room, self.part = design.buffer_vectors, 0
        self.asked_for = self.freed = 0
        self.valid_at = self._ready(0)
        self.request: int | None = None  # address

    @property
    def words(self) -> int:
        """Words that have been read."""
        return self.controller.words

    def step(self) -> None:
        """To the next clock, or over several in which nothing changes but counters."""
        before = self._state()
        self._clock()
        if self._state() == before:
            self._skip()

    def _state(self) -> tuple:
        here = self.part, self.room, self.request, self.asked_for
        return (*here, *self.controller.state())

    def _skip(self) -> None:
        clocks = self.controller.skippable()
        for event in (self.valid_at, *self.released[self.freed : self.freed + 1]):
            if event >= self.now:
                clocks = min(clocks, event - self.now)
        self.now += clocks
        self.controller.skip(clocks)

    def _clock(self) -> None:
        ready = self.controller.request_ready()
        free = self.request is None or ready
        more = self.asked_for < len(self.numbers)
        asked = more and self.now >= self.valid_at and self.part != 0 and free
        enough = self.now >= 1 and self.part == 0 and self.room >= self.refill
        freed = self.freed < len(self.released) and self.released[self.freed] == self.now
        self.controller.clock(self.request, self.size)
        self.part = self.refill if enough else self.part - asked
        self.room += freed - asked
        self.freed += freed
        if free:
            self.request = self._address() if asked else None
        if asked:
            self.asked_for += 1
            self.valid_at = self._ready(self.now)
        self.now += 1

    def _address(self) -> int:
        return (self.first + self.numbers[self.asked_for]) * self.size

    def _ready(self, taken: int) -> int:
        """Clock from which on the next number is there, when the one before was taken then."""
        if self.asked_for == len(self.numbers):
            return taken
        tries = self.attempts[self.asked_for]
        return taken + (1 + _PERMUTATION * tries if tries else _NUMBER)


class _Bank:
    """hw.sdram.banks.BankStates, of one bank."""

    def __init__(self) -> None:
        self.row: int | None = None  # open
        self.wait = self.opened = 0

    def state(self) -> tuple:
        return self.row, self.wait, self.opened

    def clock(self) -> None:
        self.wait -= self.wait != 0
        self.opened -= self.opened != 0


@dataclasses.dataclass
class _Segment:
    bank: int
    row: int
    more: int


class _Slot:
    """A segment, and what was known of its bank a clock ago."""

    def __init__(self) -> None:
        self.segment: _Segment | None = None
        self.known = False
        self.flags = (False,) * 4  # hit, may access, may activate, may precharge

    def state(self) -> tuple:
        place = (self.segment.bank, self.segment.row) if self.segment else None
        return place, self.known, self.flags

    def found(self, banks: Sequence[_Bank]) -> tuple[bool, ...]:
        if self.segment is None:
            return (False,) * 4
        bank = banks[self.segment.bank]
        hit = bank.row == self.segment.row
        closed, ends = bank.row is None, bank.wait <= 1
        may_precharge = not closed and not hit and bank.opened <= 1
        return hit, hit and ends, closed and ends, may_precharge


class _Controller:
    """hw.sdram.controller.SdramController, of which only is read."""

    def __init__(self, timing: SdramTiming) -> None:
        self.timing = timing
        self.columns = timing.chip.column_bits
        self.words = 0
        # The splitter: a request's address and words that are left behind the first.
        self.address = self.more = 0
        self.splitting = False
        self.current, self.following = _Slot(), _Slot()
        self.banks = [_Bank() for _ in range(BANKS)]
        self.apart = 0
        self.since, self.may, self.must = timing.rfc - 1, False, False
        self.running, self.phase, self.wait = False, "END", 0

    def state(self) -> tuple:
        """All that matters but the counters of words and of clocks since the last refresh."""
        parts = (self.current, self.following, *self.banks)
        return (
            self.address,
            self.more,
            self.splitting,
            self.apart,
            self.may,
            self.must,
            self.running,
            self.phase,
            self.wait,
            *(part.state() for part in parts),
        )

    def skippable(self) -> int:
        """Clocks until one of these counters makes a difference."""
        after = self.timing.refresh_after
        clocks = min(at - self.since for at in (after // 2, after, 1 << 62) if at >= self.since)
        if self.current.segment and self._access(other=False):
            clocks = min(clocks, self.current.segment.more)
        return clocks

    def skip(self, clocks: int) -> None:
        """So many clocks at once."""
        self.since += clocks
        if self.current.segment and self._access(other=False):
            self.current.segment.more -= clocks
            self.words += clocks

    def request_ready(self) -> bool:
        """Whether the splitter takes a request in this clock."""
        return not self.splitting or (self._segment_ready() and not self._crossing())

    def clock(self, request: int | None, size: int) -> None:
        """One clock, with a request for `size` words from an address, if there is one."""
        activate, precharge, for_following = self._command()
        access = self._access(other=for_following)
        close = self.phase == "CLOSE" and self.wait == 0 and not any(b.opened for b in self.banks)
        found = [slot.found(self.banks) for slot in (self.current, self.following)]
        for_current = (activate or precharge) and not for_following
        chosen = self.following if for_following else self.current
        target = chosen.segment
        free = self.current.segment is None or (access and self.current.segment.more == 0)
        taken = self._segment_ready()
        idle = not (self.current.segment or self.following.segment or self.splitting)
        split = self._split() if taken else None

        self._refresh(close, idle)
        self._advance_splitter(request, size, taken)
        if access:
            self.words += 1
            self.current.segment.more -= 1
        self.current.flags, self.following.flags = found
        self.current.known = not (close or for_current)
        self.following.known = not (close or for_following or taken)
        if free:
            self.current.segment, self.current.flags = self.following.segment, found[1]
        if taken:
            self.following.segment = split
        self._advance_banks(activate, precharge, close, target)

    def _segment_ready(self) -> bool:
        return self.following.segment is None or self._ends()

    def _ends(self) -> bool:
        """Whether the current segment ends, or there is none."""
        current = self.current.segment
        return current is None or (current.more == 0 and self._access(self._command()[2]))

    def _command(self) -> tuple[bool, bool, bool]:
        """Whether a row is opened, closed; whether for the following segment."""
        current, following = self.current, self.following
        if current.segment is None or not self.running:
            return False, False, False
        ahead = current.flags[0]
        if ahead:
            other = following.segment
            apart = other is not None and other.bank != current.segment.bank
            wanted = apart and following.known
        else:
            wanted = current.known
        _, _, may_activate, may_precharge = (following if ahead else current).flags
        activate = wanted and may_activate and self.apart == 0
        precharge = wanted and may_precharge
        return activate, precharge, ahead and (activate or precharge)

    def _access(self, other: bool) -> bool:
        current = self.current
        ready = current.segment is not None and current.known and current.flags[1]
        return ready and self.running and not other

    def _crossing(self) -> bool:
        return self._row_end() >> self.columns != 0

    def _row_end(self) -> int:
        return self.more + (self.address & ((1 << self.columns) - 1))

    def _split(self) -> _Segment | None:
        if not self.splitting:
            return None
        column = self.address & ((1 << self.columns) - 1)
        more = (1 << self.columns) - 1 - column if self._crossing() else self.more
        place = self.address >> self.columns
        return _Segment(place & (BANKS - 1), place >> BANK_BITS, more)

    def _advance_splitter(self, request: int | None, size: int, taken: bool) -> None:
        if not self.splitting or (taken and not self._crossing()):
            self.splitting = request is not None
            self.address, self.more = request or 0, size - 1
        elif taken:
            self.more = self._row_end() - (1 << self.columns)
            after = (self.address >> self.columns) + 1 << self.columns
            self.address = after % (1 << self.timing.chip.address_bits)

    def _advance_banks(
        self, activate: bool, precharge: bool, close: bool, target: _Segment | None
    ) -> None:
        timing = self.timing
        self.apart = timing.rrd - 1 if activate else self.apart - (self.apart != 0)
        for number, bank in enumerate(self.banks):
            bank.clock()
            chosen = target is not None and target.bank == number
            if close or (precharge and chosen):
                bank.row, bank.wait = None, timing.rp - 1
            elif activate and chosen:
                bank.row, bank.wait, bank.opened = target.row, timing.rcd - 1, timing.ras - 1

    def _refresh(self, close: bool, idle: bool) -> None:
        timing, wants = self.timing, self.must or (self.may and idle)
        wait, self.wait = self.wait, self.wait - (self.wait != 0)
        refresh = self.phase == "REFRESH" and wait == 0
        after = timing.refresh_after
        if refresh:
            self.since, self.may, self.must = 0, False, False
        else:
            self.may |= self.since == after // 2
            self.must |= self.since == after
            self.since += 1
        if close:
            self.phase, self.wait = "REFRESH", timing.rp - 1
        elif refresh:
            self.phase, self.wait = "END", timing.rfc - 1
        elif self.phase == "END" and wait == 0:
            self.phase, self.running = "RUN", True
        elif self.phase == "RUN" and wants:
            self.phase, self.running = "CLOSE", False
