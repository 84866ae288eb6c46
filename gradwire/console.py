"""Standard error: progress, and how the command line fails."""

import contextlib
import dataclasses
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typer.core import TyperGroup

from hw.errors import InputError, ToolError

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130

_TENTHS = 10  # lines of a long piece of work, where there are no bars,
_SECONDS = 30  # at least so far apart


class Interrupted(Exception):
    """Ctrl-C has ended the work; the text says how far it got."""


@dataclasses.dataclass
class _Life:
    """When and at which tenth of the work the last line about it was printed."""

    began: float
    printed: float
    tenth: int = 0


class Reporter:
    """Progress on standard error, one line for each thing being done.

    Bars where standard error is a terminal; elsewhere nothing, or plain lines, but of work that
    takes minutes a line at every tenth. Calls may come from several threads. Use it as a context
    manager; called with what is being done, how much of it is done, of how much, and a note such
    as the speed, it is the callback that sim.bench.run wants.

    Parameters
    ----------
    quiet : say nothing at all.
    lines : without a terminal, print a line when something begins.
    """

    def __init__(self, *, quiet: bool = False, lines: bool = False) -> None:
        bars = not quiet and sys.stderr.isatty()
        self._plain = not quiet and not bars
        self._lines = lines and self._plain
        self._lives: dict[str, _Life] = {}
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            _Count(),
            TextColumn("{task.fields[note]}"),
            _Time(),
            console=Console(stderr=True),
            transient=True,
            disable=not bars,
        )

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        task = self._task(what)
        # Of a total of 1 there is nothing to count: the bar runs to and fro until it is done.
        counted = None if done < total == 1 else total
        self._progress.update(task, total=counted, completed=done, note=note)
        if self._plain and total > 1:
            self._live(what, done, total, note)

    def _live(self, what: str, done: int, total: int, note: str) -> None:
        """Show in plain lines that long work goes on."""
        now = time.monotonic()
        life = self._lives.setdefault(what, _Life(now, now))
        tenth = done * _TENTHS // total
        if tenth <= life.tenth or now - life.printed < _SECONDS or done >= total:
            return
        life.tenth, life.printed = tenth, now
        left = timedelta(seconds=round((now - life.began) * (total - done) / done))
        parts = [f"{what}: {done:,} of {total:,}", note, f"{left} left"]
        print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show `what` while the block runs, which tells nothing of how far it is."""
        self(what, 0, 1)
        yield
        self(what, 1, 1)

    def stages(self, what: str) -> "Stages":
        """A line for work that names the stages it comes to."""
        return Stages(self, what)

    def describe(self, what: str, text: str) -> None:
        """Let the line of `what` read `text`."""
        if self._lines:
            print(text, file=sys.stderr, flush=True)
        self._progress.update(self._task(what, quiet=True), description=text)

    def _task(self, what: str, *, quiet: bool = False) -> TaskID:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=None, note="")
            if self._lines and not quiet:
                print(what, file=sys.stderr, flush=True)
        return self._tasks[what]


class Stages:
    """The line of work that names its stages; see `Reporter.stages`."""

    def __init__(self, reporter: Reporter, what: str) -> None:
        self._reporter = reporter
        self._what = what
        self._last = ""

    def __call__(self, stage: str) -> None:
        if stage != self._last:
            self._last = stage
            self._reporter.describe(self._what, f"{self._what}: {stage}")

    def done(self) -> None:
        """The work has ended."""
        self._reporter(self._what, 1, 1)


class _Count(MofNCompleteColumn):
    """How many of how many, where there is something to count."""

    def render(self, task: Any) -> Any:
        return super().render(task) if task.total not in (None, 1) else ""


class _Time(TimeRemainingColumn):
    """Time left, where there is something to count; else the time that it has taken."""

    def render(self, task: Any) -> Any:
        if task.finished or task.total is None:
            return TimeElapsedColumn().render(task)
        return super().render(task) + Text(" left", style="progress.remaining")


class Commands(TyperGroup):
    """The sub-commands, with errors in one line on standard error and no traceback."""

    def main(self, *args: Any, **extra: Any) -> None:
        """Run the command line; ends with SystemExit."""
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra) or 0
            sys.stdout.flush()
            if code == INTERRUPTED:
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            code = _say("interrupted", INTERRUPTED)
        except Interrupted as error:
            code = _say(str(error), INTERRUPTED)
        except typer.TyperException as error:  # an argument or option that is not as it must be
            code = _say(error.format_message(), error.exit_code)
        except InputError as error:
            code = _say(str(error), BAD_INPUT)
        except ToolError as error:
            code = _say(str(error), FAILED)
        except BrokenPipeError:
            # Whoever read our output has gone, as `head` does. Nothing is left to be flushed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = FAILED
        except OSError as error:
            full = error.errno == errno.ENOSPC
            said = ": ".join(filter(None, [error.filename, error.strerror]))
            code = _say(said, FAILED if full else BAD_INPUT)
        except MemoryError:
            code = _say("out of memory: the network or the number of samples is too large", FAILED)
        except Exception as error:
            if os.environ.get("GRADWIRE_TRACEBACK"):
                raise
            hint = "this is a defect of gradwire; GRADWIRE_TRACEBACK=1 shows where"
            code = _say(f"{type(error).__name__}: {error} ({hint})", FAILED)
        sys.exit(code)


def _say(message: str, code: int) -> int:
    print("gradwire:", " ".join(message.split()), file=sys.stderr)
    return code


@contextlib.contextmanager
def holding_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back: what this yields says whether it has come. A second one ends all.

    Only where Ctrl-C would raise KeyboardInterrupt: in the main thread, and not if it is ignored.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or before is not signal.default_int_handler:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


def end_on_signals() -> None:
    """Have SIGTERM and SIGHUP end the program as Ctrl-C does, by an exception."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
