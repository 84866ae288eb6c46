"""The pictures of an iteration, and of groups at work."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from gradwire.gantt import draw
from hw.grouping import grouped_design_for
from hw.pipeline import make_grouped_schedule
from hw.pipelining import KINDS
from hw.schedule import design_for, make_schedule

SVG = "{http://www.w3.org/2000/svg}"


def test_every_operation_has_its_clocks():
    schedule = make_schedule(design_for((4, 5, 2), 2))
    root = ElementTree.fromstring(draw(schedule))
    titles = [title.text for title in root.iter(f"{SVG}title")]
    for op in schedule.operations:
        issued = f"clocks {op.start} to {op.start + op.clocks - 1}"
        assert f"{op.name}, {op.operation}: {issued}" in titles
    assert f"clocks: {schedule.clocks_per_iteration}" in next(root.iter(f"{SVG}text")).text
    width = float(root.get("viewBox").split()[2])
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width")) <= width


def test_as_a_program(tmp_path):
    file = tmp_path / "new" / "i.svg"
    subprocess.run([sys.executable, "-m", "gradwire.gantt", "2-1", str(file)], check=True)
    assert file.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("kind", KINDS)
def test_every_pass_of_every_sample_of_groups(kind):
    batch = 3 if kind == "fill-drain" else None
    design = grouped_design_for(None, "6-5/5-4/4-2-1:3,2,2", kind, batch=batch)
    schedule = make_grouped_schedule(design)
    root = ElementTree.fromstring(draw(schedule))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    samples = {"sequential": 3, "fill-drain": 6, "delayed": 7, "ping-pong": 14}[kind]
    assert f"{kind}: 6-5/5-4/4-2-1:3,2,2, {samples} samples in" in texts[0]
    assert "0: backpropagation" not in texts
    titles = [title.text for title in root.iter(f"{SVG}title")]
    passes = [len(group.operations) for group in schedule.groups]
    assert len(titles) == len(set(titles)) == samples * sum(passes) == samples * (2 + 3 + 6)
    width = float(root.get("viewBox").split()[2])
    rows = {}
    for bar in root.iter(f"{SVG}rect"):
        x, wide = float(bar.get("x", 0)), float(bar.get("width"))
        assert x + wide <= width
        if bar.get("x"):
            rows.setdefault(bar.get("y"), []).append((x, wide))
    assert len(rows) == 2 + 3 + 3
    for bars in rows.values():
        # An array does one thing at a time.
        ends = [x + wide for x, wide in sorted(bars)]
        assert all(end <= x + 0.2 for end, (x, _) in zip(ends, sorted(bars)[1:], strict=False))


@pytest.mark.parametrize("words", [(), ("--groups", "3-2/2-1:2,1", "--schedule", "delayed")])
def test_on_the_command_line(run, run_json, folder, words):
    result = run("clocks", "3-2-1", *words, "--gantt", "new/f.svg")
    assert result.exit_code == 0 and "Gantt chart: new/f.svg" in result.stdout
    ElementTree.parse(folder / "new/f.svg")
    assert run_json("clocks", "3-2-1", *words, "--gantt", "f.svg")["gantt"] == "f.svg"
