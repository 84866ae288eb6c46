"""Reports in a browser: nothing wrong, nothing fetched, the charts there."""

import gzip
import itertools
import struct

import numpy as np
import pytest

from docs import chromium
from gradwire.report import collect
from gradwire.report.model import Software
from gradwire.report.page import render

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason="no Chromium: Debian's package is chromium"
)

# Width and height of what is seen of each element, as it is laid out.
SIZES = """[...document.querySelectorAll("%s")].map(e => {
    const box = e.getBoundingClientRect(); return [box.width, box.height];
})"""


@pytest.fixture(scope="module")
def browser():
    with chromium.Page() as browser:
        yield browser


@pytest.fixture
def page(report, tmp_path):
    """A made-up report."""
    file = tmp_path / "report.html"
    file.write_text(render(report))
    return file


def noise(folder):
    """A few images of noise, in MNIST's files."""
    rng = np.random.default_rng(1)
    for part in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28), np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", np.arange(20) % 10)):
            values = values.astype(np.uint8)
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            with gzip.open(folder / f"{part}-{kind}-ubyte.gz", "wb") as file:
                file.write(head + values.tobytes())
    return f"idx:{folder}"


def test_the_mnist_network(browser, run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        collect,
        "software",
        lambda *_: [
            Software(
                name=name,
                samples_per_second=rate,
                energy_uj=None,
                energy_by="",
                command="make bench",
            )
            for name, rate in (("numpy", 20_000), ("PyTorch", 6_000))
        ],
    )
    words = ["report", "784-100-100-10", "--pes", "100", "--data", noise(tmp_path), "--train", "30"]
    page = tmp_path / "report.html"
    found = run(*words, "-o", str(page))
    assert found.exit_code == 0, found.output
    for width, dark in itertools.product((1100, 390), (False, True)):
        browser.open(page, width=width, dark=dark)
        assert browser.complaints() == []
        assert browser.requests() == [page.as_uri()]
        # Nothing sticks out at the side.
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        check_charts(browser, "narrow" if width == 390 else "wide")


def check_charts(browser, seen):
    """All charts have their marks, and these have sizes; `seen` is the treemap of that name."""
    for chart, least in {
        ".gantt svg.row": 8,
        ".gantt svg.busy": 1,
        ".gantt rect.forward": 6,
        ".gantt rect.back": 4,
        ".gantt rect.descent": 6,
        "rect.share": 100,
        f"svg.treemap.{seen}": 1,
        f"svg.treemap.{seen} rect": 5,
        "svg.curve": 1,
        "svg.curve circle": 2,
        "svg.meter": 10,
        ".rates svg rect": 2,
    }.items():
        sizes = browser.evaluate(SIZES % chart)
        assert len(sizes) >= least, chart
        assert all(w > 0 and h > 0 for w, h in sizes), (chart, sizes)


def test_power_by_phase(browser, page):
    browser.open(page)
    assert browser.complaints() == []
    sizes = browser.evaluate(SIZES % "#power .bars rect")
    assert len(sizes) == 1 and min(sizes[0]) > 0


def test_colours_follow_the_theme(browser, page):
    grounds = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, ground[4:-1].split(","))) for ground in grounds)
    assert light > 700 and dark < 100


def test_the_main_figures_are_on_the_first_screen(browser, page):
    for width, height in ((1100, 800), (390, 844)):
        browser.open(page, width=width, height=height)
        bottoms = browser.evaluate(
            "[...document.querySelectorAll('.tile b')].map(e => e.getBoundingClientRect().bottom)"
        )
        assert len(bottoms) == 6 and max(bottoms) < height


def test_a_picture_of_it(browser, page):
    browser.open(page, width=600, height=400)
    picture = browser.picture()
    assert picture.startswith(b"\x89PNG") and struct.unpack(">2I", picture[16:24]) == (600, 400)
    assert len(picture) > 10_000


def test_complaints_and_requests_are_noticed(browser, tmp_path):
    """What the tests above rely on: Chromium tells."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<img src=http://example.invalid/x.png><script>console.log(1); nothing()</script>"
    )
    browser.open(bad)
    assert "http://example.invalid/x.png" in browser.requests()
    said = " ".join(browser.complaints())
    assert "consoleAPICalled" in said and "nothing is not defined" in said
