"""What changed from one report to another."""

import json
from pathlib import Path
from typing import Any

from gradwire.report.figures import Figure, figures
from gradwire.report.model import Report
from gradwire.tables import facts, grid


def compare(before: Report, after: Report) -> dict[str, Any]:
    """What `gradwire compare --json` prints: parameters and figures that differ.

    A figure that only one report has is null in the other.
    """
    was, now = before.built.design, after.built.design
    design = [
        {"parameter": name, "before": was.get(name), "after": now.get(name)}
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    ]
    old, new = ({(f.section, f.name): f for f in figures(each)} for each in (before, after))
    names = dict.fromkeys([*old, *new])
    pairs = [(old.get(name), new.get(name)) for name in names]
    changed = [_change(a, b) for a, b in pairs if a is None or b is None or a.value != b.value]
    return {"design": design, "figures": changed, "same": len(pairs) - len(changed)}


def _change(before: Figure | None, after: Figure | None) -> dict[str, Any]:
    known = after or before
    both = before is not None and after is not None and before.value != 0
    return {
        "section": known.section,
        "name": known.name,
        "unit": known.unit,
        "before": before.value if before else None,
        "after": after.value if after else None,
        "ratio": round(after.value / before.value, 6) if both else None,
        "digits": known.digits,
    }


def table(found: dict[str, Any], files: tuple[Path, Path]) -> list[object]:
    """What `compare` found, for people."""
    parts: list[object] = [facts("Reports", zip(("before", "after"), files, strict=True))]
    if found["design"]:
        rows = [
            (each["parameter"].replace("_", " "), _plain(each["before"]), _plain(each["after"]))
            for each in found["design"]
        ]
        parts.append(grid("The design", ("parameter", "before", "after"), rows))
    else:
        parts.append("The design is the same.")
    if found["figures"]:
        rows = [
            (f"{x['section']}: {x['name']}", _amount(x, "before"), _amount(x, "after"), _times(x))
            for x in found["figures"]
        ]
        parts.append(grid("Figures", ("figure", "before", "after", "change"), rows))
    parts.append(f"{found['same']} figures are the same.")
    return parts


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _amount(change: dict[str, Any], side: str) -> str:
    value = change[side]
    return "" if value is None else f"{value:,.{change['digits']}f} {change['unit']}".strip()


def _times(change: dict[str, Any]) -> str:
    """Such as +12.3 %."""
    ratio = change["ratio"]
    return "" if ratio is None else f"{100 * (ratio - 1):+.1f} %"
