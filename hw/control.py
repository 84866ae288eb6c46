"""What the sequencer tells the array in each slot."""

from amaranth.lib import data

from hw.design import Accumulation
from hw.operation import ACCUMULATE, BACKPROPAGATION, FORWARD, REDUCE, Operation
from hw.pe import adder_inputs, local_address_shape
from hw.schedule import Schedule
from hw.shape import below


def reductions(schedule: Schedule) -> list[Operation]:
    """The operations that use the adder tree."""
    return [op for op in schedule.operations if op.operation == REDUCE]


def sums(schedule: Schedule) -> list[Accumulation]:
    """The distinct ways in which ACCUMULATE sums; the control word names them from 1 on."""
    found = {op.sums.length: op.sums for op in schedule.operations if op.operation == ACCUMULATE}
    return [found[length] for length in sorted(found)]


def active_counts(schedule: Schedule) -> list[int]:
    """How many PEs count in a fold; the control word holds an index. First: all.

    In REDUCE; where all weights lie in one memory, in all operations.
    """
    design = schedule.design
    operations = schedule.operations if design.unified else reductions(schedule)
    last = {op.layer.last_active for op in operations}
    return [design.lane_elements, *sorted(last - {design.lane_elements})]


def result_vectors(schedule: Schedule) -> list[tuple[str, int]]:
    """Unit and layer of the vectors that leave the array, as `result_tag` numbers them.

    The forward passes come first, so that theirs are the layers' numbers, less 1.
    """
    numbers = range(1, len(schedule.design.layers))
    found = {(op.unit, op.layer.number) for op in schedule.operations}
    order = [(unit, n) for unit in (FORWARD, BACKPROPAGATION) for n in numbers]
    return [vector for vector in order if vector in found]


def result_tag(schedule: Schedule) -> data.StructLayout:
    """Whose result it is.

    Members
    -------
    vector : index in `result_vectors`.
    copy : of the sample.
    """
    return data.StructLayout(
        {
            "vector": below(len(result_vectors(schedule))),
            "copy": below(schedule.tag_copies),
        }
    )


def array_control(schedule: Schedule) -> data.StructLayout:
    """Layout of the control word of one slot.

    Members
    -------
    valid : something happens.
    update, reduce : it is that operation; ACCUMULATE if neither.
    bank_address : word of the weight bank.
    read_made, write_made : UPDATE takes from, and leaves among, the weights in the making; only
        with batches.
    local_input, local_address : word of the register files.
    adder_select : what the adder does with the product.
    finished : ACCUMULATE: the fold's last word; which way of summing, from 1 on.
    active : index in `active_counts`.
    final : REDUCE: the last fold; the sum is a result.
    first_fold : REDUCE carries biases or nothing, and not the sums of the fold before.
    bias : the layer has its biases in the bias bank.
    element : number of the word in its fold.
    bias_address : word of the bias bank.
    """
    design = schedule.design
    longest = max(op.length for op in schedule.operations)
    made = {"read_made": 1, "write_made": 1} if design.batch > 1 else {}
    return data.StructLayout(
        {
            "valid": 1,
            "update": 1,
            "reduce": 1,
            "bank_address": below(design.bank_words),
            **made,
            "local_input": 1,
            "local_address": local_address_shape(schedule),
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
