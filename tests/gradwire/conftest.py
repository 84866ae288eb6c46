"""What the tests of the command line share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gradwire.cli import app
from gradwire.training import Task, simulate
from hw import tool
from hw.schedule import design_for, make_schedule

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    """Runs the command line in this process: what it is called with are the words."""

    def invoke(*words):
        return CliRunner().invoke(app, list(words), prog_name="gradwire")

    return invoke


@pytest.fixture
def run_json(run):
    """Runs a command with --json; returns its object. It must succeed and say nothing else."""

    def invoke(*words):
        result = run(*words, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    return invoke


@pytest.fixture
def fails(run):
    """Runs a command that must fail in one line on standard error; returns the line."""

    def invoke(*words, code=2):
        result = run(*words)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("gradwire: ")
        assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n"), result.stderr
        assert isinstance(result.exception, SystemExit)
        return result.stderr

    return invoke


@pytest.fixture
def command(folder):
    """Starts the command line as a process of its own: what it is called with are the words."""
    started = []

    def start(*words, **env):
        child = subprocess.Popen(
            [sys.executable, "-m", "gradwire", *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture(scope="session")
def simulator_3_3_3_1():
    """The simulator of 3-3-3-1 is in the cache: built once, whichever worker comes first."""
    schedule = make_schedule(design_for((3, 3, 3, 1)))
    with tool.lock("tests-3-3-3-1"):
        simulate(schedule, Task(samples=1, tests=1))
