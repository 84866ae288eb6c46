"""Schedules of groups: a replay of their steps shows what each pass sees."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import InputError
from hw.pipelining import KINDS, Pipelining, dapp_slots

ORDER = ("forward", "backward", "update")


@st.composite
def schedules(draw):
    kind = draw(st.sampled_from(KINDS))
    batch = draw(st.integers(1, 9)) if kind in ("sequential", "fill-drain") else 1
    return Pipelining(kind=kind, groups=draw(st.integers(1, 5)), batch=batch)


@given(schedules(), st.integers(0, 60))
def test_every_unit_goes_up_and_down_once(schedule, units):
    """In the slots that the module declares, and no group has two passes of a kind at once."""
    steps = list(schedule.steps(units))
    slots = {(s.operation, s.group, s.unit): s.slot for s in steps}
    updates = sum(s.operation == "update" for s in steps)
    batches = -(-units // schedule.batch)
    assert len(steps) == len(slots) == 2 * units * schedule.groups + updates
    assert updates == batches * schedule.groups
    last = schedule.groups - 1
    for unit in range(units):
        entry = schedule.entry(unit)
        assert unit in schedule.entering(entry)
        for group in range(schedule.groups):
            assert slots["forward", group, unit] == entry + group
            assert slots["backward", group, unit] == entry + 2 * last - group
    busy = collections.Counter((s.slot, s.group, s.operation, s.pipeline) for s in steps)
    assert not units or max(busy.values()) == 1
    assert all(s.pipeline < schedule.pipelines for s in steps)
    keys = [(s.slot, s.group, ORDER.index(s.operation), s.pipeline) for s in steps]
    assert keys == sorted(keys)


@given(schedules(), st.integers(0, 60))
def test_slots(schedule, units):
    steps = list(schedule.steps(units))
    assert schedule.slots(units) == (1 + max(s.slot for s in steps) if steps else 0)


@given(schedules(), st.integers(1, 60))
def test_updates_seen(schedule, units):
    """How many updates of its group each step sees, counted in a replay, and how many it misses."""
    length, groups = schedule.length, schedule.groups
    own = collections.Counter()  # by group and unit: updates before the unit's own
    done = collections.Counter()
    seen = []
    for step in schedule.steps(units):
        seen.append((step, done[step.group]))
        if step.operation == "update":
            first = step.unit - step.unit % schedule.batch
            for unit in range(first, step.unit + 1):
                own[step.group, unit] = done[step.group]
            done[step.group] += 1
    missed = set()
    # Where one of the two pipelines has run dry, less is missing.
    whole = units // (2 * length) * 2 * length if schedule.pipelines == 2 else units
    for step, found in seen:
        before = own[step.group, step.unit]
        late = schedule.late(step.operation, step.group, step.pipeline)
        if step.unit < whole:
            assert before - found == min(late, before), step
        assert 0 <= before - found <= late, step
        if before - found == late:
            missed.add((step.operation, step.group, step.pipeline))
    if units >= 4 * length + 1:
        assert len(missed) == 3 * groups * schedule.pipelines


def test_what_the_docs_say_of_three_groups():
    delayed = Pipelining(kind="delayed", groups=3)
    assert [delayed.late("forward", g) for g in range(3)] == [4, 2, 0]
    assert [delayed.late("backward", g) for g in range(3)] == [0, 0, 0]
    both = Pipelining(kind="ping-pong", groups=3)
    assert [[both.late("forward", g, p) for g in range(3)] for p in (0, 1)] == [
        [8, 4, 0],
        [9, 5, 1],
    ]
    assert [[both.late("backward", g, p) for g in range(3)] for p in (0, 1)] == [[0] * 3, [1] * 3]
    assert [both.entering(slot) for slot in (0, 4, 5)] == [(0, 5), (4, 9), (10, 15)]


@given(schedules(), st.integers(1, 60))
def test_activations_kept(schedule, units):
    kept, most = collections.Counter(), collections.Counter()
    for step in schedule.steps(units):
        kept[step.group] += {"forward": 1, "backward": -1, "update": 0}[step.operation]
        most[step.group] = max(most[step.group], kept[step.group])
    for group in range(schedule.groups):
        assert kept[group] == 0
        assert most[group] <= schedule.under_way(group)
        if units >= max(schedule.batch, 4 * schedule.length):
            assert most[group] == schedule.under_way(group)


@given(
    st.sampled_from(["sequential", "delayed", "ping-pong"]), st.integers(1, 5), st.integers(1, 5)
)
def test_formulas(kind, groups, blocks):
    """DAPP counts one slot more than the replay, where a pipeline is filled."""
    schedule = Pipelining(kind=kind, groups=groups)
    units = blocks * 2 * schedule.length
    more = 0 if kind == "sequential" else 1
    assert dapp_slots(kind, units, schedule.length) == schedule.slots(units) + more


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "ping"}, "schedule must be one of sequential, .*ping-pong, not 'ping'"),
        ({"groups": 0}, "groups must be 1 or more, not 0"),
        ({"groups": True}, "groups must be 1 or more, not True"),
        ({"batch": 0}, "batch must be 1 or more, not 0"),
        ({"batch": 2}, "batch must be 1 with schedule delayed, not 2"),
        ({"kind": "ping-pong", "batch": 3}, "batch must be 1 with schedule ping-pong, not 3"),
    ],
)
def test_bad_schedules(values, message):
    with pytest.raises(InputError, match=message):
        Pipelining(**{"kind": "delayed", "groups": 3, **values})
