"""The docs are true: examples run, names and files exist, figures and tables are up to date."""

import doctest
import importlib
import re
import subprocess
import sys
import tomllib

import pytest
from typer.main import get_command

from gradwire.cli import app
from tests.commands import ROOT, SESSIONS, blocks, files, lines, plan

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
EVERY_PAGE = pytest.mark.parametrize("page", TEXTS)


@EVERY_PAGE
def test_python_examples(page):
    """All blocks of a page that are no files, in one namespace, one after the other."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    names, said = {}, []
    examples = [x for x in blocks(TEXTS[page], "python") if x not in files(TEXTS[page]).values()]
    for number, block in enumerate(examples):
        test = parser.get_doctest(block, names, f"{page}, block {number}", page, 0)
        assert test.examples, f"{page}, block {number} has no example"
        runner.run(test, out=said.append, clear_globs=False)
        names = test.globs
    assert not runner.summarize(verbose=False).failed, "".join(said)


@EVERY_PAGE
def test_commands(page):
    """Each is executed: here, by the test of the README or by test_commands.py."""
    executed = [
        lines((ROOT / name).read_text(encoding="utf-8")) for name in ("README.md", *SESSIONS)
    ]
    executed = {line for found in executed for line in found}
    for line in lines(TEXTS[page]):
        if line.startswith("make "):
            assert plan(line)
        elif not line.startswith("python -m docs.figures"):
            assert line in executed, f"{line}: who executes it?"


@EVERY_PAGE
def test_commands_in_the_text(page):
    """What nobody executes, for want of a board or of files, has at least names that exist."""
    for line in mentioned(TEXTS[page]):
        command, words = get_command(app), line.split()[1:]
        while hasattr(command, "commands"):
            assert words and words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        names = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("-")} <= names, line


def mentioned(text: str) -> list[str]:
    """Commands of gradwire in all blocks and in the text."""
    fence = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
    in_blocks = "".join(fence.findall(text)).replace("\\\n", " ").splitlines()
    in_text = re.findall(r"`([^`]+)`", fence.sub("", text))
    return [x for x in in_blocks + in_text if x.startswith("gradwire ")]


@EVERY_PAGE
def test_files_and_names_exist(page):
    text = TEXTS[page]
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
    for path in re.findall(r"`((?:hw|sim|tests|docs|gradwire|fpga_flows)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`((?:hw|sim|fpga_flows|gradwire)(?:\.\w+)+)`", text):
        resolve(name)


@EVERY_PAGE
def test_extras_exist(page):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"(?:\.|gradwire)\[(\w+)\]", TEXTS[page]))
    assert named <= set(project["optional-dependencies"])


def resolve(name: str) -> object:
    """The module, or what it holds, of that name."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"there is no {name}")


def figures(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "docs.figures", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_figures_and_tables_are_up_to_date():
    found = figures("--check")
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_what_takes_minutes_is_up_to_date():
    found = figures("--check", "--measured")
    assert found.returncode == 0, found.stderr


def test_every_table_has_a_place():
    import_path = ROOT / "docs" / "figures.py"
    source = import_path.read_text(encoding="utf-8")
    names = re.findall(r'^    "([\w ]+)": \w+,$', source, re.M)
    assert len(names) >= 10
    everything = "".join(TEXTS.values())
    for name in names:
        assert everything.count(f"<!-- begin {name} -->\n") == 1, name
    assert everything.count("<!-- begin ") == everything.count("<!-- end -->") == len(names)


def test_the_accuracy_table_says_nothing_that_is_not_so():
    """The range that docs/data.md states, from its own table."""
    (row,) = re.findall(r"^\| accuracy \|(.*)\|$", TEXTS["docs/data.md"], re.M)
    *seeds, mean, least, most = [float(x.strip().rstrip("%")) for x in row.split("|")]
    assert len(seeds) == 10
    assert (least, most) == (min(seeds), max(seeds)) and seeds[0] == most
    assert least <= mean <= most
