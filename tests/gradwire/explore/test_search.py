"""The search finds what trying everything finds, and says what limits it."""

import re

import pytest

from fpga_flows import ecp5_model
from gradwire.explore import tasks
from gradwire.explore.history import History, key
from gradwire.explore.search import Point, Search, front
from gradwire.explore.space import Asked, candidates, least_clocks
from hw.errors import InputError, ToolError
from hw.schedule import make_schedule

NETWORK = (6, 4, 2)
FIXED = {"multiplier_stages": 2, "buffer_vectors": 16}
NONE_IS_FASTER = None, "none of the numbers of processing elements asked for is faster"


@pytest.fixture(autouse=True)
def _own(fresh_cache):
    pass


@pytest.fixture
def search(executor):
    """Makes a search for a small network; without a doer, everything is done here."""

    def make(doer=None, *, layers=NETWORK, fixed=FIXED, more=None, **asked):
        asked = Asked(layers=layers, fixed=fixed, **asked)
        return Search(asked=asked, executor=doer or executor(), jobs=2, **(more or {}))

    return make


def everything(layers=NETWORK, **asked):
    """Rate and LUTs of all machines that fit."""
    asked = Asked(layers=layers, fixed=FIXED, **asked)
    for each in candidates(asked):
        if all(getattr(each, k) <= asked.available[k] for k in ("luts", "dsps", "brams")):
            clocks = make_schedule(each.design).clocks_per_sample
            yield 1e6 * each.fmax_mhz / clocks, each.luts


def test_the_fastest_of_all(search):
    found = search().run()
    assert found.best.samples_per_second == pytest.approx(max(rate for rate, _ in everything()))
    assert found.best.synthesized and found.best.ffs == 7
    assert found.best in found.front
    assert found.limit == (None, "more processing elements or stages would not be faster")


def test_the_smallest_that_is_fast_enough(search):
    all_of_them = list(everything())
    wanted = sorted(rate for rate, _ in all_of_them)[len(all_of_them) // 2]
    found = search(goal="area", at_least=wanted).run()
    assert found.best.luts == min(luts for rate, luts in all_of_them if rate >= wanted)
    assert found.best.samples_per_second >= wanted
    assert found.limit == (None, f"nothing smaller reaches {wanted:,g} samples a second")


def test_as_good_as_the_best_of_a_list(search):
    """Whatever the list: the search has it among all others."""
    listed = search(pes=(1, 3)).run()
    assert {point.design.processing_elements for point in listed.points} <= {1, 3}
    assert search().run().best.samples_per_second >= listed.best.samples_per_second


def bound(design):
    """In place of schedules, which of large networks take seconds."""
    return {"clocks": 1.02 * least_clocks(design)}


@pytest.mark.parametrize(
    "layers, pes, kind, says",
    [
        ((300, 120, 10), None, "dsps", "of 17 processing elements, needs 76 DSPs of 72"),
        (
            (420, 100, 10),
            (4, 5, 6),
            "brams",
            r"of [56] processing elements, needs 1\d\d BRAMs of 108",
        ),
        ((420, 100, 10), (3, 4), None, "none of the numbers of processing elements asked for"),
    ],
)
def test_what_limits(search, executor, layers, pes, kind, says):
    fixed = FIXED | {"buffer_vectors": 4}
    more = {"layers": layers, "target": "ecp5-45k", "fixed": fixed, "pes": pes}
    found = search(executor({tasks.clocks: bound}), **more).run()
    assert found.limit[0] == kind
    assert re.search(says, found.limit[1])
    assert found.best.design.processing_elements == (
        16 if pes is None else max(pes) - (kind is not None)
    )


def test_what_turns_out_too_large_is_not_the_best(search, executor):
    fits = search().run().best

    def larger(design, limit):
        more = 90_000 if design == fits.design else 0
        found = executor.cells(design, limit)
        return found | {"luts": found["luts"] + more}

    History().path.unlink()
    found = search(executor({tasks.cells: larger})).run()
    assert found.best.design != fits.design
    assert found.best.synthesized


def test_what_turns_out_to_fit_is_no_limit(search, executor):
    """The model errs: synthesis has the last word on what is said to be too large."""

    def smaller(design, limit):
        found = executor.cells(design, limit)
        return found | ({"brams": 100} if design.processing_elements == 6 else {})

    fixed = FIXED | {"buffer_vectors": 4}
    more = {"layers": (420, 100, 10), "target": "ecp5-45k", "fixed": fixed, "pes": (4, 5, 6)}
    doer = executor({tasks.clocks: bound, tasks.cells: smaller})
    found = search(doer, **more).run()
    assert found.best.design.processing_elements == 6
    assert found.best.brams == 100
    assert found.limit == NONE_IS_FASTER


def test_a_limit_is_a_schedule(search, executor):
    """A machine whose bound alone is faster does not count."""

    def slow(design):
        return {"clocks": (1 + (design.processing_elements > 5)) * bound(design)["clocks"]}

    fixed = FIXED | {"buffer_vectors": 4}
    more = {"layers": (420, 100, 10), "target": "ecp5-45k", "fixed": fixed, "pes": (4, 5, 6)}
    found = search(executor({tasks.clocks: slow}), **more).run()
    assert found.best.design.processing_elements == 5
    assert found.limit == NONE_IS_FASTER


def test_syntheses_correct_the_model(search, executor):
    def larger(design, limit):
        found = executor.cells(design, limit)
        return found | {"luts": round(1.2 * found["luts"])}

    found = search(executor({tasks.cells: larger}), more={"confirm": 2}).run()
    guessed = [each for each in found.points if not each.synthesized]
    assert guessed
    for each in guessed:
        assert each.luts == pytest.approx(1.2 * ecp5_model.cells(each.design).luts, rel=1e-3)


def test_nothing_is_done_twice(search, executor):
    first, again = executor(), executor()
    one = search(first).run()
    two = search(again).run()
    assert first.done and not again.done
    assert two.known == sum(one.counts.values()) == len(first.done)
    assert two.counts == {"schedules": 0, "syntheses": 0, "placements": 0}
    assert two.best == one.best and two.front == one.front


def test_placements_count_and_correct_the_model(search, executor):
    plain = search().run().best
    doer = executor()
    found = search(doer, more={"place": 2}).run()
    assert doer.done == ["placed", "placed"]
    assert found.best.placed
    model = ecp5_model.fmax_mhz(found.best.design, found.best.luts)
    assert found.best.fmax_mhz == pytest.approx(0.8 * model)
    # Later, of a machine that was never placed, too.
    later = search(layers=(5, 4, 2)).run().best
    assert not later.placed
    model = ecp5_model.fmax_mhz(later.design, later.luts)
    assert later.fmax_mhz == pytest.approx(0.8 * model)
    assert plain.fmax_mhz > found.best.fmax_mhz


def test_a_tool_that_fails_costs_no_result(search, executor):
    made = []

    def fail(design, limit):
        made.append(design)
        if len(made) == 2:
            raise ToolError("Yosys failed")
        return executor.cells(design, limit)

    with pytest.raises(ToolError, match="Yosys failed"):
        search(executor({tasks.cells: fail})).run()
    history = History()
    assert len(history.values("syntheses")) == 1
    assert history.get(key("clocks", made[0]))
    assert history.get(key("clocks", made[1]))


def test_nothing_fits(search):
    with pytest.raises(InputError, match="no machine for 3000-300-10 fits ecp5-12k"):
        search(layers=(3000, 300, 10), target="ecp5-12k").run()


def test_nothing_is_fast_enough(search):
    with pytest.raises(InputError, match=r"trains on 1e\+09 samples a second: [\d,]+ at most"):
        search(at_least=1e9).run()


def point(luts, samples):
    design = next(iter(candidates(Asked(layers=NETWORK)))).design
    return Point(design=design, clocks=1e6, fmax_mhz=samples, luts=luts, dsps=1, brams=1)


def test_the_front():
    points = [point(*each) for each in ((5, 5), (1, 1), (2, 3), (3, 3), (4, 2), (2, 2), (6, 4))]
    assert [(each.luts, each.fmax_mhz) for each in front(points)] == [(1, 1), (2, 3), (5, 5)]
