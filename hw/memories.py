"""The memories of a machine: how many, of which shape, with which ports."""

import dataclasses

from hw.activation import make_function
from hw.activation.interpolation import Interpolation
from hw.activation.table import FunctionTable
from hw.control import reductions, result_vectors
from hw.copies import depth
from hw.operation import BACKPROPAGATION
from hw.pe import input_bits, input_words
from hw.schedule import Schedule
from hw.sequencer import Sequencer
from hw.shape import below
from hw.unified import unified_words

#: Names of the memories that hold weights and biases.
WEIGHT_BANK = "weight bank"
UNIFIED_WEIGHTS = "unified weights"
BIAS_BANK = "bias bank"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Memories of one kind.

    Members
    -------
    name : what it is.
    words, bits : shape of each.
    reads, writes : ports of each; without write ports, its contents are fixed.
    instances : how many there are.
    """

    name: str
    words: int
    bits: int = 32
    reads: int = 1
    writes: int = 1
    instances: int = 1

    @property
    def total_bits(self) -> int:
        """Bits of all of them."""
        return self.words * self.bits * self.instances


def memories(schedule: Schedule) -> tuple[Memory, ...]:
    """All memories of the machine of `schedule`; delay lines and queues are flip-flops."""
    design = schedule.design
    halves = 2 if design.batch > 1 else 1
    places = design.vectors
    pes = design.processing_elements
    if design.unified:
        found = [Memory(name=UNIFIED_WEIGHTS, words=unified_words(schedule))]
    else:
        found = [Memory(name=WEIGHT_BANK, words=depth(design.bank_words, halves), instances=pes)]
    if design.bias_words:
        found.append(Memory(name=BIAS_BANK, words=depth(design.bias_words, halves)))
    if words := places.register_words:
        words = depth(words, schedule.copies)
        found.append(Memory(name="registers", words=words, instances=pes))
    if words := input_words(design):
        words = depth(words, schedule.input_copies)
        bits = input_bits(design)[1]
        found.append(Memory(name="input registers", words=words, bits=bits, instances=pes))
    else:
        found.append(Memory(name="inputs", words=depth(design.layers[0], schedule.input_copies)))
    found.append(Memory(name="labels", words=depth(design.layers[-1], schedule.input_copies)))
    if words := places.memory_words:
        found.append(Memory(name="vectors", words=depth(words, schedule.copies)))
    back = [n for unit, n in result_vectors(schedule) if unit == BACKPROPAGATION]
    if back:
        words = depth(sum(design.layers[n - 1] for n in back), schedule.copies)
        found.append(Memory(name="derivatives", words=words))
    if folded := [op.length for op in reductions(schedule) if op.layer.folds > 1]:
        found.append(Memory(name="partial sums", words=len(below(max(folded)))))
    words = design.buffer_vectors * design.record_words
    found.append(Memory(name="training vectors", words=words))
    return (*found, *_fixed(schedule))


def _fixed(schedule: Schedule) -> list[Memory]:
    """Those whose contents are fixed: the program, and the tables of activation functions."""
    rom = Sequencer(schedule).rom
    bits = sum(max(1, max(word[name] for word in rom).bit_length()) for name in rom[0])
    found = [Memory(name="program", words=len(rom), bits=bits, writes=0)]
    for name in sorted(set(schedule.design.activations)):
        function = make_function(name, schedule.design)
        if isinstance(function, FunctionTable):
            words, bits = function.entries, 32
        elif isinstance(function, Interpolation):
            words, bits = function.segments.entries, sum(function.segments.widths)
        else:
            continue
        found.append(Memory(name=f"table of {name}", words=words, bits=bits, writes=0))
    return found
