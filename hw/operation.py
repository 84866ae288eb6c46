"""The array's operations: one pass over the weights of a layer, and what it uses in which clock.

Times along the array, for an operation whose weight address is presented in clock q, its *slot*
(everything that enters the array takes `broadcast` clocks more to reach the PEs, and so whatever
leaves it comes as much later: among the operations in the array nothing changes):

    q                          addresses of banks, register files, vector memories
    q + 1                      operands at the multipliers
    q + 1 + LM                 products (LM: multiplier's latency)
    q + 1 + LM + LA            UPDATE: new weight, written (LA: adder's latency)
    q + 1 + LM + depth * LA    REDUCE: the sum

The gradient-descent unit scales what UPDATE broadcasts, which takes a multiplication: the array
part of an UPDATE comes LM clocks after it is issued.

These are machine cycles. A machine cycle is a clock where each PE has a weight bank. Where one
memory holds all weights, one in which weights are read or written takes a clock for each of them.
"""

import dataclasses

import numpy as np

from hw.activation import A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE, DERIVATIVES, make_function
from hw.design import (
    Accumulation,
    Design,
    Layer,
    accumulation,
    reduction_blocks,
    reduction_depth,
)
from hw.fp.adder import Adder
from hw.fp.multiplier import Multiplier

FORWARD = "forward"
BACKPROPAGATION = "backpropagation"
GRADIENT_DESCENT = "gradient descent"

ACCUMULATE = "ACCUMULATE"
REDUCE = "REDUCE"
UPDATE = "UPDATE"

# From the results of lanes, which come at once, to the first of them at the array's output.
LANE_LATENCY = 3

Clocks = np.ndarray
Claims = dict[str, Clocks]


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Latencies of the components and of paths through the machine, in clocks.

    Members
    -------
    multiplier, adder : of the component.
    activations : of the activation function of each layer of weights.
    derivatives : from a neuron's activation to its derivative, for each layer of weights.
    depth : levels of the adder tree.
    carry_path : adders from where REDUCE's carried value enters to the root.
    broadcast : from the units to the PEs.
    lanes : from the lanes of an array to its output, where their results come one after the other.
    """

    multiplier: int
    adder: int
    activations: tuple[int, ...]
    derivatives: tuple[int, ...]
    depth: int
    carry_path: int
    broadcast: int
    lanes: int

    @classmethod
    def of(cls, design: Design) -> "Latencies":
        """Read them off the components that `design` is built of."""
        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        return cls(
            multiplier=multiplier.latency,
            adder=adder.latency,
            activations=tuple(make_function(name, design).latency for name in design.activations),
            derivatives=tuple(
                multiplier.latency + adder.latency if _computed(name) else 0
                for name in design.activations
            ),
            depth=reduction_depth(design.lane_elements),
            carry_path=len(reduction_blocks(design.lane_elements)),
            broadcast=design.broadcast_stages,
            lanes=LANE_LATENCY if design.lanes > 1 else 0,
        )

    @property
    def product(self) -> int:
        """From slot to product."""
        return 1 + self.multiplier

    @property
    def sum(self) -> int:
        """From slot to the sum that one adder makes of the product."""
        return self.product + self.adder

    @property
    def root(self) -> int:
        """From slot to the result of REDUCE."""
        return self.product + self.depth * self.adder

    @property
    def carry(self) -> int:
        """From slot to where the carried value enters the adder tree."""
        return self.product + (self.depth - self.carry_path) * self.adder

    @property
    def carry_address(self) -> int:
        """From slot to the address of the carried value, in the memory that holds it."""
        # Memories answer late in a clock: an array that fills an FPGA has a register after them.
        return self.carry - (2 if self.broadcast else 1)

    @property
    def weight_port(self) -> int:
        """From the weight port's address to the word."""
        # What many PEs share has registers on the way back, too.
        return 2 + (self.broadcast + 2 if self.broadcast else 0) + (1 if self.lanes else 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One pass over the weights of a layer, as the sequencer executes it.

    Members
    -------
    unit : the unit whose phase it is: FORWARD, BACKPROPAGATION or GRADIENT_DESCENT.
    layer : the layer of weights.
    operation : ACCUMULATE, REDUCE or UPDATE.
    skip : words at the start of each fold that the pass leaves out (the bias, going back).
    period : clocks from the start of one fold to the next.
    sums : how ACCUMULATE sums.
    slots : the slot of each word, shape (folds, words of a fold), from the first slot.
    results : clock of each result at the array's output, from the first slot.
    issued : clocks from issue to slot.
    waits : machine cycles, from the first slot, that take more than a clock, and how many each; a
        cycle may stand there twice, and takes the longer then.
    start : clock of the first issue, from the start of the sample that it is for.
    behind : iterations between the one in which that sample begins and the one of the issue.
    """

    unit: str
    layer: Layer
    operation: str
    skip: int
    period: int
    sums: Accumulation | None
    slots: Clocks
    results: Clocks
    issued: int
    waits: tuple[Clocks, Clocks]
    start: int = 0
    behind: int = 0

    @property
    def length(self) -> int:
        """Words of a fold that the pass visits."""
        return self.slots.shape[1]

    @property
    def clocks(self) -> int:
        """Clocks from the first issue to the last, both included."""
        return int(self.slots[-1, -1]) + 1

    @property
    def name(self) -> str:
        """Such as "forward 1"."""
        return f"{self.unit} {self.layer.number}"

    def at(self, times: Clocks) -> Clocks:
        """`times`, which count from the first slot, in clocks from the start of the sample."""
        return times + (self.start + self.issued)


def make_pass(design: Design, layer: Layer, unit: str, lat: Latencies) -> Operation:
    """The operation by which `unit` passes over `layer`, not yet placed."""
    row = layer.mapping == "row"
    skip = 0
    if unit == GRADIENT_DESCENT:
        operation, length = UPDATE, layer.fold_length
    elif row == (unit == FORWARD):
        operation, length = ACCUMULATE, layer.fold_length
    else:
        operation = REDUCE
        skip = 1 if row else 0
        length = layer.fold_length - skip
    sums = accumulation(length, lat.adder) if operation == ACCUMULATE else None
    period = _fold_period(layer, length, sums, lat)
    if operation == REDUCE and layer.folds > 1:
        period = max(length, lat.root - lat.carry_address)
    slots = np.arange(layer.folds)[:, None] * period + np.arange(length)
    return Operation(
        unit=unit,
        layer=layer,
        operation=operation,
        skip=skip,
        period=period,
        sums=sums,
        slots=slots,
        results=_results(layer, operation, slots, sums, lat),
        issued=lat.multiplier if operation == UPDATE else 0,
        waits=_waits(design, layer, operation, slots, lat),
    )


def _waits(
    design: Design, layer: Layer, operation: str, slots: Clocks, lat: Latencies
) -> tuple[Clocks, Clocks]:
    """When one memory for all weights holds the machine up, and for how long."""
    words = np.full(slots.shape, layer.processing_elements)
    words[-1] = layer.last_active
    # What is read is wanted in the cycle after the slot.
    cycles, words = (slots + 1).ravel(), words.ravel()
    if operation == UPDATE:
        cycles = np.concatenate([cycles, slots.ravel() + lat.sum])
        words = np.concatenate([words, words])
    longer = design.unified & (words > 1)
    return cycles[longer], words[longer]


def _results(
    layer: Layer, operation: str, slots: Clocks, sums: Accumulation | None, lat: Latencies
) -> Clocks:
    """When each result is at the array's output, from the first slot."""
    if operation == REDUCE and layer.lanes > 1:
        return slots[-1, 0] + lat.root + lat.broadcast + lat.lanes + np.arange(layer.outputs)
    if operation == REDUCE:
        return slots[-1] + lat.root + lat.broadcast
    if operation == UPDATE:
        return np.empty(0, int)
    ready = slots[:, -1] + lat.product + sums.ready
    element = np.arange(layer.spread)
    fold, pe = np.divmod(element, layer.processing_elements)
    return ready[fold] + pe + lat.broadcast


def _adder_clocks(slots: Clocks, sums: Accumulation, lat: Latencies) -> Clocks:
    """Clocks in which ACCUMULATE's folds put operands into the adder."""
    if sums.length == 1:
        entries = slots[:, :0]
    elif sums.rotating:
        entries = slots
    else:
        odd = np.arange(sums.length) % 2 == 1
        odd[-1] = True
        entries = slots[:, odd]
    combines = np.array([combine.clock for combine in sums.combines], int)
    return np.concatenate([entries.ravel(), (slots[:, -1:] + combines).ravel()]) + lat.product


def _fold_period(layer: Layer, length: int, sums: Accumulation | None, lat: Latencies) -> int:
    """Least clocks between folds of ACCUMULATE with each adder used once a clock at most."""
    if sums is None or layer.folds == 1:
        return length
    period = max(length, layer.processing_elements)
    while True:
        # As many folds as may meet in the adder.
        folds = min(layer.folds, 2 + (length + sums.ready) // period)
        slots = np.arange(folds)[:, None] * period + np.arange(length)
        used = _adder_clocks(slots, sums, lat)
        if len(np.unique(used)) == len(used):
            return period
        period += 1


def claims(design: Design, op: Operation, lat: Latencies) -> Claims:
    """In which clocks `op` uses what, from its first slot.

    What passes on whole vectors (results, activations and deltas, derivatives) is claimed from a
    vector's first element to its last, so that vectors never mingle.
    """
    found = {
        "issue": np.arange(op.clocks) - op.issued,
        "slot": op.slots.ravel(),
    }
    if op.operation == REDUCE:
        levels = np.arange(lat.depth)[:, None] * lat.adder
        found["tree"] = np.unique(op.slots.ravel() + lat.product + levels)
    elif op.operation == ACCUMULATE:
        found["adder"] = _adder_clocks(op.slots, op.sums, lat)
    else:
        found["adder"] = op.slots.ravel() + lat.product
        found["write"] = op.slots.ravel() + lat.sum
    if op.unit == FORWARD:
        _claim_activations(found, design, op, lat)
    elif op.unit == BACKPROPAGATION:
        found["vector"] = _whole(op.results + lat.multiplier)
        found["unit multiplier"] = op.results
    if len(op.results):
        found["result"] = _whole(op.results)
    if op.layer.mapping == "column" and op.unit == FORWARD:
        found["bias"] = op.slots[0] + lat.carry_address
    if op.layer.mapping == "column" and op.unit == GRADIENT_DESCENT:
        found["bias"] = op.slots[0]
        found["bias write"] = op.slots[0] + 1 + lat.adder
    return found


def _claim_activations(found: Claims, design: Design, op: Operation, lat: Latencies) -> None:
    number = op.layer.number
    activations = op.results + lat.activations[number - 1]
    found["activation"] = activations
    top = number == len(design.layers) - 1
    if top and design.last:
        found["unit adder"] = activations
        found["vector"] = _whole(activations + lat.adder)
    else:
        if not top:
            found["vector"] = _whole(activations)
        _claim_derivatives(found, design, activations, number - 1, lat)
    if number == 1 and design.input_deltas:
        # The inputs' derivatives are made while the first fold broadcasts the inputs.
        _claim_derivatives(found, design, op.slots[0, 1:] + 1, 0, lat)


def _claim_derivatives(
    found: Claims, design: Design, values: Clocks, index: int, lat: Latencies
) -> None:
    """What the derivatives of `values`, by the function of weight layer `index` (from 0), use."""
    kind = DERIVATIVES[design.activations[index]]
    new = {"derivative": _whole(values + lat.derivatives[index])}
    if kind == A_TIMES_COMPLEMENT:
        new |= {"unit adder": values, "unit multiplier": values + lat.adder}
    elif kind == COMPLEMENT_OF_SQUARE:
        new |= {"unit adder": values + lat.multiplier, "unit multiplier": values}
    for name, clocks in new.items():
        found[name] = np.concatenate([found.get(name, np.empty(0, int)), clocks])


def _whole(clocks: Clocks) -> Clocks:
    return np.arange(clocks.min(), clocks.max() + 1)


def _computed(name: str) -> bool:
    """Whether the derivative of an activation function takes a multiplication and an addition."""
    return DERIVATIVES[name] in (A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE)
