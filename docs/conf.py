"""Sphinx builds the documentation site by this: make docs."""

import re

project = "gradwire"
project_copyright = "The gradwire developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "gradwire"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Sources are shown by the repository, and blocks without a language are no Python.
html_copy_source = False
highlight_language = "none"
# Headings of these levels have anchors, made as repositories' web pages make them.
myst_heading_anchors = 4


def navigation(app: object, page: str, source: list[str]) -> None:
    """Make the site's navigation of the lists in index.md, which stay lists on other web pages."""
    if page != "index":
        return
    _, *parts = re.split(r"^## (.*)$", source[0], flags=re.M)
    for caption, text in zip(parts[::2], parts[1::2], strict=True):
        links = re.findall(r"^- \[(.*?)\]\((.*?)\.md\)", text, re.M)
        pages = "\n".join(f"{title} <{name}>" for title, name in links)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def setup(app: object) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", navigation)
    return {"parallel_read_safe": True}
