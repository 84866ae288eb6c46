"""The controller's RTL with the model of each chip behind it: every word, every rule, the rate."""

import dataclasses

import numpy as np
import pytest

from hw.errors import ToolError
from hw.sdram.chips import CHIPS, SdramTiming
from sim.bench.sdram import SdramBench, sequential

FREQUENCIES = (50, 66, 100, 133)
EVERY = [(name, frequency) for name in CHIPS for frequency in FREQUENCIES]
# Of the others the long runs take care.
SOME = [
    ("AS4C32M16SB-7", 50),
    ("IS42S16160G-7", 66),
    ("MT48LC16M16A2-75", 100),
    ("AS4C32M16SB-7", 133),
]


def timing(name, frequency):
    return SdramTiming(CHIPS[name], frequency)


def traffic(chip, count, seed):
    """Requests at random: hot rows, anywhere, going on, around the end; long and short; pauses."""
    rng = np.random.default_rng(seed)
    # Rows of the same banks, side by side and far apart.
    hot = rng.integers(0, chip.words, 6) & -chip.columns
    hot = np.concatenate([hot, hot + 4 * chip.columns, [chip.words - 2 * chip.columns]])
    # Around the end of a row.
    address = hot[rng.integers(0, len(hot), count)] + chip.columns - rng.integers(0, 48, count)
    anywhere = rng.random(count) < 0.05
    address = np.where(anywhere, rng.integers(0, chip.words, count), address) % chip.words
    words = np.where(rng.random(count) < 0.4, 1, rng.integers(0, 24, count))
    words = np.where(rng.random(count) < 0.002, rng.integers(1, 3 * chip.columns, count), words)
    going_on = np.flatnonzero(rng.random(count - 1) < 0.3) + 1
    for index in going_on:
        address[index] = (address[index - 1] + words[index - 1]) % chip.words
    gap = np.where(rng.random(count) < 0.7, 0, rng.integers(0, 30, count))
    gap = np.where(rng.random(count) < 0.001, rng.integers(0, 3000, count), gap)
    return np.stack([address, words, rng.integers(0, 2, count), gap], axis=1)


def reference(chip, requests, data):
    """What the requests read, and which of it had been written."""
    memory = np.zeros(chip.words, np.uint16)
    written = np.zeros(chip.words, bool)
    words, known, at = [], [], 0
    for address, count, write, _ in requests.tolist():
        where = slice(address, address + count)
        if address + count > chip.words:
            where = np.arange(address, address + count) % chip.words
        if write:
            memory[where] = data[at : at + count]
            written[where] = True
            at += count
        else:
            words.append(memory[where].copy())
            known.append(written[where].copy())
    return np.concatenate(words), np.concatenate(known)


def check(bench, chip, requests, seed=1, **options):
    count, write = requests[:, 1], requests[:, 2]
    data = np.random.default_rng(seed).integers(0, 1 << 16, int((count * write).sum()))
    words, known = reference(chip, requests, data)
    result = bench.run(requests, data, seed=seed, **options)
    assert len(result.words) == len(words) == result.reads
    assert result.writes == len(data)
    wrong = np.flatnonzero((result.words != words) & known)
    assert not len(wrong), "\n".join(
        f"word {i} read is {result.words[i]:#06x}, should be {words[i]:#06x}" for i in wrong[:5]
    )
    assert known.mean() > 0.2
    # Never written: garbage.
    assert not (~known).any() or (result.words[~known] != 0).mean() > 0.9
    assert 0 < result.largest_gap_ns <= chip.refresh_interval
    return result


@pytest.mark.parametrize("name, frequency", SOME)
def test_random_traffic(name, frequency, tmp_path):
    at = timing(name, frequency)
    bench = SdramBench(at, tmp_path)
    requests = traffic(at.chip, 6000, seed=frequency)
    check(bench, at.chip, requests)
    # The streams wait for the outside.
    check(bench, at.chip, requests[:3000], seed=2, i_gap=5, o_gap=3)


@pytest.mark.slow
@pytest.mark.parametrize("name, frequency", EVERY)
def test_random_traffic_at_every_frequency(name, frequency, tmp_path):
    at = timing(name, frequency)
    bench = SdramBench(at, tmp_path)
    for seed in range(4):
        requests = traffic(at.chip, 20_000, seed=seed)
        check(bench, at.chip, requests, seed=seed, i_gap=seed, o_gap=3 * (seed % 2))


@pytest.mark.slow
def test_a_million_accesses(tmp_path):
    at = timing("AS4C32M16SB-7", 100)
    result = check(
        SdramBench(at, tmp_path), at.chip, traffic(at.chip, 1_000_000, seed=5), seed=5, o_gap=1
    )
    print(result)


@pytest.fixture(scope="module")
def micron(tmp_path_factory):
    at = timing("MT48LC16M16A2-75", 133)
    return at, SdramBench(at, tmp_path_factory.mktemp("micron"), optimize=0)


@pytest.mark.parametrize("record_bytes", [794, 3176])
def test_rate_of_sequential_records(record_bytes, micron):
    at, bench = micron
    words = record_bytes // 2
    count = 40_000 // words
    requests = sequential(at, words, count)
    clocks = bench.run(requests, np.zeros(0), clocks=True).read_clocks.astype(int)
    assert len(clocks) == count * words
    # A refresh with all that belongs to it, and two commands a row.
    refresh = at.ras + at.rp + at.rfc + at.rcd + 4
    lost = refresh / at.refresh_after + 2 / at.chip.columns
    assert (len(clocks) - 1) / (clocks[-1] - clocks[0]) >= 1 - lost > 0.97
    # Between refreshes, the ends of rows and records cost no more than the commands.
    gaps = np.diff(clocks)
    assert 0 < (gaps > 3).sum() <= len(clocks) / at.refresh_after + 1
    assert max(gaps) <= refresh


def test_refresh_hides_in_pauses(micron):
    at, bench = micron
    # Each request is done long before the next; a refresh is needed for each second of them.
    pause, words = at.refresh_interval // 2, 40
    requests = [
        (number * words, words, 0, at.power_up + 200 if number == 0 else pause)
        for number in range(300)
    ]
    result = bench.run(np.array(requests), np.zeros(0), clocks=True)
    clocks = result.read_clocks.astype(int).reshape(-1, words)
    assert result.refreshes > 100
    # But for the commands where a request runs over the end of a row.
    assert (clocks[:, -1] - clocks[:, 0] <= words + 1).all()


def test_latencies(micron):
    at, bench = micron
    row, bank = at.chip.columns * 4, at.chip.columns
    # Bank closed, row open, another row, all of it in another bank.
    requests = [(0, 1, 0, at.power_up + 200), (1, 1, 0, 30), (row, 1, 0, 30)]
    requests += [(bank, 1, 0, 30), (bank + 9, 1, 0, 30), (bank + row, 1, 0, 30)]
    result = bench.run(np.array(requests), np.zeros(0), clocks=True)
    found = result.read_clocks.astype(int) - result.request_clocks.astype(int)
    opened = at.cas + 6
    closed = opened + max(at.rcd, 2)
    another = closed + max(at.rp, 2)
    assert list(found) == [closed, opened, another] * 2


def test_from_reads_to_writes_and_back(micron):
    at, bench = micron
    requests = [(0, 8, 1, at.power_up + 100), (0, 8, 0, 0), (4, 8, 1, 0), (0, 12, 0, 0)]
    result = bench.run(np.array(requests), np.arange(16), clocks=True)
    assert list(result.words) == [*range(8), 0, 1, 2, 3, *range(8, 16)]
    reads, writes = result.read_clocks.astype(int), result.write_clocks.astype(int)
    # From the clock of the command to the word at the port: the CAS latency and 3.
    read = reads - at.cas - 3
    assert read[0] == writes[7] + 1 and read[8] == writes[15] + 1
    assert writes[8] == read[7] + at.cas + 2


# Each time a clock too short: the monitor must say so, and of that rule. Power-up has two to spare.
SHORTER = {
    "rcd": (-1, "tRCD"),
    "rp": (-1, "tRP"),
    "ras": (-1, "tRAS"),
    "rfc": (-1, "tRFC"),
    "wr": (-1, "tWR"),
    "power_up": (-3, "power-up"),
}


def with_clocks(name, change):
    """A timing whose member `name` is `change` clocks more or less."""
    honest = timing("AS4C32M16SB-7", 133)
    kind = type(
        "Wrong", (SdramTiming,), {name: property(lambda self: getattr(honest, name) + change)}
    )
    return kind(honest.chip, honest.frequency_mhz)


def fails(at, folder, rule, **more):
    bench = SdramBench(at, folder, optimize=0, **more)
    requests = traffic(at.chip, 3000, seed=7)
    data = np.zeros(int((requests[:, 1] * requests[:, 2]).sum()))
    with pytest.raises(ToolError, match=rf"clock \d+: [\w ]+, bank \d: {rule}"):
        bench.run(requests, data)


def test_a_controller_that_refreshes_late(tmp_path):
    fails(with_clocks("refresh_after", 6), tmp_path, "refresh interval")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTER)
def test_a_controller_that_is_too_early(name, tmp_path):
    change, rule = SHORTER[name]
    fails(with_clocks(name, change), tmp_path, rule)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, rule",
    [
        ({"cas_periods": {2: 10, 3: 8}}, "CAS latency"),
        ({"power_up_refreshes": 9}, "power-up: not initialised"),
        ({"t_rrd": 30}, "tRRD"),
        ({"t_mrd": 60}, "tMRD"),
        ({"t_rc": 90}, "tRC"),
    ],
)
def test_a_controller_for_another_chip(change, rule, tmp_path):
    at = timing("AS4C32M16SB-7", 133)
    fails(at, tmp_path, rule, chip=dataclasses.replace(at.chip, **change))
