"""The command: from what is asked for to files and tables."""

from pathlib import Path

from fpga_flows.fpga import TIME_LIMIT
from gradwire.console import Interrupted, Reporter
from gradwire.explore import told
from gradwire.explore.chart import draw
from gradwire.explore.search import Found, Search
from gradwire.explore.space import GOALS, Asked
from gradwire.explore.workers import workers
from gradwire.files import write_files
from hw.errors import InputError, ToolError

_KEPT = "what was finished is kept for the next call"


def explore(
    asked: Asked,
    *,
    chart: Path,
    reporter: Reporter,
    confirm: int,
    place: int,
    jobs: int | None = None,
    cluster: str | None = None,
    time_limit: float = TIME_LIMIT,
) -> Found:
    """Explore, and draw the chart into the file `chart`; see `Search`.

    Raises InputError when nothing fits or a number cannot be, ToolError when a tool, the disk or
    the cluster fails, Interrupted on Ctrl-C. What was found until then is kept.
    """
    for name, value, least in (("confirm", confirm, 1), ("place", place, 0), ("jobs", jobs, 1)):
        if value is not None and value < least:
            raise InputError(f"{name} must be at least {least}, not {value}")
    if not 0 < time_limit < float("inf"):
        raise InputError(f"time limit must be above 0 minutes, not {time_limit / 60:g}")
    try:
        with workers(cluster, jobs) as (executor, many):
            found = Search(
                asked=asked,
                executor=executor,
                jobs=many,
                confirm=confirm,
                place=place,
                time_limit=time_limit,
                progress=reporter,
            ).run()
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {_KEPT}") from None
    except ToolError as error:
        raise ToolError(f"{error}; {_KEPT}") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ToolError(f"{where}{error.strerror or error}; {_KEPT}") from None
    write_files(chart.parent, {chart.name: draw(found, asked).encode()})
    return found


def parse_pes(text: str) -> tuple[int, ...]:
    """Numbers joined by commas. Raises InputError."""
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InputError(f"processing elements must be numbers joined by commas, not {text!r}")
    return tuple(sorted({int(word) for word in words}))


__all__ = ["GOALS", "Asked", "explore", "parse_pes", "told"]
