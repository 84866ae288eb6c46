"""The picture of an iteration."""

import subprocess
import sys
from xml.etree import ElementTree

from gradwire.gantt import draw
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
