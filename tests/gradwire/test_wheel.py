"""The wheel, installed in an environment of its own, works outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

#: What a wheel is built from: nothing else of the checkout can be read by what is installed.
SOURCES = ("hw", "sim", "fpga_flows", "gradwire", "pyproject.toml", "README.md", "LICENSE")


#: The tests' marks.
NOT_INSTALLED = {"fpga_flows/baseline.json"}


def call(*command, cwd, **more):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(request, tmp_path_factory):
    """Built from a copy, so that the checkout stays as it is."""
    copy, root = tmp_path_factory.mktemp("copy"), request.config.rootpath
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy)
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    call(sys.executable, "-m", "pip", *words, "-w", "dist", ".", cwd=copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs the installed command line in a folder of its own; the words are the arguments.

    The environment holds the wheel alone; what it depends on is this Python's.
    """
    folder = tmp_path_factory.mktemp("installed")
    call(sys.executable, "-m", "venv", "--without-pip", "clean", cwd=folder)
    python = folder / "clean/bin/python"
    words = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    call(sys.executable, "-m", "pip", "--python", str(python), *words, cwd=folder)
    ours = sysconfig.get_paths()["purelib"]
    place = call(
        python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=folder
    )
    # A path, and no more: this Python's own .pth files, such as an editable install, do not count.
    (Path(place.strip()) / "dependencies.pth").write_text(f"{ours}\n")
    commands = [str(Path(sys.executable).parent), os.environ["PATH"]]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PATH"] = os.pathsep.join(commands)

    def run(*words):
        return call(folder / "clean/bin/gradwire", *words, cwd=folder, env=env)

    where = call(python, "-c", "import gradwire, hw; print(gradwire.__file__)", cwd=folder, env=env)
    assert where.startswith(str(folder / "clean"))
    run.folder = folder
    return run


def test_all_files_of_the_packages_are_in_the_wheel(wheel, request):
    root = request.config.rootpath
    expected = {
        str(path.relative_to(root))
        for package in SOURCES[:4]
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected - NOT_INSTALLED


def test_the_installed_command_line(installed, simulator_3_3_3_1):
    assert json.loads(installed("clocks", "3-3-3-1", "--json"))["clocks_per_iteration"]
    for bus in ([], ["--bus", "axi"]):
        found = json.loads(installed("generate", "3-3-3-1", *bus, "-o", "rtl", "--json"))
        assert all((installed.folder / file).is_file() for file in found["files"])
    words = ("simulate", "3-3-3-1", "--samples", "5", "--tests", "2", "--json")
    assert json.loads(installed(*words))["bit_exact"]


@pytest.mark.slow
def test_the_installed_demo(installed):
    words = ("demo", "--samples", "100", "--tests", "50", "--json")
    assert json.loads(installed(*words))["simulate"]["bit_exact"]
