"""What is committed is what gradwire generates."""

from gradwire.gantt import draw
from gradwire.machine import generate
from hw.design import parse_topology
from hw.schedule import design_for, make_schedule

AGAIN = "is not what gradwire generates now: run `make rtl` and look at the difference"


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
