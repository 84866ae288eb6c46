"""How samples come to a core: from the stream, or from the groups of layers below and above."""

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from hw.arrivals import Arrivals
from hw.buffer import InputMemory
from hw.copies import address
from hw.pe import input_words
from hw.walker import VectorWalker

if TYPE_CHECKING:
    from hw.core import Core


def load(m: Module, core: "Core") -> None:
    """Into the memories of samples, from the stream or from the groups below and above."""
    if core.design.first:
        _load_from_stream(m, core)
    else:
        _load_from_below(m, core)
    if not core.design.last:
        if core.design.lanes > 1:
            deltas = _lane_deltas(m, core)
        else:
            deltas = _arrive(m, core.deltas, core.delta, core.delta_valid, "delta")
        m.d.comb += [
            deltas.use.eq(core.sequencer.uses_deltas),
            deltas.restart.eq(core.start & ~core.busy),
            deltas.first.eq(core.sequencer.newest),
            core.sequencer.deltas.eq(deltas.waits),
            core.sequencer.room.eq(core.room),
        ]


def _lane_deltas(m: Module, core: "Core") -> Arrivals:
    """Deltas go to the lanes of their neurons."""
    design, array = core.design, core.array
    neurons, copies = design.layers[-1], core.schedule.delta_copies
    arrivals = Arrivals(neurons, copies, neurons // design.lanes)
    m.submodules.delta_arrivals = arrivals
    m.d.comb += [
        arrivals.step.eq(core.delta_valid),
        array.delta.eq(core.delta),
        array.delta_write.eq(core.delta_valid),
        array.delta_lane.eq(arrivals.offset),
        array.delta_index.eq(arrivals.lane),
        array.delta_copy.eq(arrivals.copy),
    ]
    return arrivals


def _load_from_stream(m: Module, core: "Core") -> None:
    """To the buffer, and from there to the sample's memories."""
    buffer = core.buffer
    if core.memory:
        m.d.comb += buffer.enable.eq(core.memory.enable)
    wiring.connect(m, wiring.flipped(core.i), buffer.i)
    m.d.comb += [
        buffer.take.eq(core.sequencer.take),
        core.loaded.eq(buffer.loaded),
        core.released.eq(buffer.released),
    ]
    memories = []
    if core.design.last:
        memories.append((core.labels, buffer.label_write))
    else:
        m.d.comb += [core.label.eq(buffer.word), core.label_valid.eq(buffer.label_write)]
    if not core.design.activation_is_local(1):
        memories.append((core.inputs, buffer.input_write))
    for file, write in memories:
        m.d.comb += [
            file.write.eq(write),
            file.write_copy.eq(buffer.copy),
            file.write_index.eq(buffer.index),
            file.word.eq(buffer.word),
        ]
    if core.design.activation_is_local(1):
        steps = core.design.layers[0] // core.design.loaded_at_once
        pes = core.design.lane_elements // core.design.loaded_at_once
        m.submodules.input_walker = walker = VectorWalker([steps], [pes])
        m.d.comb += walker.step.eq(buffer.input_write)
        _spread(m, core, buffer.input_write, buffer.word, walker, buffer.copy)


def _load_from_below(m: Module, core: "Core") -> None:
    """Activations of the group below, their derivatives, and labels."""
    design, copies = core.design, core.schedule.input_copies
    if design.activation_is_local(1):
        inputs = Arrivals(design.layers[0], copies, design.processing_elements)
        m.submodules.input_arrivals = inputs
        m.d.comb += inputs.step.eq(core.input_valid)
        _spread(m, core, core.input_valid, core.input, inputs, inputs.copy)
    else:
        inputs = _arrive(m, core.inputs, core.input, core.input_valid, "input")
    m.d.comb += [
        inputs.use.eq(core.sequencer.take),
        core.loaded.eq(inputs.waits),
        core.sequencer.ends.eq(core.ends),
    ]
    words, valid = core.input_derivative, core.input_derivative_valid
    _arrive(m, core.input_derivatives, words, valid, "input_derivative")
    back, derivatives = core.backpropagation, core.input_derivatives
    m.d.comb += [
        derivatives.read_index.eq(back.input_derivative_address),
        derivatives.read_copy.eq(back.input_derivative_copy),
        back.input_derivative.eq(derivatives.data),
    ]
    if design.last:
        _arrive(m, core.labels, core.label, core.label_valid, "label")


def _arrive(m: Module, file: InputMemory, word: Value, valid: Value, name: str) -> Arrivals:
    """Vectors come to a memory, one element after the other."""
    arrivals = Arrivals(file.words, file.copies)
    m.submodules[f"{name}_arrivals"] = arrivals
    m.d.comb += [
        arrivals.step.eq(valid),
        file.write.eq(valid),
        file.write_copy.eq(arrivals.copy),
        file.write_index.eq(arrivals.offset),
        file.word.eq(word),
    ]
    return arrivals


def _spread(
    m: Module, core: "Core", write: Value, word: Value, walker: VectorWalker | Arrivals, copy: Value
) -> None:
    """Inputs go to the register files of the PEs."""
    array, words = core.array, input_words(core.design)
    m.d.comb += [
        array.input_write.eq(write),
        array.input_lane.eq(walker.lane),
        array.input_address.eq(address(walker.offset, copy, words, core.schedule.input_copies)),
        array.network_input.eq(word),
    ]
