"""What `gradwire report` and `gradwire compare` do."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fpga_flows import asic, liberty
from gradwire import training
from gradwire.console import Reporter
from gradwire.files import check_folder, write_files
from gradwire.report.collect import Asked, Collector, check_target
from gradwire.report.model import Report
from gradwire.report.page import render, tiles
from gradwire.tables import facts
from gradwire.training import Task
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.schedule import Schedule

_MOST_TDP = 10_000


def check(
    targets: Sequence[str], library: Path | None, tdp: float | None, page: Path
) -> Path | None:
    """The Liberty file, if standard cells are a target.

    Raises InputError where it is plain at once that there can be no such report.
    """
    for name in targets:
        check_target(name)
    if library is not None and asic.TARGET not in targets:
        raise InputError(f"--liberty is for --target {asic.TARGET}")
    if tdp is not None and not 0 < tdp <= _MOST_TDP:
        raise InputError(f"tdp must be above 0 and at most {_MOST_TDP} W, not {tdp:g}")
    if page.suffix == ".json":
        raise InputError(f"output file must be a page, such as report.html, not {str(page)!r}")
    for file in (page, page.with_suffix(".json")):
        if file.is_dir():
            raise InputError(f"output file {file} cannot be written: it is a folder")
    found = liberty.find(library) if asic.TARGET in targets else None
    check_folder(page.parent)
    return found


def plan(design: Design, data: str | None, samples: int | None) -> tuple[Task, str] | None:
    """What to train on, and the words that ask for it; None where nothing was asked for.

    Networks for which there are red pixels learn them unasked: that takes a second.
    Raises InputError.
    """
    if data is None and samples is None and (design.layers[0], design.layers[-1]) != (3, 1):
        return None
    task = training.plan(design, {"data": data, "samples": samples})
    return task, f"--data {shlex.quote(task.data)} --samples {task.samples}"


def make(schedule: Schedule, page: Path, reporter: Reporter, **asked: Any) -> Report:
    """Make a report, and write its page and, beside it, its data; `asked` are those of Asked.

    Raises InputError; ToolError, when all is written, for tools that failed.
    """
    words = " ".join(["gradwire", *map(shlex.quote, sys.argv[1:])])
    collector = Collector(schedule, Asked(command=words, **asked), reporter)
    found = collector.collect()
    files = {page.with_suffix(".json").name: found.to_json(), page.name: render(found)}
    write_files(page.parent, {name: text.encode() for name, text in files.items()})
    if collector.failures:
        raise ToolError(f"{'; '.join(collector.failures)}; {page} is there without")
    return found


def table(found: Report, page: Path) -> list[object]:
    """The main figures, for people."""
    rows = [(tile.unit, f"{tile.value}; {tile.text}") for tile in tiles(found)]
    rows += [("page", str(page)), ("its data", str(page.with_suffix(".json")))]
    return [facts(f"Report on {found.built.topology}", rows)]
