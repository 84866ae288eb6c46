"""The model of an SDRAM chip and its monitor: commands without a controller.

Each rule is kept to the clock in one long sequence without a violation, and broken by one clock in
a sequence of its own.
"""

import dataclasses

import numpy as np
import pytest

from hw.errors import ToolError
from hw.sdram.chips import CHIPS
from sim.bench.sdram import CommandBench

# A small one, so that it is quick; at 7.5 ns t_rc is more than t_ras and t_rp in clocks, too.
CHIP = dataclasses.replace(
    CHIPS["IS42S16160G-7"], rows=2048, columns=16, t_refresh_most=16e6, t_ras_most=4000
)
FREQUENCY = 133
# By hand from the data sheet.
RCD, RP, RAS, RC, RRD, RFC, WR, MRD, CAS = 2, 2, 5, 8, 2, 8, 2, 2, 3
RAS_MOST, REFRESH, POWER_UP = 531, 1039, 26_600

COMMANDS = {
    "none": 0b111,
    "activate": 0b011,
    "read": 0b101,
    "write": 0b100,
    "precharge": 0b010,
    "refresh": 0b001,
    "mode": 0b000,
    "terminate": 0b110,
}
ALL = 1 << 10
NONE = (0x17 << 20, 0)


def command(name, bank=0, a=0, *, data=0, dqm=0, driven=None, cke=1, cs_n=0):
    driven = name == "write" if driven is None else driven
    pins = driven << 25 | cke << 24 | cs_n << 23 | COMMANDS[name] << 20
    return pins | dqm << 18 | bank << 16 | a, data


def after(clocks, *what, **more):
    """Commands so that the last comes `clocks` clocks after the one before."""
    return [NONE] * (clocks - 1) + [command(*what, **more)]


def start(wait=POWER_UP - 1, refreshes=8, cas=CAS):
    """Initialisation, with its last command's time kept; the bench has a clock before."""
    found = [NONE] * wait + [command("precharge", a=ALL)]
    found += after(RP, "refresh")
    for _ in range(refreshes - 1):
        found += after(RFC, "refresh")
    return found + after(RFC, "mode", a=cas << 4) + [NONE] * (MRD - 1)


def open_row(bank=0, row=3):
    return [command("activate", bank, row)]


def close_all():
    return [NONE] * RC + [command("precharge", a=ALL)] + [NONE] * RFC


# Sequences that keep a rule to the clock, and that break it by one: `less` is 0 or 1.
CLOSE = {
    "tRCD": lambda less: open_row() + after(RCD - less, "read"),
    "tRCD of a write": lambda less: open_row() + after(RCD - less, "write"),
    "tRP": lambda less: open_row() + after(RC, "precharge") + after(RP - less, "activate"),
    "tRP before refresh": lambda less: (
        open_row() + after(RC, "precharge") + after(RP - less, "refresh")
    ),
    "tRP of all banks": lambda less: (
        open_row(2) + after(RC, "precharge", 0, ALL) + after(RP - less, "mode", 0, CAS << 4)
    ),
    "tRAS": lambda less: open_row() + after(RAS - less, "precharge"),
    "tRAS of all banks": lambda less: open_row(3) + after(RAS - less, "precharge", 0, ALL),
    "tRAS, the most": lambda less: open_row() + after(RAS_MOST + less, "precharge"),
    "tRC": lambda less: open_row() + after(RAS, "precharge") + after(RC - RAS - less, "activate"),
    "tRRD": lambda less: open_row() + after(RRD - less, "activate", 1),
    "tRFC": lambda less: [command("refresh"), *after(RFC - less, "activate")],
    "tRFC before refresh": lambda less: [command("refresh"), *after(RFC - less, "refresh")],
    "tWR": lambda less: open_row() + after(RAS, "write") + after(WR - less, "precharge"),
    "tMRD": lambda less: [command("mode", a=CAS << 4), *after(MRD - less, "activate")],
    "bus contention": lambda less: open_row() + after(RCD, "read") + after(CAS + 2 - less, "write"),
    "refresh interval": lambda less: [command("refresh"), *after(REFRESH + less, "refresh")],
}

# Whole sequences that are wrong from the beginning.
WRONG = {
    "power-up: commands before the time": start(POWER_UP - 2),
    "power-up: precharge all first": [NONE] * POWER_UP + [command("refresh")],
    "power-up: not initialised": start(refreshes=7) + open_row(),
    "CAS latency: too short for the clock": start(cas=2),
    "CAS latency: neither 2 nor 3": start(cas=1),
    "mode: not single words": [*start(), command("mode", a=CAS << 4 | 1)],
    "bank state: the bank is closed": start() + open_row(1) + after(RCD, "read", 2),
    "bank state: the bank is open": start() + open_row() + after(RC, "activate"),
    "bank state: a bank is open": start() + open_row() + after(RC, "refresh"),
    "burst terminate": [*start(), command("terminate")],
    "auto precharge": start() + open_row() + after(RCD, "read", 0, ALL),
    "data: nobody drives the bus": start() + open_row() + after(RCD, "write", driven=False),
    "clock enable is low": [*start(), command("none", cke=0)],
    "refresh interval": start() + [NONE] * REFRESH,
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return CommandBench(CHIP, FREQUENCY, tmp_path_factory.mktemp("commands"))


def test_rules_kept_to_the_clock(bench):
    sequence = start()
    for rule in CLOSE.values():
        # Refreshed between, as the sequences take some time.
        sequence += rule(0) + close_all() + [command("refresh")] + [NONE] * RFC
    bench.run(sequence)


@pytest.mark.parametrize("rule", CLOSE)
def test_rules_broken_by_a_clock(rule, bench):
    with pytest.raises(ToolError, match=rf"SDRAM: clock \d+: [\w ]+, bank \d: {rule.split()[0]}"):
        bench.run(start() + CLOSE[rule](1) + [NONE] * 2)


@pytest.mark.parametrize("rule", WRONG)
def test_wrong_from_the_beginning(rule, bench):
    with pytest.raises(ToolError, match=rf"SDRAM: clock \d+: [\w ]+, bank \d: {rule}"):
        bench.run(WRONG[rule] + [NONE] * 2)


def test_what_an_error_says(bench):
    sequence = start() + open_row(2) + after(RCD - 1, "read", 2)
    # Clocks are counted from 0, and the bench begins with one of its own.
    said = rf"^SDRAM: clock {len(sequence)}: read, bank 2: tRCD; log: \S+simulation\.log$"
    with pytest.raises(ToolError, match=said):
        bench.run(sequence)


def write_and_read(*extra, masks=(0, 0)):
    """Two words written, one of them read back, and one that nobody wrote."""
    sequence = start() + open_row()
    sequence += after(RCD, "write", 0, 5, data=0x1234)
    sequence += [command("write", 0, 5, data=0x5678, dqm=masks[0])]
    sequence += [command("write", 0, 6, data=0x9ABC), *extra]
    sequence += after(1, "read", 0, 5)
    # The mask of a word read comes two clocks before it.
    sequence += [command("none", dqm=masks[1]), command("read", 0, 7)] + [NONE] * 6
    return sequence


def words_read(bench, sequence, **options):
    """Words taken, CAS clocks after their commands."""
    pins = bench.run(sequence, **options)
    reads = [at for at, (pins_, _) in enumerate(sequence) if pins_ >> 20 & 0xF == 0b0101]
    # The bench begins with a clock of its own.
    return [int(pins[1 + at + CAS]) for at in reads]


def test_words_come_back(bench):
    word, never = words_read(bench, write_and_read())
    assert word == 0x5678
    assert words_read(bench, write_and_read()) == [word, never]
    others = [words_read(bench, write_and_read(), seed=seed)[1] for seed in (2, 3, 4)]
    # From the seed, and not zeros.
    assert len({never, 0, *others}) == 5


def test_masks(bench):
    assert words_read(bench, write_and_read(masks=(1, 0)))[0] == 0x5634
    assert words_read(bench, write_and_read(masks=(2, 0)))[0] == 0x1278
    word = words_read(bench, write_and_read(masks=(0, 1)))[0]
    assert word >> 8 == 0x56 and word & 0xFF != 0x78


def test_garbage_after_a_violation(bench):
    wrong = write_and_read(command("activate", 0, 4))
    with pytest.raises(ToolError, match="bank state"):
        bench.run(wrong)
    # Told to go on.
    word, _ = words_read(bench, wrong, go_on=True)
    assert word not in (0, 0x5678)


def test_the_bus_between_words(bench):
    pins = bench.run(start() + [NONE] * 50)
    assert len(np.unique(pins[-50:])) > 40
