"""Commands and files that a page in Markdown has in its blocks, to be executed by tests."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Pages that tests/docs/test_commands.py goes through from top to bottom.
SESSIONS = ("docs/getting-started.md", "docs/tutorial.md")
SLOW = ("gradwire synth ", "gradwire board build ", "gradwire demo")  # minutes of place and route


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def lines(text: str) -> list[str]:
    """All commands of a page, those of its `sh` blocks."""
    return [command for block in blocks(text, "sh") for command in _commands(block)]


def _commands(block: str) -> list[str]:
    whole = block.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in whole if line.strip()]


def files(text: str) -> dict[str, str]:
    """Files that a page tells its reader to save: Python blocks below "... as `NAME.py`:"."""
    found = re.findall(r"as `(\w+\.py)`:\n\n```python\n(.*?)^```", text, re.M | re.S)
    assert len(dict(found)) == len(found), "two files of one name"
    return dict(found)


def outputs(text: str) -> list[tuple[str, list[str]]]:
    """What a page says that a command prints: the last of a block, and lines of the block below."""
    found = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", text, re.M | re.S)
    return [(_commands(block)[-1], said.splitlines()) for block, said in found]


def execute(line: str, folder: Path) -> str:
    """Run a command with this Python in `folder`; returns what it prints. It must succeed."""
    program, *words = shlex.split(line)
    programs = {
        "gradwire": [sys.executable, "-m", "gradwire"],
        "python": [sys.executable],
    }
    done = subprocess.run(
        [*programs[program], *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def plan(line: str) -> str:
    """What `make` would do: to do it would run the tests inside themselves."""
    dry = ["make", "-n", *shlex.split(line)[1:]]
    done = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout
