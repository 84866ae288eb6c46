"""Progress on standard error: bars for people, now and then a line for logs."""

import io
import signal
import threading

import pytest
from rich.console import Console

from gradwire import console
from gradwire.console import Reporter, holding_interrupt


@pytest.fixture
def clock(monkeypatch):
    """A clock of the tests' own: call it with the seconds that pass."""
    now = [1000.0]

    def advance(seconds):
        now[0] += seconds

    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return advance


def work(clock, seconds, *, steps=100, **how):
    """Report work that takes so long."""
    with Reporter(**how) as reporter:
        for done in range(steps + 1):
            reporter("simulating the RTL", done * 1000, steps * 1000, note="61,000 clocks/s")
            clock(seconds / steps)


@pytest.mark.parametrize("how", [{}, {"lines": True}])
def test_long_work_is_told_in_tenths(capsys, clock, how):
    work(clock, 3600, **how)
    lines = capsys.readouterr().err.splitlines()
    assert lines[: len(how)] == ["simulating the RTL"] * len(how)
    assert len(lines) == 9 + len(how)
    line = "simulating the RTL: 10,000 of 100,000, 61,000 clocks/s, 0:54:00 left"
    assert lines[len(how)] == line
    assert "90,000 of 100,000" in lines[-1]


def test_lines_are_half_a_minute_apart(capsys, clock):
    work(clock, 150)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[3] for line in lines] == ["20,000", "40,000", "60,000", "80,000"]


@pytest.mark.parametrize("seconds, how", [(29, {}), (3600, {"quiet": True})])
def test_short_and_quiet_work_is_not_told(capsys, clock, seconds, how):
    work(clock, seconds, **how)
    assert capsys.readouterr().err == ""


def test_a_note_is_not_needed(capsys, clock):
    with Reporter() as reporter:
        reporter("x", 0, 10)
        clock(60)
        reporter("x", 5, 10)
        with reporter.working("y"):
            clock(1000)
    assert capsys.readouterr().err == "x: 5 of 10, 0:01:00 left\n"


@pytest.mark.parametrize("done, shown", [(40, ["40/100", "61,000 clocks/s", "left"]), (100, ["✓"])])
def test_a_bar_fits_a_terminal(monkeypatch, done, shown):
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(console, "Console", lambda **_: terminal)
    reporter = Reporter()
    reporter("simulating the RTL", done, 100, note="61,000 clocks/s")
    terminal.print(reporter._progress.get_renderable())
    (line,) = file.getvalue().splitlines()
    assert "simulating the RTL" in line and len(line.rstrip()) <= 80
    assert all(text in line for text in shown), line


def test_ctrl_c_is_held_back_once():
    with pytest.raises(KeyboardInterrupt), holding_interrupt() as came:
        assert not came()
        signal.raise_signal(signal.SIGINT)
        assert came()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with holding_interrupt() as came:
            signal.raise_signal(signal.SIGINT)
            assert not came()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    found = []

    def worker():
        with holding_interrupt() as came:
            found.append((came(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]
