"""`gradwire explore`: what it prints and draws, how it goes on after being killed, how it fails."""

import contextlib
import errno
import json
import os
import signal
import stat
import time
import xml.etree.ElementTree as ET

import pytest

from gradwire.explore import command as exploring
from gradwire.explore import tasks
from gradwire.explore.history import History
from gradwire.explore.workers import workers
from hw import tool
from hw.errors import InputError, ToolError

SMALL = ("explore", "5-3-2", "--multiplier-stages", "2")
SMALL += ("--broadcast-stages", "0", "--buffer-vectors", "16", "--confirm", "1")


@pytest.fixture(autouse=True)
def _own(fresh_cache):
    pass


@pytest.fixture
def here(monkeypatch, executor):
    """Has tasks done in this process; what it is called with are other tasks in their place."""

    def use(more=None):
        @contextlib.contextmanager
        def inline(cluster, jobs):
            yield executor(more), 1

        monkeypatch.setattr(exploring, "workers", inline)

    return use


def test_what_it_prints_and_draws(here, run, run_json, folder):
    here()
    found = run_json(*SMALL, "-o", "out/chart.svg")
    best = found["best"]
    assert best["cells_by"] == "synthesis" and best["fmax_by"] == "model"
    rate = 1e6 * best["fmax_mhz"] / best["clocks_per_sample"]
    assert best["samples_per_second"] == pytest.approx(rate, rel=1e-3)
    assert best in found["front"]
    rates = [point["samples_per_second"] for point in found["front"]]
    assert rates == sorted(rates)
    assert found["made"]["syntheses"] == 1 and found["known"] == 0
    picture = ET.parse(folder / "out/chart.svg").getroot()
    dots = picture.findall(".//{*}circle/{*}title")
    assert len(dots) >= len(found["front"])
    # The options make the same machine.
    clocks = run_json("clocks", "5-3-2", *best["options"].split())
    assert clocks["clocks_per_iteration"] == best["clocks_per_sample"]
    text = run(*SMALL).stdout
    assert "what limits it" in text and "more processing elements or stages" in text
    assert (folder / "build/explore-5-3-2-ecp5-85k.svg").is_file()


def test_killed_half_way_it_goes_on(command, here, run_json, fresh_cache):
    child = command(*SMALL, "--jobs", "1", "--json", GRADWIRE_CACHE=str(fresh_cache))
    until = time.monotonic() + 300
    while len(History()) < 3:
        assert child.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    known = len(History())
    assert known >= 3
    here()
    found = run_json(*SMALL)
    assert found["known"] >= known
    again = run_json(*SMALL)
    assert again["made"] == {"schedules": 0, "syntheses": 0, "placements": 0}
    assert again["best"] == found["best"]


def test_ctrl_c(command, fresh_cache):
    child = command(*SMALL, "--jobs", "1", GRADWIRE_CACHE=str(fresh_cache))
    while len(History()) < 1:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130
    assert said.splitlines()[-1] == (
        "gradwire: interrupted: what was finished is kept for the next call"
    )
    assert "Traceback" not in said


def test_a_tool_that_hangs(here, fails, tmp_path, monkeypatch):
    here({tasks.cells: tasks.cells})
    hanging = tmp_path / "hangs"
    hanging.write_text('#!/bin/sh\n[ "$1" = -V ] || exec sleep 600\n')
    hanging.chmod(hanging.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(tool, "executable", lambda name: str(hanging))
    line = fails(*SMALL, "--time-limit", "0.01", code=1)
    assert "Yosys took longer than 0.6 s" in line
    assert "what was finished is kept for the next call" in line
    assert History().values("schedules")


def test_a_tool_that_crashes(here, fails, tmp_path, monkeypatch):
    here({tasks.cells: tasks.cells})
    crashing = tmp_path / "crashes"
    crashing.write_text('#!/bin/sh\n[ "$1" = -V ] || kill -SEGV $$\n')
    crashing.chmod(crashing.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(tool, "executable", lambda name: str(crashing))
    assert "Yosys failed (SIGSEGV)" in fails(*SMALL, code=1)
    assert History().values("schedules")


def test_a_full_disk(here, fails):
    def full(design, limit):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/estimate")

    here({tasks.cells: full})
    line = fails(*SMALL, code=1)
    assert line.startswith("gradwire: /cache/estimate: No space left on device; what was finished")
    assert History().values("schedules")


@pytest.mark.parametrize(
    "words, says",
    [
        (["--target", "ice40-hx8k"], "target of explore must be one of ecp5-12k"),
        (["--goal", "fame"], "goal must be one of samples-per-second, energy, area, not 'fame'"),
        (["--goal", "energy"], "goal energy needs power figures, and there are none of ecp5-85k"),
        (["--pes", "1,x"], "processing elements must be numbers joined by commas, not '1,x'"),
        (["--pes", "0"], "processing elements must be 1 to 4096, not 0"),
        (["--confirm", "0"], "confirm must be at least 1, not 0"),
        (["--place", "-1"], "place must be at least 0, not -1"),
        (["--jobs", "0"], "jobs must be at least 1, not 0"),
        (["--time-limit", "0"], "time limit must be above 0 minutes, not 0"),
        (["--at-least", "1e9"], "no machine for 5-3-2 on ecp5-85k trains on 1e+09 samples"),
        (["--mapping", "up,down"], "mapping must be one of row, column, not 'up'"),
        (["-o", "."], "output file . cannot be written: it is a folder"),
    ],
)
def test_bad_input(here, fails, words, says):
    here()
    assert says in fails(*SMALL, *words)


def double(value):
    return 2 * value


def test_a_cluster():
    """A Dask cluster on this machine: the same calls."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        workers(cluster.scheduler_address) as (executor, jobs),
    ):
        assert jobs == 2
        assert executor.submit(double, 21).result(timeout=60) == 42


def test_a_cluster_that_is_not_there():
    pytest.importorskip("distributed", reason="Dask is not installed: distributed")
    with (
        pytest.raises(ToolError, match=r"cluster tcp://127\.0\.0\.1:9 does not answer"),
        workers("tcp://127.0.0.1:9"),
    ):
        pass


def test_without_dask(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"a cluster needs Dask.*gradwire\[cluster\]"),
        workers("tcp://127.0.0.1:9"),
    ):
        pass


def test_processes():
    with workers(jobs=1) as (executor, jobs):
        assert (jobs, executor.submit(double, 4).result()) == (1, 8)


def test_json_is_json(here, run):
    here()
    assert json.loads(run(*SMALL, "--json").stdout)["topology"] == "5-3-2"
