"""The schedule: the programs of a design, chosen for the fewest clocks."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from hw.design import MAPPINGS, Design
from hw.errors import InputError
from hw.operation import FORWARD, Latencies, Operation
from hw.program import LOAD_LATENCY, Program, make_program, power_of_two

# Clocks from the end of the last iteration's interval until the machine is no longer busy.
RUN_OVERHEAD = 2

# Up to so many layers, every combination of mappings is tried; beyond, one layer at a time.
_EXHAUSTIVE_LAYERS = 6
_IMPOSSIBLE = float("inf")

# Most copies of the vectors, with one and with several samples to a batch: more samples in
# the array at once no longer pay for their memories (docs/architecture.md).
_MOST_COPIES = 2
_MOST_BATCH_COPIES = 4

# Fmax in MHz by stages of multiplier and adder: of the network 3-3-3-1 on an ECP5, speed grade 6
# (docs/results.md).
FREQUENCIES = {(2, 3): 66.2, (3, 4): 76.5}
# The same in 45 nm standard cells (docs/asic.md): one choice, with which 500 MHz are reached.
NANGATE45_FREQUENCIES = {(2, 3): 551.0}


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The programs of a design.

    Members
    -------
    design : what it is for.
    latencies : that it was made with, clocks.
    training : program of an iteration: forward, backpropagation, gradient descent.
    inference : program of forward passes alone.
    labels_ahead : samples that the first group may be ahead of this one, at most, if there are
        several.
    """

    design: Design
    latencies: Latencies
    training: Program
    inference: Program
    labels_ahead: int = 0

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Those of training, in the order of their issue in an iteration."""
        return self.training.operations

    @property
    def copies(self) -> int:
        """Samples whose vectors the memories hold at once."""
        return max(self.training.copies, self.inference.copies)

    @property
    def input_copies(self) -> int:
        """Samples whose inputs and labels the memories hold at once."""
        return max(self.training.input_copies, self.inference.input_copies)

    @property
    def tag_copies(self) -> int:
        """Samples of which results may come, as far as they are told apart."""
        return self.copies if self.design.first else max(self.copies, self.input_copies)

    @property
    def label_copies(self) -> int:
        """Samples whose labels are kept, in the last group."""
        if self.design.first:
            return self.input_copies
        behind = max(self.training.behind, self.inference.behind)
        return power_of_two(self.labels_ahead + behind + 3)

    @property
    def delta_copies(self) -> int:
        """Samples whose deltas are kept that come from a group above."""
        return power_of_two(self.training.behind + 2)

    @property
    def ahead(self) -> int:
        """Samples that a group below may have begun with and this one not yet, at most."""
        return self.input_copies - max(self.training.holds, self.inference.holds)

    @property
    def load_clocks(self) -> int:
        """Machine cycles from the start of a sample until the next is loaded, if it is waiting."""
        return self.design.sample_words + LOAD_LATENCY

    @property
    def overhang(self) -> int:
        """Machine cycles that the last writes of a run take longer than interval and overhead."""
        tails = [self.training.tail, self.inference.tail]
        if self.design.loss:
            tails += map(self._loss_tail, (self.training, self.inference))
        return max(0, max(tails) - RUN_OVERHEAD)

    @property
    def loss_latency(self) -> int:
        """Machine cycles from the last output error of a sample to its loss."""
        return self.latencies.multiplier + self.design.loss_sums * self.latencies.adder

    def errors(self, program: Program) -> np.ndarray:
        """Machine cycles, from the start of a sample, in which its output errors are there."""
        forward = (op for op in program.operations if op.unit == FORWARD)
        output = max(forward, key=lambda op: op.layer.number)
        return output.at(output.results) + self.latencies.activations[-1] + self.latencies.adder

    def _loss_tail(self, program: Program) -> int:
        """Machine cycles after the interval of a sample's last iteration until its loss is out."""
        end = int(self.errors(program).max()) + self.loss_latency + 1
        return end - (program.behind + 1) * program.interval

    @property
    def clocks_per_iteration(self) -> int:
        """Clocks from one sample to the next, within a batch, while the buffer has samples."""
        return self.training.clocks

    @property
    def clocks_per_sample(self) -> float:
        """Clocks for each sample of full batches, what passes between batches included."""
        return self.training.clocks_per_sample(self.design.batch)

    @property
    def inference_clocks(self) -> int:
        """Clocks from one sample to the next in a run of forward passes alone."""
        return self.inference.clocks

    @property
    def multiply_add_busy(self) -> float:
        """Useful multiply-adds for every PE and clock."""
        capacity = self.design.processing_elements * self.clocks_per_sample
        return self.design.useful_multiply_adds / capacity


def make_schedule(design: Design) -> Schedule:
    """The programs of `design`, deterministic."""
    lat = Latencies.of(design)
    training = _training(design)
    inference = make_program(
        design,
        lat,
        training=False,
        draining=False,
        copies=training.copies,
        input_copies=training.input_copies,
    )
    schedule = Schedule(design=design, latencies=lat, training=training, inference=inference)
    if design.loss:
        _check_loss(schedule)
    return schedule


def _check_loss(schedule: Schedule) -> None:
    """Each loss must be there before the outputs of the next sample."""
    latency = schedule.latencies.adder + schedule.loss_latency
    for program in (schedule.training, schedule.inference):
        needed = int(np.ptp(schedule.errors(program))) + latency + 1
        if program.interval < needed:
            raise InputError(
                f"with its loss a sample must take {needed} clocks or more, not {program.interval}"
            )


@functools.lru_cache(maxsize=256)
def _training(design: Design) -> Program:
    """The program that trains in the fewest clocks."""

    def make(copies: int, *, draining: bool) -> Program:
        return make_program(
            design,
            Latencies.of(design),
            training=True,
            draining=draining,
            copies=copies,
            input_copies=2 * copies,
        )

    if design.lag:
        delayed = design.stage.delayed
        return make(design.lag + _MOST_BATCH_COPIES, draining=not delayed)
    exact = make(_MOST_COPIES, draining=False)
    if design.batch == 1:
        return exact
    overlapped = make(_MOST_BATCH_COPIES, draining=True)
    return min(exact, overlapped, key=lambda program: program.clocks_per_sample(design.batch))


def design_for(
    layers: tuple[int, ...],
    processing_elements: int | None = None,
    frequencies: Mapping[tuple[int, int], float] = FREQUENCIES,
    **parameters: object,
) -> Design:
    """The design with which an iteration takes least time.

    What `parameters` (of Design) leave open is chosen: the mapping, for the fewest clocks, and the
    stages of multiplier and adder, for clocks / frequency (`frequencies`): small networks are all
    latency, large ones all frequency. `processing_elements` defaults to the widest layer, inputs
    apart. Raises InputError.
    """
    pes = max(layers[1:]) if processing_elements is None else processing_elements
    given = {name: value for name, value in parameters.items() if value is not None}
    choices: list[dict[str, object]] = [{}]
    if "multiplier_stages" not in given and "adder_stages" not in given:
        choices = [{"multiplier_stages": m, "adder_stages": a} for m, a in frequencies]
    designs = [_mapped(layers, pes, given | choice) for choice in choices]
    # Where stages are given, they decide nothing.
    return min(
        designs,
        key=lambda design: (
            _clocks(design) / frequencies.get((design.multiplier_stages, design.adder_stages), 1.0)
        ),
    )


def _clocks(design: Design) -> float:
    """For each sample."""
    return _training(design).clocks_per_sample(design.batch)


def _mapped(layers: tuple[int, ...], pes: int, parameters: dict[str, object]) -> Design:
    if "mapping" in parameters:
        return Design(layers=layers, processing_elements=pes, **parameters)
    return _best_design(layers, pes, tuple(sorted(parameters.items())))


@functools.cache
def _best_design(layers: tuple[int, ...], pes: int, parameters: tuple) -> Design:
    count = len(layers) - 1

    def make(mapping: tuple[str, ...]) -> Design:
        return Design(layers=layers, processing_elements=pes, mapping=mapping, **dict(parameters))

    def clocks(mapping: tuple[str, ...]) -> float:
        try:
            return _clocks(make(mapping))
        except InputError:
            return _IMPOSSIBLE  # not every mapping goes with every parameter

    # Where none is possible, making the design says why.
    if count <= _EXHAUSTIVE_LAYERS:
        return make(min(itertools.product(MAPPINGS, repeat=count), key=clocks))
    mapping = ("row",) * count
    for index in range(count):
        mapping = min(
            ((*mapping[:index], choice, *mapping[index + 1 :]) for choice in MAPPINGS), key=clocks
        )
    return make(mapping)
