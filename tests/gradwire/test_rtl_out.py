"""What is committed is what gradwire generates, and Verilator's lint has nothing to say."""

import pytest

from gradwire.gantt import draw
from gradwire.machine import generate
from hw.core import Core
from hw.design import parse_topology
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog
from sim.simulator import lint

AGAIN = "is not what gradwire generates now: run `make rtl` and look at the difference"

LINTED = [
    ("3-3-3-1", {}),
    ("1-1", {}),
    ("128-1", {"processing_elements": 1, "input_deltas": True}),
    ("5-4-3", {"processing_elements": 2, "mapping": ("row", "row")}),
    ("5-4-3", {"processing_elements": 2, "mapping": ("column", "column")}),
    ("6-5-4", {"processing_elements": 7, "mapping": ("row", "column"), "subnormals": "ieee"}),
    ("5-4-3", {"processing_elements": 2, "mapping": ("row", "column"), "seeded_weights": True}),
    ("1-1", {"mapping": ("row",), "seeded_weights": True}),
    ("3-3-3-1", {"batch": 8}),
    ("3-3-3-1", {"memory": "unified"}),
    ("1-1", {"memory": "unified"}),
    ("5-7-2", {"processing_elements": 4, "batch": 3, "memory": "unified"}),
    ("5-7-2", {"processing_elements": 4, "mapping": ("row", "column"), "batch": 3}),
    ("6-1", {"processing_elements": 2, "input_deltas": True, "batch": 2}),
]


def test_rtl_out_is_what_is_generated(request, tmp_path):
    committed = request.config.rootpath / "rtl_out"
    for topology in ("3-3-3-1",):
        generate(make_schedule(design_for(parse_topology(topology))), tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(made) == sorted(path.name for path in committed.iterdir()), AGAIN
    for name, content in made.items():
        assert (committed / name).read_bytes() == content, f"rtl_out/{name} {AGAIN}"


def test_the_picture_is_what_is_drawn(request):
    schedule = make_schedule(design_for(parse_topology("3-3-3-1")))
    committed = (request.config.rootpath / "docs/iteration.svg").read_text(encoding="utf-8")
    assert committed == draw(schedule), f"docs/iteration.svg {AGAIN}"


@pytest.mark.parametrize("topology, parameters", LINTED, ids=str)
def test_lint(topology, parameters, tmp_path):
    schedule = make_schedule(design_for(parse_topology(topology), **parameters))
    file = tmp_path / "core.v"
    file.write_text(to_verilog(Core(schedule)), encoding="utf-8")
    lint([file], schedule.design.name)
