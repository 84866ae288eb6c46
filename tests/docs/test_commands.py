"""Commands that a page has its reader type are executed one after the other, in one folder."""

import importlib.util
import re

import numpy as np
import pytest

from gradwire import models
from sim.golden import Weights
from tests.commands import ROOT, SESSIONS, SLOW, execute, files, lines, outputs

TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in SESSIONS}
COMMANDS = {page: [x for x in lines(text) if x[:5] != "make "] for page, text in TEXTS.items()}


def wants_torch(page: str, line: str) -> bool:
    found = re.fullmatch(r"python (\S+)", line)
    return ".pt" in line or (bool(found) and "import torch" in files(TEXTS[page])[found[1]])


@pytest.fixture(params=SESSIONS)
def session(request, tmp_path):
    """Executes a page's commands but the slow ones; what each of them printed."""
    page = request.param
    for name, text in files(TEXTS[page]).items():
        (tmp_path / name).write_text(text)
    commands = [line for line in COMMANDS[page] if not line.startswith(SLOW)]
    if importlib.util.find_spec("torch") is None:
        commands = [line for line in commands if not wants_torch(page, line)]
        # In place of what PyTorch would have made.
        rng = np.random.default_rng(1)
        weights = [rng.standard_normal(shape).astype(np.float32) for shape in ((8, 3), (1, 8))]
        biases = [np.zeros(outputs, np.float32) for outputs in (8, 1)]
        start = Weights(tuple(weights), tuple(biases))
        network = models.Network(start, "relu,sigmoid-exact", said=True, rounded=0)
        (tmp_path / "W.npz").write_bytes(models.write(network, "npz"))
    return page, {line: execute(line, tmp_path) for line in commands}


def test_sessions(session):
    """Each command succeeds and prints the lines that the page shows of it."""
    page, printed = session
    assert len(printed) >= 4
    shown = outputs(TEXTS[page])
    assert len(shown) >= 2
    for line, expected in shown:
        if line in printed:
            found = {" ".join(x.split()) for x in printed[line].splitlines()}
            for each in expected:
                assert " ".join(each.split()) in found, f"{line}\n{printed[line]}"
    if "python check.py" in printed:
        (accuracy,) = re.findall(r"(\d+\.\d+)%", printed["python check.py"])
        (simulated,) = [x for line, x in printed.items() if "-o trained.npz" in line]
        assert f"│ accuracy of the RTL    │ {accuracy}%" in simulated
        assert float(accuracy) > 95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "line"),
    [(page, line) for page, found in COMMANDS.items() for line in found if line.startswith(SLOW)],
)
def test_slow_commands(page, line, tmp_path):
    assert execute(line, tmp_path)
