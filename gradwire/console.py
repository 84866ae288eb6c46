"""Standard error: progress, and how the command line fails."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
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
)
from typer.core import TyperGroup

from hw.errors import InputError, ToolError

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


class Reporter:
    """Progress on standard error, one line for each thing being done.

    Bars where standard error is a terminal; elsewhere nothing, or plain lines. Calls may come from
    several threads. Use it as a context manager; called with what is being done, how much of it is
    done and of how much, it is the callback that sim.bench.run wants.

    Parameters
    ----------
    quiet : say nothing at all.
    lines : without a terminal, print a line when something begins.
    """

    def __init__(self, *, quiet: bool = False, lines: bool = False) -> None:
        bars = not quiet and sys.stderr.isatty()
        self._lines = lines and not quiet and not bars
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            _Count(),
            TimeElapsedColumn(),
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

    def __call__(self, what: str, done: int, total: int) -> None:
        task = self._task(what)
        # Of a total of 1 there is nothing to count: the bar runs to and fro until it is done.
        self._progress.update(task, total=None if done < total == 1 else total, completed=done)

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
            self._tasks[what] = self._progress.add_task(what, total=None)
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
            code = _say(": ".join(filter(None, [error.filename, error.strerror])), BAD_INPUT)
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


def end_on_signals() -> None:
    """Have SIGTERM and SIGHUP end the program as Ctrl-C does, by an exception."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
