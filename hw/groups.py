"""The description of a machine of several arrays, each with a group of the network's layers.

The groups work on successive samples at once: hw.pipelining says what each does in which slot.
"""

import dataclasses
import itertools

from hw.design import Design, Stage
from hw.errors import InputError
from hw.pipelining import Pipelining


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupedDesign:
    """What to build: a design for each group.

    Parameters
    ----------
    designs : of the groups, from the inputs up; `Design.stage` says where each stands.
    schedule : "sequential", "fill-drain", "delayed" or "ping-pong", see hw.pipelining.

    Samples come in the order in which they enter: of ping-pong's two pipelines, a pair at a time,
    that of the first pipeline first.

    Members
    -------
    layers : sizes of the whole network.
    processing_elements : of all groups.
    batch : largest batch of a run; 2 for ping-pong, whose pairs are batches.
    """

    designs: tuple[Design, ...]
    schedule: str

    @property
    def layers(self) -> tuple[int, ...]:
        upper = [size for design in self.designs for size in design.layers[1:]]
        return (self.designs[0].layers[0], *upper)

    @property
    def processing_elements(self) -> int:
        return sum(design.processing_elements for design in self.designs)

    @property
    def batch(self) -> int:
        return self.designs[0].batch

    @property
    def mapping(self) -> tuple[str, ...]:
        """Of each layer of weights."""
        return tuple(itertools.chain.from_iterable(design.mapping for design in self.designs))

    @property
    def activations(self) -> tuple[str, ...]:
        """Activation function of each layer of weights."""
        return tuple(itertools.chain.from_iterable(design.activations for design in self.designs))

    @property
    def topology(self) -> str:
        """Layer sizes joined by dashes."""
        return "-".join(map(str, self.layers))

    @property
    def name(self) -> str:
        """Name of the generated module and its files."""
        groups = [
            "_".join(map(str, (*design.layers[1:], f"p{design.processing_elements}")))
            + (f"_lanes{design.lanes}" if design.lanes > 1 else "")
            for design in self.designs
        ]
        parts = [f"gradwire_{self.layers[0]}", *groups, self.schedule.replace("-", "_")]
        return "_".join([*parts, f"batch{self.batch}"] if self.batch > 1 else parts)

    @property
    def useful_multiply_adds(self) -> int:
        """Multiply-adds of one iteration, biases apart: forward, deltas, updates."""
        return sum(design.useful_multiply_adds for design in self.designs)

    @property
    def limit_clocks(self) -> int:
        """Clocks for each sample if every PE retired a multiply-add every clock."""
        return -(-self.useful_multiply_adds // self.processing_elements)

    def pipelining(self, batch: int) -> Pipelining:
        """Its schedule in slots, for a run in batches of `batch`."""
        one = self.schedule in ("delayed", "ping-pong")
        return Pipelining(kind=self.schedule, groups=len(self.designs), batch=1 if one else batch)


def parse_groups(text: str) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Layers of each group and its PEs, of a text such as "784-100/100-100-10:80,20".

    The last size of a group is the first of the next. Raises InputError.
    """
    layers_text, colon, pes_text = text.partition(":")
    groups = [part.split("-") for part in layers_text.split("/")]
    pes = pes_text.split(",") if colon else []
    words = [*itertools.chain.from_iterable(groups), *pes]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise InputError(f"groups must be like 784-100/100-100-10:80,20, or auto, not {text!r}")
    layers = tuple(tuple(map(int, group)) for group in groups)
    for group, following in itertools.pairwise(layers):
        if group[-1] != following[0]:
            raise InputError(
                f"a group must begin with the size that the one before ends with, {group[-1]}, "
                f"not {following[0]}"
            )
    for group in layers:
        if len(group) < 2:
            raise InputError(
                f"a group must have at least 2 sizes (inputs and outputs), not {group[0]}"
            )
    if len(pes) != len(layers):
        raise InputError(
            f"PEs must be given for each of {len(layers)} groups, behind a colon, not {len(pes)}"
        )
    return layers, tuple(map(int, pes))


def stage(number: int, groups: int, schedule: str, batch: int, below: str, outputs: int) -> Stage:
    """Where group `number` stands.

    A slot of hw.pipelining is an iteration of each group, or one for each sample of a unit: so
    many iterations pass for each slot between a sample's forward and backward passes.
    """
    delayed = schedule in ("delayed", "ping-pong")
    slots = 2 * (groups - 1 - number)
    return Stage(
        number=number,
        groups=groups,
        below=below,
        outputs=outputs,
        lag=slots * (batch if delayed else 1),
        delayed=delayed,
    )


def check_parameters(schedule: str, groups: int, parameters: dict[str, object]) -> int:
    """The batch of a design of groups. Raises InputError for what it cannot have."""
    Pipelining(kind=schedule, groups=groups)
    batch = parameters.get("batch") or 1
    if schedule in ("sequential", "delayed", "ping-pong") and batch != 1:
        raise InputError(f"batch must be 1 with schedule {schedule}, not {batch}")
    for name in ("input_deltas", "seeded_weights", "loss"):
        if parameters.get(name):
            raise InputError(f"{name.replace('_', ' ')} must be off with groups, not on")
    if parameters.get("memory", "distributed") != "distributed":
        raise InputError("memory must be distributed with groups, not unified")
    return 2 if schedule == "ping-pong" else int(batch)
