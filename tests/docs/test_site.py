"""The documentation site: it builds without a warning, its links hold, and it wants no network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.commands import ROOT, plan

for package in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(package, reason="the site is built by gradwire's extra docs")

PAGES = {page.stem for page in (ROOT / "docs").glob("*.md")}


class Page(HTMLParser):
    """Anchors of a page, where it links to, and what a browser loads for it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.add(found["href"])
        elif found.get("src") or (tag == "link" and found.get("href")):
            self.loads.add(found.get("src") or found["href"])


def broken(pages: dict[str, Page], folder: Path) -> list[str]:
    """Links that lead nowhere, and of external ones those that have no form of an address."""
    wrong = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                good = parts.scheme == "https" and re.fullmatch(r"([\w-]+\.)+\w+", parts.netloc)
            else:
                target = unquote(parts.path) or name
                anchors = pages[target].anchors if target in pages else {""}
                good = (folder / target).is_file() and unquote(parts.fragment) in anchors
            if not good:
                wrong.append(f"{name}: {link}")
    return wrong


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-b", "html"]
    assert f"python -m sphinx {' '.join(options)} docs build/docs\n" in plan("make docs")
    build = [sys.executable, "-m", "sphinx", *options, ROOT / "docs", folder]
    found = subprocess.run(build, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {page.name: Page(page.read_text(encoding="utf-8")) for page in site.glob("*.html")}


def test_links(site, pages):
    assert {f"{page}.html" for page in PAGES} <= set(pages)
    assert sum(len(page.links) for page in pages.values()) > 400
    assert broken(pages, site) == []


def test_every_page_is_in_the_navigation(pages):
    listed = {link.removesuffix(".html") for link in pages["faq.html"].links}
    assert {page for page in PAGES if page not in listed} <= {"index", "faq"}


def test_nothing_comes_from_the_network(site, pages):
    loads = {(name, load) for name, page in pages.items() for load in page.loads}
    assert len(loads) > len(PAGES)
    for name, load in loads:
        parts = urlsplit(load)
        assert not parts.scheme and not parts.netloc, (name, load)
        assert parts.path == "#" or (site / unquote(parts.path)).exists(), (name, load)
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet


def test_broken_links_are_found(tmp_path):
    text = '<h1 id="here"></h1><a href="#here"></a><a href="b.html#there"></a><a href="{}"></a>'
    for link in ("c.html", "b.html#here", "#there", "http://plain.org/", "https://nowhere/"):
        pages = {"a.html": Page(text.format(link)), "b.html": Page('<h2 id="there"></h2>')}
        for name in pages:
            (tmp_path / name).touch()
        assert broken(pages, tmp_path) == [f"a.html: {link}"]
