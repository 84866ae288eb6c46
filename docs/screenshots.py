"""Pictures of a report for docs/report.md: python -m docs.screenshots REPORT.html.

They are the top of the page on a screen, light and dark, and on a phone; and its energy, if it was
measured.
"""

import sys
from pathlib import Path

from docs.chromium import Page

HERE = Path(__file__).parent

#: Name, width and height in pixels, and whether it is dark.
PICTURES = (
    ("report-light.png", 1100, 1560, False),
    ("report-dark.png", 1100, 1560, True),
    ("report-phone.png", 390, 1560, False),
)


#: Name, and the section of the page.
SECTION = ("report-energy.png", "power")


def take(report: Path, folder: Path) -> list[Path]:
    """Write the pictures to `folder`; returns their paths. Raises RuntimeError without Chromium."""
    files = []
    with Page() as page:
        for name, width, height, dark in PICTURES:
            page.open(report, width=width, height=height, dark=dark)
            files.append(folder / name)
            files[-1].write_bytes(page.picture())
        name, section = SECTION
        page.open(report, width=1100)
        if page.evaluate(f"!!document.querySelector('#{section} .bars')"):
            files.append(folder / name)
            files[-1].write_bytes(page.picture(of=f"#{section}"))
    return files


if __name__ == "__main__":
    print(*take(Path(sys.argv[1]), HERE), sep="\n")
