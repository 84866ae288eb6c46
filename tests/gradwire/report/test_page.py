"""The page: all there, nothing from elsewhere, and what comes from outside is escaped."""

import html.parser
import re

import pytest

from gradwire.report.figures import figures
from gradwire.report.model import Report
from gradwire.report.page import number, render

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}&"
VOID = {"meta", "link", "br"}


class Elements(html.parser.HTMLParser):
    """Elements of a page, in order: names and attributes; and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text, self.open = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def said(self):
        return " ".join(" ".join(self.text).split())


def test_all_sections_are_there(report):
    page = Elements(render(report))
    ids = [told["id"] for tag, told in page.found if tag == "section"]
    links = [told["href"] for tag, told in page.found if tag == "a"]
    assert len(ids) == 10
    assert set(links) == {f"#{name}" for name in ids}
    assert sum(tag == "h1" for tag, _ in page.found) == 1


def test_nothing_comes_from_elsewhere(report):
    text = render(report)
    assert not re.search(r"https?:|//\w|url\(|@import|src=|<script", text)
    for tag, told in Elements(text).found:
        assert tag not in ("script", "img", "iframe", "object", "embed", "form")
        assert not any(name.startswith("on") for name in told)
        assert told.get("href", "#").startswith(("#", "data:,"))


def test_the_main_figures_come_first(report):
    text = render(report)
    first = text.index("</header>")
    for figure in ("60", "40.0 %", "1,333,333", "80 MHz", "3.5", "95.00 %", "1,000 LUT4 of 800"):
        assert figure in text[:first], figure


def test_every_figure_stands_beside_its_command(report):
    said = Elements(render(report)).said()
    last = said[said.index("All figures") :]
    for figure in figures(report):
        assert figure.command and figure.name in last and figure.text in last
        assert last.index(figure.command) < last.rindex(figure.name)


def test_ratios(report):
    said = Elements(render(report)).said()
    assert "7.4 times fewer than the paper's 442" in said
    # 1,333,333 samples a second beside 50,000; 200 uJ beside 3.5 nJ.
    assert "50,000 26.67 200 uJ 57143" in said
    # Table I: 152 clocks beside 28.
    assert "2 28 152 5.4" in said


def test_what_was_not_measured_says_what_it_needs(content):
    content |= {"costs": [], "power": [], "learning": None, "software": []}
    content["missing"] = [
        {"section": name, "what": f"what of {name}", "needs": f"need of {name}"}
        for name in ("area", "timing", "power", "accuracy", "memory", "software")
    ]
    said = Elements(render(Report.model_validate(content))).said()
    for each in content["missing"]:
        assert f"{each['what']}: not measured; needs {each['needs']}" in said
    # No time without a clock of our own, but by one that is named.
    assert "the paper's clock of 4 ns, not measured here" in said


def hostile(value, key=""):
    """`value` with every text in it made hostile, but for what the format fixes."""
    if isinstance(value, dict):
        return {name: hostile(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, key) for each in value]
    if isinstance(value, str) and key not in ("kind", "section", "memory"):
        return value + HOSTILE
    return value


def test_hostile_texts_are_escaped(content, report):
    bad = Elements(render(Report.model_validate(hostile(content))))
    assert HOSTILE in " ".join(bad.text)
    # The same elements, but for boxes whose label no longer fits.
    assert {tag for tag, _ in bad.found} <= {tag for tag, _ in Elements(render(report)).found}
    assert not any(name.startswith("on") for _, told in bad.found for name in told)


def test_colours_follow_the_theme(report):
    css = re.search(r"<style>(.*?)</style>", render(report), re.S)[1]
    roots = re.findall(r":root \{(.*?)\}", css, re.S)
    light, dark, _ = [dict(re.findall(r"(--[\w]+): (#\w+)", root)) for root in roots]
    assert "prefers-color-scheme: dark" in css and "@media print" in css
    assert set(dark) | {"--on"} == set(light)
    used = set(re.findall(r"var\((--\w+)\)", css))
    assert used == set(light)
    # Whatever has a colour has it from there.
    assert not re.findall(r"#[0-9a-f]{3,6}\b", re.sub(r":root \{.*?\}", "", css, flags=re.S))
    assert not re.search(r'(fill|stroke|style)="', render(report))


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (16075, "16,075"),
        (7.868, "7.868"),
        (18.42, "18.42"),
        (0.012344, "0.01234"),
        (123.456, "123.5"),
        (1234.5, "1,234"),
        (2043.0, "2,043"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text
