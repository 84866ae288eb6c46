"""Chooses the groups of a machine: which layers each has, and how many PEs."""

import functools
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from hw.design import MAPPINGS, MOST_PROCESSING_ELEMENTS, Design, reduction_depth
from hw.errors import InputError
from hw.groups import GroupedDesign, check_parameters, parse_groups, stage
from hw.schedule import FREQUENCIES, design_for, make_schedule

# So many of the partitions that promise most are scheduled, each so many times, the last times with
# what the schedule before says of the estimate.
_MOST_SCHEDULED = 4
_ROUNDS = 3
# Up to so many layers of weights every partition is looked at; beyond, those into equal parts.
_EXHAUSTIVE_LAYERS = 8

# A lane has a multiplier and an adder of its own beside its PEs: the fewest lanes are taken that
# are about as fast as the best.
_WORTH_A_LANE = 1.01

_Parts = tuple[tuple[int, ...], ...]


def grouped_design_for(
    layers: tuple[int, ...] | None,
    groups: str,
    schedule: str,
    processing_elements: int | None = None,
    frequencies: Mapping[tuple[int, int], float] = FREQUENCIES,
    **parameters: object,
) -> GroupedDesign:
    """The machine of groups with which a sample takes least time.

    Parameters
    ----------
    layers : sizes of the network.
    groups : such as "784-100/100-100-10:80,20", or "auto", which balances the clocks of the groups.
    schedule : see GroupedDesign.
    processing_elements : of all groups, with "auto"; the widest layer's size, inputs apart, by
        default.
    frequencies : MHz by stages, see hw.schedule.design_for.
    parameters : of Design; those left open are chosen as for one array.

    Raises InputError, naming the constraint and the value.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if groups != "auto":
        parts, pes = parse_groups(groups)
        whole = (parts[0][0], *itertools.chain.from_iterable(part[1:] for part in parts))
        if layers is not None and layers != whole:
            shown = "-".join(map(str, whole))
            raise InputError(
                f"groups must be those of {'-'.join(map(str, layers))}, not of {shown}"
            )
        if processing_elements is not None and processing_elements != sum(pes):
            raise InputError(
                f"processing elements must be {sum(pes)}, as the groups have, "
                f"not {processing_elements}"
            )
        return _fastest(whole, parts, pes, schedule, frequencies, given)
    pes = max(layers[1:]) if processing_elements is None else processing_elements
    return _balanced(layers, pes, schedule, frequencies, given)


def clocks_of_groups(design: GroupedDesign) -> list[float]:
    """Clocks that each group's program takes for each sample of full batches."""
    return [make_schedule(each).clocks_per_sample for each in design.designs]


def _fastest(
    layers: tuple[int, ...],
    parts: _Parts,
    pes: tuple[int, ...],
    schedule: str,
    frequencies: Mapping[tuple[int, int], float],
    given: dict[str, object],
) -> GroupedDesign:
    """With the pipeline stages that suit the groups together."""
    choices: list[dict[str, object]] = [{}]
    if "multiplier_stages" not in given and "adder_stages" not in given:
        choices = [{"multiplier_stages": m, "adder_stages": a} for m, a in frequencies]
    found = [_designed(layers, parts, pes, schedule, given | choice) for choice in choices]

    def time(design: GroupedDesign) -> float:
        first = design.designs[0]
        stages = first.multiplier_stages, first.adder_stages
        return max(clocks_of_groups(design)) / frequencies.get(stages, 1.0)

    return min(found, key=time)


def _designed(
    layers: tuple[int, ...],
    parts: _Parts,
    pes: tuple[int, ...],
    schedule: str,
    given: dict[str, object],
) -> GroupedDesign:
    """A design for each group, with the mapping that takes the fewest clocks."""
    batch = check_parameters(schedule, len(parts), given)
    names = _activations(given.get("activation", "sigmoid"), len(layers) - 1)
    mapping = given.get("mapping")
    if mapping is not None and len(mapping) != len(layers) - 1:
        raise InputError(
            f"a mapping is needed for each of {len(layers) - 1} layers of weights, "
            f"not {len(mapping)}"
        )
    designs, first = [], 0
    for number, (part, count) in enumerate(zip(parts, pes, strict=True)):
        own = slice(first, first + len(part) - 1)
        below = names[first - 1] if number else ""
        place = stage(number, len(parts), schedule, batch, below, layers[-1])
        own_given = given | {"activation": ",".join(names[own]), "batch": batch, "stage": place}
        if mapping is not None:
            own_given["mapping"] = tuple(mapping[own])
        designs.append(_in_lanes(part, count, own_given))
        first = own.stop
    return GroupedDesign(designs=tuple(designs), schedule=schedule)


def _in_lanes(part: tuple[int, ...], pes: int, given: dict[str, object]) -> Design:
    """The design of a group; of one layer that is the first of several, in the best lanes."""
    place = given["stage"]
    choices = _lanes(part[-1], pes) if len(part) == 2 and not (place.below or place.last) else [1]
    found = [design_for(part, pes, **given, lanes=lanes) for lanes in choices]
    clocks = [make_schedule(design).clocks_per_sample for design in found]
    pairs = zip(found, clocks, strict=True)
    return next(each for each, taken in pairs if taken <= _WORTH_A_LANE * min(clocks))


def _lanes(outputs: int, pes: int) -> list[int]:
    """Into how many lanes so many PEs can be cut."""
    return [count for count in range(1, outputs + 1) if outputs % count == 0 == pes % count]


def _activations(text: str, count: int) -> list[str]:
    """Of each layer of weights."""
    names = text.split(",")
    if len(names) not in (1, count):
        raise InputError(
            f"an activation is needed for each of {count} layers of weights, or one for all, "
            f"not {len(names)}"
        )
    return names * count if len(names) == 1 else names


def _balanced(
    layers: tuple[int, ...],
    pes: int,
    schedule: str,
    frequencies: Mapping[tuple[int, int], float],
    given: dict[str, object],
) -> GroupedDesign:
    """The partition, and the PEs of its groups, with which the slowest group is fastest."""
    if not 1 <= pes <= MOST_PROCESSING_ELEMENTS:
        raise InputError(f"processing elements must be 1 to {MOST_PROCESSING_ELEMENTS}, not {pes}")
    adder = int(given.get("adder_stages", 3))
    quick = given.get("sample_format") == "bytes"
    found = []
    for parts in _partitions(layers):
        balance = _balance(_tables(parts, adder, pes, quick=quick), pes)
        if balance is not None:
            found.append((balance[0], parts, balance[1]))
    if not found:
        raise InputError(f"processing elements must be one or more for each group, not {pes}")
    found.sort(key=lambda entry: (entry[0], len(entry[1])))
    best, least = None, float("inf")
    for _, parts, shares in found[:_MOST_SCHEDULED]:
        tables = _tables(parts, adder, pes, quick=quick)
        for _ in range(_ROUNDS):
            design = _fastest(layers, parts, shares, schedule, frequencies, given)
            clocks = clocks_of_groups(design)
            if max(clocks) < least:
                best, least = design, max(clocks)
            corrected = [
                table * (real / table[share - 1])
                for table, share, real in zip(tables, shares, clocks, strict=True)
            ]
            following = _balance(corrected, pes)[1]
            if following == shares:
                break
            shares = following
    return best


def _partitions(layers: tuple[int, ...]) -> Iterator[_Parts]:
    """The network's layers in groups of consecutive ones, in every way."""
    inner = range(1, len(layers) - 1)
    if len(inner) >= _EXHAUSTIVE_LAYERS:
        for count in range(1, len(inner) + 2):
            cuts = {round(k * (len(inner) + 1) / count) for k in range(1, count)}
            yield _cut(layers, sorted(cuts))
        return
    for count in range(len(inner) + 1):
        for cuts in itertools.combinations(inner, count):
            yield _cut(layers, list(cuts))


def _cut(layers: tuple[int, ...], cuts: list[int]) -> _Parts:
    ends = [0, *cuts, len(layers) - 1]
    return tuple(layers[a : b + 1] for a, b in itertools.pairwise(ends))


def _balance(tables: list[np.ndarray], pes: int) -> tuple[float, tuple[int, ...]] | None:
    """Estimated clocks of the slowest group and PEs of each, for the fewest clocks."""
    tables = list(map(np.minimum.accumulate, tables))

    def shares(clocks: float) -> tuple[int, ...]:
        """Fewest PEs of each group that take no more clocks; more than there are if none do."""
        return tuple(int(np.count_nonzero(table > clocks)) + 1 for table in tables)

    for clocks in np.unique(np.concatenate(tables)):
        found = shares(clocks)
        if sum(found) <= pes:
            return float(clocks), found
    return None


def _tables(parts: _Parts, adder: int, pes: int, *, quick: bool) -> list[np.ndarray]:
    """The estimates of all groups; `quick` if samples come as bytes."""
    top = len(parts) - 1
    tables = [
        _estimates(part, adder, pes, first=index == 0, last=index == top)
        for index, part in enumerate(parts)
    ]
    if len(parts[0]) == 2 and top:
        tables[0] = _estimates_of_lanes(parts[0], adder, pes, quick=quick)
    return tables


@functools.cache
def _estimates_of_lanes(part: tuple[int, int], adder: int, pes: int, *, quick: bool) -> np.ndarray:
    """Of a first group of one layer, in the lanes that suit it; no faster than it is loaded."""
    inputs, outputs = part
    best = _estimates(part, adder, pes, first=True, last=False)
    found = np.maximum(best, inputs)
    for lanes in (count for count in range(2, outputs + 1) if outputs % count == 0):
        for each in range(1, pes // lanes + 1):
            clocks = -(-inputs // each) * (outputs // lanes) * 2
            clocks += (reduction_depth(each) - 1) * adder
            at_once = 4 if quick and inputs % 4 == 0 == each % 4 else 1
            place = lanes * each - 1
            found[place] = min(found[place], max(clocks, inputs // at_once))
    return found


@functools.cache
def _estimates(
    part: tuple[int, ...], adder: int, pes: int, *, first: bool, last: bool
) -> np.ndarray:
    """Clocks of a group with 1, 2, ... PEs, about.

    The slots of its passes, and the adder tree's way from the last one of REDUCE to the first one
    of another operation.
    """
    count = np.arange(1, pes + 1)
    turn = np.array([reduction_depth(p) - 1 for p in count]) * adder
    best = np.full(pes, np.inf)
    for mapping in itertools.product(MAPPINGS, repeat=len(part) - 1):
        if not last and mapping[-1] != "column":
            continue
        total = np.zeros(pes)
        for layer, kind in enumerate(mapping):
            inputs, outputs = part[layer], part[layer + 1]
            spread, length = (outputs, inputs + 1) if kind == "row" else (inputs, outputs)
            folds = -(-spread // count)
            drained = folds * np.where(folds > 1, np.maximum(length, count), length)
            # Of forward pass and backpropagation one reduces, the other drains its sums.
            total += folds * length * 2 + turn
            if layer or not first:
                total += drained
        best = np.minimum(best, total)
    return best
