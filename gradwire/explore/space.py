"""What could be built: the designs that an exploration chooses among, and what they do at most."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fpga_flows import ecp5, ecp5_model
from fpga_flows.fpga import check_speed
from hw.design import MAPPINGS, Design
from hw.errors import InputError
from hw.program import LOAD_LATENCY

Goal = Literal["samples-per-second", "energy", "area"]
GOALS = ("samples-per-second", "energy", "area")

# Up to so many layers, every combination of mappings is looked at; beyond, each layer has the one
# with the fewest words.
_EXHAUSTIVE_LAYERS = 6
# Machines too large for the chip are listed too, up to so many times its multipliers, to say what
# limits.
_BEYOND = 1.5
# Block memories that are left where the buffer could be larger: the model may err by as many.
_SPARE_BRAMS = 4
_LEAST_VECTORS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What an exploration is asked for.

    Members
    -------
    layers : sizes of the network's layers.
    target : the chip, an ECP5.
    speed : its speed grade.
    goal : what is wanted most.
    at_least : samples a second that the machine must reach.
    pes : numbers of processing elements to choose among; None for all.
    fixed : parameters of Design that are not chosen.

    Raises InputError for a target, speed grade, goal or rate that cannot be.
    """

    layers: tuple[int, ...]
    target: str = "ecp5-85k"
    speed: str | None = None
    goal: Goal = "samples-per-second"
    at_least: float = 0.0
    pes: tuple[int, ...] | None = None
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target not in ecp5.TARGETS:
            known = ", ".join(ecp5.TARGETS)
            raise InputError(f"target of explore must be one of {known}, not {self.target!r}")
        object.__setattr__(self, "speed", check_speed(self.target, self.speed))
        if self.goal not in GOALS:
            raise InputError(f"goal must be one of {', '.join(GOALS)}, not {self.goal!r}")
        if self.goal == "energy":
            raise InputError(
                f"goal energy needs power figures, and there are none of {self.target}; "
                "gradwire synth --target nangate45 --energy DATA measures one machine's"
            )
        if not 0 <= self.at_least < float("inf"):
            raise InputError(f"samples a second must be at least 0, not {self.at_least:g}")

    @property
    def available(self) -> Mapping[str, int]:
        """LUTs, flip-flops, multipliers and block memories of the chip."""
        return ecp5.FAMILY.devices[self.target].resources


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A design that could be built, and what models say of it.

    Members
    -------
    design : the design.
    least_clocks : that a sample takes, or more.
    luts, dsps, brams : about; see `fpga_flows.ecp5_model`.
    fmax_mhz : about.
    """

    design: Design
    least_clocks: int
    luts: int
    dsps: int
    brams: int
    fmax_mhz: float

    @property
    def most_samples(self) -> float:
        """Samples a second at `least_clocks`."""
        return 1e6 * self.fmax_mhz / self.least_clocks


def candidates(asked: Asked) -> list[Candidate]:
    """All designs that are worth a look, those that are too large for the chip included.

    Of stages, only numbers are listed with which another stage less would be slower. Raises
    InputError when no design is possible.
    """
    found, why = [], None
    for pes, mapping in itertools.product(_pes(asked), _mappings(asked)):
        for stages in _stages(asked):
            parameters = {"mapping": mapping, **asked.fixed, **stages}
            try:
                design = Design(
                    layers=asked.layers,
                    processing_elements=pes,
                    **parameters,
                )
            except InputError as error:
                why = error
                continue
            found.append(_candidate(design, asked))
    if not found:
        raise why or InputError("there is nothing to explore")
    return found


def _candidate(design: Design, asked: Asked) -> Candidate:
    cells = ecp5_model.cells(design)
    if "buffer_vectors" not in asked.fixed:
        there = asked.available["brams"] - _SPARE_BRAMS
        while cells.brams > there and design.buffer_vectors > _LEAST_VECTORS:
            design = dataclasses.replace(design, buffer_vectors=design.buffer_vectors // 2)
            cells = ecp5_model.cells(design)
    return Candidate(
        design=design,
        least_clocks=least_clocks(design),
        luts=cells.luts,
        dsps=cells.dsps,
        brams=cells.brams,
        fmax_mhz=ecp5_model.fmax_mhz(design, cells.luts, asked.speed),
    )


def least_clocks(design: Design) -> int:
    """Clocks that a sample takes, or more: each PE reads one word of its bank a clock.

    A word is read forward, once more to pass the error back, and to be updated.
    """
    slots = 0
    for layer in design.weight_layers:
        slots += 2 * layer.words
        if layer.number > 1 or design.input_deltas:
            bias = layer.folds if layer.mapping == "row" else 0
            slots += layer.words - bias
    return max(slots, design.sample_words + LOAD_LATENCY)


def _pes(asked: Asked) -> Iterator[int]:
    if asked.pes is not None:
        yield from asked.pes
        return
    # More would have nothing to do.
    most = min(max(asked.layers), int(_BEYOND * asked.available["dsps"] / 4))
    yield from range(1, most + 1)


def _mappings(asked: Asked) -> list[tuple[str, ...]]:
    if "mapping" in asked.fixed:
        return [asked.fixed["mapping"]]
    count = len(asked.layers) - 1
    if count <= _EXHAUSTIVE_LAYERS:
        return list(itertools.product(MAPPINGS, repeat=count))
    return [
        tuple("row" if below >= above else "column" for below, above in _pairs(asked.layers)),
        ("row",) * count,
        ("column",) * count,
    ]


def _pairs(layers: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(layers)


def _stages(asked: Asked) -> list[dict[str, int]]:
    """Stages of multiplier, adder and broadcast, without those that bring nothing."""
    axes = {
        "multiplier_stages": ecp5_model.MULTIPLIER_STAGES,
        "adder_stages": ecp5_model.ADDER_STAGES,
        "broadcast_stages": ecp5_model.BROADCAST_STAGES,
    }
    axes |= {name: (asked.fixed[name],) for name in axes if name in asked.fixed}
    found = []
    for values in itertools.product(*axes.values()):
        path = ecp5_model.path_ns(*values)
        if not any(
            ecp5_model.path_ns(*fewer) <= path
            for axis, value in enumerate(values)
            for less in list(axes.values())[axis]
            if less < value
            for fewer in [(*values[:axis], less, *values[axis + 1 :])]
        ):
            found.append(dict(zip(axes, values, strict=True)))
    return found
