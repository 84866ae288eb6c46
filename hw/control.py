"""What the sequencer tells the array in each slot."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.design import Accumulation
from hw.pe import adder_inputs, local_address_width
from hw.schedule import ACCUMULATE, REDUCE, Operation, Schedule
from hw.shape import below


def reductions(schedule: Schedule) -> list[Operation]:
    """The operations that use the adder tree."""
    return [op for op in schedule.operations if op.operation == REDUCE]


def sums(schedule: Schedule) -> list[Accumulation]:
    """The distinct ways in which ACCUMULATE sums; the control word names them from 1 on."""
    found = {op.sums.length: op.sums for op in schedule.operations if op.operation == ACCUMULATE}
    return [found[length] for length in sorted(found)]


def active_counts(schedule: Schedule) -> list[int]:
    """How many PEs count in a fold of REDUCE; the control word holds an index. First: all."""
    design = schedule.design
    last = {op.layer.last_active for op in reductions(schedule)}
    return [design.processing_elements, *sorted(last - {design.processing_elements})]


def array_control(schedule: Schedule) -> data.StructLayout:
    """Layout of the control word of one slot.

    Members
    -------
    valid : something happens.
    update, reduce : it is that operation; ACCUMULATE if neither.
    bank_address : word of the weight bank.
    local_input, local_address : word of the register files.
    adder_select : what the adder does with the product.
    finished : ACCUMULATE: the fold's last word; which way of summing, from 1 on.
    active : REDUCE: index in `active_counts`.
    final : REDUCE: the last fold; the sum is a result.
    first_fold : REDUCE carries biases or nothing, and not the sums of the fold before.
    bias : the layer has its biases in the bias bank.
    element : number of the word in its fold.
    bias_address : word of the bias bank.
    """
    design = schedule.design
    longest = max(op.length for op in schedule.operations)
    return data.StructLayout(
        {
            "valid": 1,
            "update": 1,
            "reduce": 1,
            "bank_address": below(design.bank_words),
            "local_input": 1,
            "local_address": unsigned(local_address_width(design)),
            "adder_select": range(len(adder_inputs(schedule))),
            "finished": below(len(sums(schedule)) + 1),
            "active": below(len(active_counts(schedule))),
            "final": 1,
            "first_fold": 1,
            "bias": 1,
            "element": below(longest),
            "bias_address": below(design.bias_words),
        }
    )
