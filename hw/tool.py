"""Outside tools: run them, keep what they say, and fail in one line."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import platformdirs

from hw.errors import ToolError

# How tools mark the line that matters, most telling first. Verilator ends with a count of its
# errors, make with the name of a rule, cocotb with a summary: none of them says what happened.
_TELLING = [
    re.compile(r"%Error(?!: Exiting)"),
    re.compile(r"%Warning"),
    re.compile(r"\bERROR: "),
    re.compile(r": (fatal )?error: "),
    re.compile(r"^[\w.]*(Error|Exception): "),
]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_MOST = 300  # characters of a tool's line that an error repeats

# What runs, in any thread, so that `stop` can end it; the lock guards both.
_running: set[subprocess.Popen[str]] = set()
_stopped = threading.Event()
_starting = threading.Lock()


def cache_dir() -> Path:
    """Folder for what can be made again: $GRADWIRE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GRADWIRE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(platformdirs.user_cache_dir("gradwire", appauthor=False))


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock `name`, one process of this user at a time, for the `with` block."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # given up when the file is closed, or the process ends
        yield


def executable(name: str) -> str:
    """Path of command `name`: beside this Python (its own packages first), else on PATH.

    A command that is nowhere comes back as it was given; `run` then says that it is missing.
    """
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    return beside or shutil.which(name) or name


def compiler() -> str:
    """The C++ compiler: $CXX, else the first of the usual names that is on PATH."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    return next((name for name in names if shutil.which(name)), names[0])


def run(
    command: Sequence[str | Path],
    *,
    tool: str,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run `command`, and return all that it wrote (both streams, in order).

    Args:
        command: Executable and arguments.
        tool: The name by which errors call it.
        log: File that receives the output as it comes; its folder is made.
        cwd: Folder to run in.
        env: Environment in place of this process's own.
        timeout: Longest run in seconds.
        stdin: Text for its standard input, which is empty otherwise.
        on_line: Called with each line of output as it comes, for progress.

    Raises:
        ToolError: The executable is missing, ran too long, or ended with another code than 0.

    Nothing that the tool started is left behind, whichever way the call ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as record, _input(stdin) as source:
        try:
            child = _start(
                [str(word) for word in command],
                cwd=cwd,
                env=env,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                # A process group of its own, so that its children can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            said = f"{tool} cannot be started: {command[0]}: {error.strerror}"
            record.write(said + "\n")
            raise ToolError(f"{said}; log: {log}") from None
        try:
            text, late = _follow(child, record, timeout, on_line)
        finally:
            _running.discard(child)
    if late:
        raise ToolError(f"{tool} took longer than {timeout:g} s: {telling_line(text)}; log: {log}")
    if child.returncode:
        raise ToolError(f"{tool} failed ({_code(child)}): {telling_line(text)}; log: {log}")
    return text


def stop() -> None:
    """End every tool that runs in any thread, and let none be started: on the way out.

    The calls of `run` that this ends, or that come later, raise ToolError.
    """
    with _starting:
        _stopped.set()
        running = list(_running)
    for child in running:
        _end(child)


def telling_line(text: str) -> str:
    """The line of a tool's output that says best what went wrong: an error, else the last."""
    lines = [_ANSI.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    for pattern in _TELLING:
        for line in lines:
            if pattern.search(line):
                return line[:_MOST]
    return lines[-1][:_MOST] if lines else "it said nothing"


def _start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    with _starting:
        if _stopped.is_set():
            raise ToolError(f"{command[0]} was not started: the program is ending")
        child = subprocess.Popen(command, **options)
        _running.add(child)
    return child


@contextlib.contextmanager
def _input(text: str | None) -> Iterator[int | IO[str]]:
    if text is None:
        yield subprocess.DEVNULL
        return
    # A file, not a pipe: a pipe that fills up would stop us from reading the output.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as source:
        source.write(text)
        source.seek(0)
        yield source


def _follow(
    child: subprocess.Popen[str],
    record: IO[str],
    timeout: float | None,
    on_line: Callable[[str], None] | None,
) -> tuple[str, bool]:
    """Output of `child` to its end, and whether the timeout ended it."""
    late = threading.Event()

    def expire() -> None:
        late.set()
        _end(child)

    timer = threading.Timer(timeout, expire) if timeout is not None else None
    lines = []
    try:
        if timer:
            timer.start()
        for line in child.stdout:
            lines.append(line)
            record.write(line)
            record.flush()
            if on_line:
                on_line(line.rstrip("\n"))
        child.wait()
    except BaseException:
        _end(child)
        raise
    finally:
        if timer:
            timer.cancel()
            timer.join()
        child.stdout.close()
    return "".join(lines), late.is_set()


def _end(child: subprocess.Popen[str]) -> None:
    """End the child's whole process group, first politely."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=2)


def _code(child: subprocess.Popen[str]) -> str:
    if child.returncode >= 0:
        return f"exit code {child.returncode}"
    try:
        return signal.Signals(-child.returncode).name
    except ValueError:
        return f"signal {-child.returncode}"
