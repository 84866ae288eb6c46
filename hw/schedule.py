"""The static program of one iteration: which operation the array starts in which clock.

An iteration trains on one sample. Every latency is known, so every operation gets its clock here,
and the machine needs no handshakes between its units: a sequencer walks the program. The start of
each operation is the first clock at which its operands have arrived and nothing that it uses is in
use. Clocks are counted from the iteration's first clock.

Times along the array, for an operation whose weight address is presented in clock q, its *slot*:

    q                          addresses of banks, register files, vector memories
    q + 1                      operands at the multipliers
    q + 1 + LM                 products (LM: multiplier's latency)
    q + 1 + LM + LA            UPDATE: new weight, written (LA: adder's latency)
    q + 1 + LM + depth * LA    REDUCE: the sum

The gradient-descent unit scales what UPDATE broadcasts, which takes a multiplication: the array
part of an UPDATE comes LM clocks after it is issued.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable

import numpy as np

from hw.activation import A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE, DERIVATIVES, make_function
from hw.design import (
    MAPPINGS,
    Accumulation,
    Design,
    Layer,
    accumulation,
    reduction_blocks,
    reduction_depth,
)
from hw.errors import InputError
from hw.fp.adder import Adder
from hw.fp.multiplier import Multiplier

FORWARD = "forward"
BACKPROPAGATION = "backpropagation"
GRADIENT_DESCENT = "gradient descent"

ACCUMULATE = "ACCUMULATE"
REDUCE = "REDUCE"
UPDATE = "UPDATE"

# Clocks from the start of an iteration until the loader can write the first word of the next
# sample but one.
LOAD_LATENCY = 2

# Clocks from the end of the last iteration's interval until the machine is no longer busy.
RUN_OVERHEAD = 2

# Up to so many layers, every combination of mappings is tried; beyond, one layer at a time.
_EXHAUSTIVE_LAYERS = 6
_IMPOSSIBLE = 1 << 62

# Fmax in MHz by stages of multiplier and adder: of the network 3-3-3-1 on an ECP5, speed grade 6
# (docs/results.md).
FREQUENCIES = {(2, 3): 66.2, (3, 4): 76.5}

Clocks = np.ndarray


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
    """

    multiplier: int
    adder: int
    activations: tuple[int, ...]
    derivatives: tuple[int, ...]
    depth: int
    carry_path: int

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
            depth=reduction_depth(design.processing_elements),
            carry_path=len(reduction_blocks(design.processing_elements)),
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
    start : clock of the first issue.
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
    start: int = 0

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
        """`times`, which count from the first slot, in clocks of the iteration."""
        return times + (self.start + self.issued)


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The program of one iteration.

    Members
    -------
    design : what it is for.
    latencies : that it was made with, clocks.
    operations : in the order of their issue.
    interval : clocks from one sample's start to the next one's, if the next has been loaded.
    finish : clocks from a sample's start to the end of all that it causes.
    """

    design: Design
    latencies: Latencies
    operations: tuple[Operation, ...]
    interval: int
    finish: int

    @property
    def load_clocks(self) -> int:
        """Clocks from the start of a sample until the next is loaded, if it waits in the buffer."""
        return self.design.record_words + LOAD_LATENCY

    @property
    def overhang(self) -> int:
        """Clocks that the last sample's writes take longer than its interval and the overhead."""
        return max(0, self.finish - self.interval - RUN_OVERHEAD)

    @property
    def clocks_per_iteration(self) -> int:
        """Clocks from one sample to the next while the buffer has samples."""
        return max(self.interval, self.load_clocks)

    @property
    def multiply_add_busy(self) -> float:
        """Useful multiply-adds for every PE and clock."""
        capacity = self.design.processing_elements * self.clocks_per_iteration
        return self.design.useful_multiply_adds / capacity


def _pass(design: Design, layer: Layer, unit: str, lat: Latencies) -> Operation:
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
        period = max(length, 1 + lat.carry_path * lat.adder)
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
    )


def _results(
    layer: Layer, operation: str, slots: Clocks, sums: Accumulation | None, lat: Latencies
) -> Clocks:
    """When each result is at the array's output, from the first slot."""
    if operation == REDUCE:
        return slots[-1] + lat.root
    if operation == UPDATE:
        return np.empty(0, int)
    ready = slots[:, -1] + lat.product + sums.ready
    element = np.arange(layer.spread)
    fold, pe = np.divmod(element, layer.processing_elements)
    return ready[fold] + pe


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
        slots = np.arange(3)[:, None] * period + np.arange(length)
        used = _adder_clocks(slots, sums, lat)
        if len(np.unique(used)) == len(used):
            return period
        period += 1


class _Times:
    """Clocks of one iteration in which something is used, and when what was computed arrives."""

    def __init__(self, design: Design, lat: Latencies) -> None:
        self.design = design
        self.lat = lat
        self.operations: list[Operation] = []
        self.used: dict[str, np.ndarray] = {}
        zero = np.zeros(design.layers[0], int)
        self.activations: dict[int, Clocks] = {0: zero}
        self.derivatives: dict[int, Clocks] = {}
        self.deltas: dict[int, Clocks] = {}

    def claims(self, op: Operation) -> dict[str, Clocks]:
        """What `op` uses, from its first slot."""
        lat = self.lat
        last_layer = op.layer.number == len(self.design.layers) - 1
        found = {
            "issue": np.arange(op.clocks) - op.issued,
            "slot": op.slots.ravel(),
            "result": op.results,
        }
        if op.operation == REDUCE:
            levels = np.arange(lat.depth)[:, None] * lat.adder
            found["tree"] = np.unique(op.slots.ravel() + lat.product + levels)
        elif op.operation == ACCUMULATE:
            found["adder"] = _adder_clocks(op.slots, op.sums, lat)
        else:
            found["adder"] = op.slots.ravel() + lat.product
        if op.unit == FORWARD and not last_layer:
            found["vector"] = activations = op.results + lat.activations[op.layer.number - 1]
            self._claim_derivatives(found, activations, op.layer.number)
        elif op.unit == FORWARD:
            found["unit adder"] = op.results + lat.activations[-1]
            found["vector"] = found["unit adder"] + lat.adder
        elif op.unit == BACKPROPAGATION:
            found["vector"] = op.results + lat.multiplier
            found["unit multiplier"] = op.results
        if op.unit == FORWARD and op.layer.number == 1 and self.design.input_deltas:
            # The inputs' derivatives are made while the first fold broadcasts the inputs.
            self._claim_derivatives(found, op.slots[0, 1:] + 1, op.layer.number)
        if op.layer.mapping == "column" and op.unit == FORWARD:
            found["bias"] = op.slots[0] + lat.carry - 1
        if op.layer.mapping == "column" and op.unit == GRADIENT_DESCENT:
            found["bias"] = op.slots[0]
        return found

    def _claim_derivatives(
        self, found: dict[str, Clocks], activations: Clocks, number: int
    ) -> None:
        """What the derivatives of activations that come in these clocks use, of layer `number`."""
        kind = DERIVATIVES[self.design.activations[number - 1]]
        adder = multiplier = np.empty(0, int)
        if kind == A_TIMES_COMPLEMENT:
            adder, multiplier = activations, activations + self.lat.adder
        elif kind == COMPLEMENT_OF_SQUARE:
            adder, multiplier = activations + self.lat.multiplier, activations
        for name, clocks in (("unit adder", adder), ("unit multiplier", multiplier)):
            found[name] = np.concatenate([found.get(name, np.empty(0, int)), clocks])

    def ready(self, op: Operation) -> int:
        """First slot for which all operands are there in time."""
        layer, lat = op.layer, self.lat
        inputs = self.activations[layer.number - 1]
        deltas = self.deltas.get(layer.number)
        row = layer.mapping == "row"
        if op.unit == FORWARD:
            needs = [_broadcast(inputs, op, 1)] if row else [_local(inputs, op)]
        elif op.unit == BACKPROPAGATION:
            needs = [_local(deltas, op)] if row else [_broadcast(deltas, op, 0)]
            # The derivative is read the clock before the result arrives.
            needs.append(self.derivatives[layer.number - 1] + 2 - op.results)
        elif row:
            needs = [_broadcast(inputs, op, 1) + lat.multiplier, _local(deltas, op)]
        else:
            needs = [_broadcast(deltas, op, 0) + lat.multiplier, _local(inputs, op)]
        return max(op.issued, *(int(need.max()) for need in needs))

    def place(self, op: Operation) -> Operation:
        """Put `op` at the first clock that suits it."""
        claims = self.claims(op)
        first = self.ready(op)
        while True:
            first = self._after_issues(op, first)
            if self._free(claims, first):
                break
            first += 1
        for name, clocks in claims.items():
            self._use(name, clocks + first)
        op = dataclasses.replace(op, start=first - op.issued)
        self.operations.append(op)
        self._arrive(op)
        return op

    def _after_issues(self, op: Operation, first: int) -> int:
        """First slot from `first` on with which no other operation is being issued meanwhile."""
        for other in sorted(self.operations, key=lambda other: other.start):
            start = first - op.issued
            if start < other.start + other.clocks and other.start < start + op.clocks:
                first = other.start + other.clocks + op.issued
        return first

    def _use(self, name: str, clocks: Clocks) -> None:
        """Note that in `clocks` something is used."""
        used = self.used.get(name, np.zeros(0, bool))
        missing = int(clocks.max(initial=0)) + 1 - len(used)
        if missing > 0:
            used = np.concatenate([used, np.zeros(missing, bool)])
        used[clocks] = True
        self.used[name] = used

    def _free(self, claims: dict[str, Clocks], first: int) -> bool:
        for name, clocks in claims.items():
            for other in _EXCLUDES.get(name, (name,)):
                used = self.used.get(other)
                if used is not None and used[(at := clocks + first)[at < len(used)]].any():
                    return False
        return True

    def _arrive(self, op: Operation) -> None:
        lat, number = self.lat, op.layer.number
        results = op.at(op.results)
        if op.unit == FORWARD:
            activations = results + lat.activations[number - 1]
            self.activations[number] = activations
            if number == len(self.design.layers) - 1:
                self.deltas[number] = activations + lat.adder
            else:
                self.derivatives[number] = activations + lat.derivatives[number - 1]
            if number == 1 and self.design.input_deltas:
                # The inputs' derivatives are made while the first layer broadcasts the inputs.
                inputs = op.at(op.slots[0, 1:]) + 1
                self.derivatives[0] = inputs + lat.derivatives[0]
        elif op.unit == BACKPROPAGATION:
            self.deltas[number - 1] = results + lat.multiplier


def _computed(name: str) -> bool:
    """Whether the derivative of an activation function takes a multiplication and an addition."""
    return DERIVATIVES[name] in (A_TIMES_COMPLEMENT, COMPLEMENT_OF_SQUARE)


# UPDATE and ACCUMULATE use every adder at once, REDUCE a level of them after the other.
_EXCLUDES = {"adder": ("adder", "tree"), "tree": ("adder",)}


def _broadcast(arrival: Clocks, op: Operation, constants: int) -> Clocks:
    """First slots at which broadcast elements, behind `constants` ones, are in time."""
    elements = op.slots.reshape(op.layer.folds, -1)[0, constants:] if constants else op.slots[0]
    return arrival - elements


def _local(arrival: Clocks, op: Operation) -> Clocks:
    """First slots at which elements that are spread over the PEs are in time for their fold."""
    fold = np.arange(len(arrival)) // op.layer.processing_elements
    return arrival - op.slots[fold, 0]


def _hazards(times: _Times) -> Iterable[int]:
    """Least intervals at which the next sample neither reads too early nor writes too early."""
    lat, design = times.lat, times.design
    ops = {(op.unit, op.layer.number): op for op in times.operations}
    top = len(design.layers) - 1
    for layer in design.weight_layers:
        forward = ops[FORWARD, layer.number]
        update = ops[GRADIENT_DESCENT, layer.number]
        read, write = forward.at(forward.slots), update.at(update.slots) + lat.sum
        yield int((write + 1 - read).max())
        if layer.mapping == "column":
            read = read[0] + lat.carry - 1
            write = update.at(update.slots[0]) + 1 + lat.adder
            yield int((write + 1 - read).max())
        yield from _vector_hazards(times, ops, layer)
        back = ops.get((BACKPROPAGATION, layer.number))
        if back is not None:
            # Derivatives are read the clock before the results arrive.
            read, write = back.at(back.results) - 1, times.derivatives[layer.number - 1]
            yield int((read + 1 - write).max())
    first = ops[GRADIENT_DESCENT, 1]
    yield int(first.at(first.slots).max()) + 1 - LOAD_LATENCY
    labels = ops[FORWARD, top]
    yield int(labels.at(labels.results).max()) + lat.activations[-1] - LOAD_LATENCY


def _vector_hazards(times: _Times, ops: dict, layer: Layer) -> Iterable[int]:
    """Activations and deltas must have been read when the next sample's overwrite them."""
    row = layer.mapping == "row"
    update = ops[GRADIENT_DESCENT, layer.number]
    readers = [update, ops.get((BACKPROPAGATION, layer.number))]
    for op in filter(None, readers):
        delta = times.deltas[layer.number]
        if row:
            yield int((_last_local(op, len(delta)) + 1 - delta).max())
        else:
            yield int((op.at(op.slots[-1]) - op.issued + 1 - delta).max())
    if layer.number > 1:
        activation = times.activations[layer.number - 1]
        if row:
            yield int((update.at(update.slots[-1, 1:]) - update.issued + 1 - activation).max())
        else:
            yield int((_last_local(update, len(activation)) + 1 - activation).max())


def _last_local(op: Operation, size: int) -> Clocks:
    fold = np.arange(size) // op.layer.processing_elements
    return op.at(op.slots[fold, -1])


def _interval(times: _Times) -> int:
    """Least clocks between the starts of two samples."""
    return max(len(times.used["issue"]), *_hazards(times), *_turns(times))


def _turns(times: _Times) -> Iterable[int]:
    """Least intervals at which one sample is done with whatever the next one uses.

    That holds however long the next one has to be waited for.
    """
    for name, used in times.used.items():
        for other in _EXCLUDES.get(name, (name,)):
            if len(following := np.flatnonzero(times.used.get(other, np.zeros(0, bool)))):
                yield len(used) - int(following[0])


def _finish(times: _Times) -> int:
    """Clock after the last write that one sample causes."""
    lat = times.lat
    ends = [
        int(op.at(op.slots).max()) + lat.sum for op in times.operations if op.operation == UPDATE
    ]
    ends += [int(clocks.max()) for clocks in times.deltas.values()]
    return max(ends) + 1


def make_schedule(design: Design) -> Schedule:
    """The program of `design`, deterministic.

    The chain of forward passes and backpropagation is placed first. The weight updates follow,
    the first layer's first (the next sample waits for it) or last, whichever is shorter.
    """
    lat = Latencies.of(design)
    numbers = range(1, len(design.layers))
    bottom = 1 if design.input_deltas else 2
    chain = [(FORWARD, n) for n in numbers]
    chain += [(BACKPROPAGATION, n) for n in reversed(numbers) if n >= bottom]
    candidates = []
    for updates in (list(numbers), list(reversed(numbers))):
        times = _Times(design, lat)
        for unit, number in chain + [(GRADIENT_DESCENT, n) for n in updates]:
            times.place(_pass(design, design.weight_layers[number - 1], unit, lat))
        candidates.append((_interval(times), _finish(times), times.operations))
    interval, finish, operations = min(candidates, key=lambda found: found[:2])
    return Schedule(
        design=design,
        latencies=lat,
        operations=tuple(sorted(operations, key=lambda op: op.start)),
        interval=interval,
        finish=finish,
    )


def design_for(
    layers: tuple[int, ...],
    processing_elements: int | None = None,
    **parameters: object,
) -> Design:
    """The design with which an iteration takes least time.

    What `parameters` (of Design) leave open is chosen: the mapping, for the fewest clocks, and the
    stages of multiplier and adder, for clocks / frequency (`FREQUENCIES`): small networks are all
    latency, large ones all frequency. `processing_elements` defaults to the widest layer, inputs
    apart. Raises InputError.
    """
    pes = max(layers[1:]) if processing_elements is None else processing_elements
    given = {name: value for name, value in parameters.items() if value is not None}
    choices: list[dict[str, object]] = [{}]
    if "multiplier_stages" not in given and "adder_stages" not in given:
        choices = [{"multiplier_stages": m, "adder_stages": a} for m, a in FREQUENCIES]
    designs = [_mapped(layers, pes, given | choice) for choice in choices]
    return min(designs, key=_iteration_time)


def _iteration_time(design: Design) -> float:
    """Of an iteration, in microseconds, as far as stages decide it."""
    stages = design.multiplier_stages, design.adder_stages
    return make_schedule(design).clocks_per_iteration / FREQUENCIES.get(stages, 1.0)


def _mapped(layers: tuple[int, ...], pes: int, parameters: dict[str, object]) -> Design:
    if "mapping" in parameters:
        return Design(layers=layers, processing_elements=pes, **parameters)
    return _best_design(layers, pes, tuple(sorted(parameters.items())))


@functools.cache
def _best_design(layers: tuple[int, ...], pes: int, parameters: tuple) -> Design:
    count = len(layers) - 1

    def make(mapping: tuple[str, ...]) -> Design:
        return Design(layers=layers, processing_elements=pes, mapping=mapping, **dict(parameters))

    def clocks(mapping: tuple[str, ...]) -> int:
        try:
            return make_schedule(make(mapping)).clocks_per_iteration
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
