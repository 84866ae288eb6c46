"""Outside tools: their output is kept, their failures are one line, nothing is left running."""

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hw import tool
from hw.errors import ToolError


def python(text):
    return [sys.executable, "-c", textwrap.dedent(text)]


def gone(pid, within=5.0):
    """Whether process `pid` ends in some seconds (or is a zombie that nobody waits for)."""
    for _ in range(int(within / 0.05)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_returns_and_logs_both_streams(tmp_path):
    log = tmp_path / "deep" / "down.log"
    lines = []
    text = tool.run(
        python("import sys; print('one', flush=True); print('two', file=sys.stderr)"),
        tool="it",
        log=log,
        on_line=lines.append,
    )
    assert text == "one\ntwo\n" == log.read_text()
    assert lines == ["one", "two"]


def test_stdin_larger_than_a_pipe(tmp_path):
    text = "0123456789" * 50_000 + "\n"
    command = python("import sys; print('x' * 300_000); print(len(sys.stdin.read()))")
    said = tool.run(command, tool="it", log=tmp_path / "log", stdin=text)
    assert said.splitlines()[-1] == "500001"


def test_stdin_is_empty_by_default(tmp_path):
    command = python("import sys; print(len(sys.stdin.read()))")
    assert tool.run(command, tool="it", log=tmp_path / "log") == "0\n"


def test_missing(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(ToolError) as caught:
        tool.run(["no-such-tool"], tool="The tool", log=log)
    said = "The tool cannot be started: no-such-tool: No such file or directory"
    assert str(caught.value) == f"{said}; log: {log}"
    assert log.read_text() == said + "\n"


def test_failure(tmp_path):
    log = tmp_path / "log"
    command = python("print('ERROR: no such module'); print('much later'); raise SystemExit(3)")
    with pytest.raises(ToolError) as caught:
        tool.run(command, tool="Yosys", log=log)
    assert str(caught.value) == f"Yosys failed (exit code 3): ERROR: no such module; log: {log}"


def test_killed(tmp_path):
    command = python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ToolError, match=r"^it failed \(SIGSEGV\): it said nothing; log: "):
        tool.run(command, tool="it", log=tmp_path / "log")


# A tool with a child of its own, which would outlive it.
PARENT = """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_timeout_ends_the_whole_group(tmp_path):
    log = tmp_path / "log"
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"^it took longer than 0\.5 s: \d+; log: "):
        tool.run(python(PARENT), tool="it", log=log, timeout=0.5)
    assert time.monotonic() - start < 10
    assert gone(int(log.read_text()))


def test_interrupt_ends_the_whole_group(tmp_path):
    log = tmp_path / "log"

    def interrupt(line):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tool.run(python(PARENT), tool="it", log=log, on_line=interrupt)
    assert gone(int(log.read_text()))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "it said nothing"),
        ("a\nb\n\n", "b"),
        ("%Warning-X: w\n%Error: a.v:1: bad\n%Error: Exiting due to 1 error(s)\n", "%Error: a.v:1"),
        ("%Warning-X: w\n%Error: Exiting due to 1 warning(s)\n", "%Warning-X: w"),
        ("x.cpp:1: error: no\nmake: *** [Makefile:3: x.o] Error 1\n", "x.cpp:1: error: no"),
        ("Traceback:\nNameError: x\n- done\n", "NameError: x"),
        ("\x1b[31mERROR: red\x1b[0m\nlast\n", "ERROR: red"),
    ],
)
def test_telling_line(text, line):
    assert tool.telling_line(text).startswith(line)


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "GRADWIRE_CACHE", str(tmp_path / "here"))
    assert tool.cache_dir() == tmp_path / "here"
    monkeypatch.delitem(os.environ, "GRADWIRE_CACHE")
    assert tool.cache_dir().name == "gradwire"


def test_executable_prefers_this_pythons_folder(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert tool.executable("pytest").startswith(os.path.dirname(sys.executable))
    assert tool.executable("no-such-tool") == "no-such-tool"
