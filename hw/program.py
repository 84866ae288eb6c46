"""The static program of an iteration: which operation the array starts in which clock.

Every latency is known, so every operation gets its clock here, and the machine needs no handshakes
between its units: a sequencer walks the program. A new iteration, with a new sample, begins every
`interval` clocks; operations that a sample still needs then are issued in the bubbles of the
iterations that follow (modulo scheduling: Rau and Glaeser, 1981). An operation goes to the first
clock at which its operands have arrived and nothing that it uses is in use, in its own iteration
or in any other.

A sample that comes late holds up the iteration that begins with it, and so the operations of the
samples before that are issued in it. Whatever is under way goes on. The sequencer then waits at
least until that is done (`tail`): from then on no clock is shared with it, however late the sample.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np

from hw.design import Design
from hw.operation import (
    BACKPROPAGATION,
    FORWARD,
    GRADIENT_DESCENT,
    Claims,
    Clocks,
    Latencies,
    Operation,
    claims,
    make_pass,
)

# Clocks from the start of an iteration until the loader can write the first word of the next
# sample but one.
LOAD_LATENCY = 2

# UPDATE and ACCUMULATE use every adder at once, REDUCE a level of them after the other.
_EXCLUDES = {"adder": ("adder", "tree"), "tree": ("adder",)}

# Samples by which a group of layers may be ahead of the one above, whose array so never waits.
_MOST_AHEAD = 3

# Intervals are tried up to so many times the least one. (Early operations find their places far
# below: in the end a sample shares the array with no other.)
_MOST_GROWTH = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """The operations of one sample, and how those of successive samples interleave.

    Members
    -------
    operations : in the order of their issue in an iteration.
    interval : clocks from the start of an iteration to the start of the next.
    drain : iterations without a new sample at the end of a batch, until its weights are there.
    tail : clocks after an iteration's interval for which its operations go on.
    finish : clocks from a sample's start to the end of all that it causes.
    copies : of the memories of vectors, so that no sample overwrites what an older one needs.
    input_copies : of the memories of inputs and labels, the sample that is loaded included.
    holds : iterations from that in which a sample begins to the first after which its inputs are
        wanted no more.
    """

    operations: tuple[Operation, ...]
    interval: int
    drain: int
    tail: int
    finish: int
    copies: int
    input_copies: int
    holds: int

    @property
    def behind(self) -> int:
        """Iterations for which a sample goes on after its first one."""
        return max(op.behind for op in self.operations)

    @property
    def results_under_way(self) -> int:
        """Most operations at once that have been issued and still have results to come."""
        spans = [
            (self.clock(op), self.clock(op) + op.issued + int(op.results.max()))
            for op in self.operations
            if len(op.results)
        ]
        return max(
            sum(
                (last - begin) // self.interval - (first - 1 - begin) // self.interval
                for first, last in spans
            )
            for begin, _ in spans
        )

    def clock(self, op: Operation) -> int:
        """Clock of its iteration in which `op` is first issued."""
        return op.start - op.behind * self.interval

    # The machine's cycles in clocks, see hw.operation.

    @functools.cached_property
    def clocks(self) -> int:
        """Clocks of an iteration, if all those around it begin with a sample too."""
        return self._clocks(1, 1)

    def clocks_until(self, cycle: int) -> int:
        """Clocks from the start of such an iteration to a cycle, which may be behind its end."""
        whole, rest = divmod(cycle, self.interval)
        return whole * self.clocks + int(self._durations(1, 1)[:rest].sum())

    def clocks_per_sample(self, batch: int) -> float:
        """Clocks for each sample of full batches of `batch`."""
        # What is at both ends of a batch is the same for all that are longer than this.
        few = min(batch, 2 * self.behind + 4)
        clocks = self._clocks(few, few + self.drain)
        return (clocks + (batch - few) * self.clocks) / batch

    def _clocks(self, samples: int, iterations: int) -> int:
        return int(self._durations(samples, iterations).sum())

    def _durations(self, samples: int, iterations: int) -> Clocks:
        """Clocks of each cycle of `iterations` iterations, of which the first `samples` begin with
        a sample; they repeat.
        """
        found = np.ones(iterations * self.interval, int)
        for op in self.operations:
            cycles, clocks = op.waits
            for sample in range(samples):
                at = (op.at(cycles) + sample * self.interval) % len(found)
                np.maximum.at(found, at, clocks)
        return found


class _Sample:
    """When what one sample computes arrives, in clocks from the sample's start.

    What comes from other groups is there when the iteration begins that has been waiting for it:
    inputs at the start, and their derivatives as much later as they take to make; deltas `lag`
    iterations after.
    """

    def __init__(self, design: Design, lat: Latencies, interval: int) -> None:
        self.design = design
        self.lat = lat
        self.interval = interval
        self.lagging = design.lag * interval
        self.operations: list[Operation] = []
        zero = np.zeros(design.layers[0], int)
        self.activations: dict[int, Clocks] = {0: zero}
        self.derivatives: dict[int, Clocks] = {}
        if not design.first:
            self.derivatives[0] = zero + lat.multiplier + lat.adder
        self.deltas: dict[int, Clocks] = {}
        if not design.last:
            top = len(design.layers) - 1
            self.deltas[top] = np.full(design.weight_layers[-1].fold_length, self.lagging)

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
        if op.unit == GRADIENT_DESCENT:
            needs += self._after_reading(op)
            if self.design.lag:
                needs += self._after_forward(op)
        return max(op.issued, *(int(need.max()) for need in needs))

    def _after_reading(self, op: Operation) -> list[Clocks]:
        """Backpropagation must have read the weights that UPDATE overwrites.

        A bank reads before it writes; one memory for all weights has then begun to write.
        """
        return [
            back.at(back.slots) - op.slots[:, back.skip :] - self.lat.sum + self.design.unified
            for back in self.operations
            if back.unit == BACKPROPAGATION and back.layer is op.layer
        ]

    def _after_forward(self, op: Operation) -> list[Clocks]:
        """The forward pass of this iteration's sample must have read them, too."""
        forward, layer = self.operation(FORWARD, op.layer.number), op.layer
        needs = [forward.at(forward.slots) + self.lagging - op.slots - self.lat.sum]
        if layer.mapping == "column":
            read = forward.at(forward.slots[0]) + self.lat.carry_address
            needs.append(read + self.lagging - op.slots[0] - 1 - self.lat.adder)
        return needs

    def add(self, op: Operation) -> None:
        """Note what arrives when `op`, which has its place, is done."""
        lat, number = self.lat, op.layer.number
        self.operations.append(op)
        results = op.at(op.results)
        if op.unit == FORWARD:
            activations = results + lat.activations[number - 1]
            self.activations[number] = activations
            top = number == len(self.design.layers) - 1
            if top and self.design.last:
                self.deltas[number] = activations + lat.adder
            elif not top:
                self.derivatives[number] = activations + lat.derivatives[number - 1]
            if number == 1 and self.design.input_deltas:
                inputs = op.at(op.slots[0, 1:]) + 1
                self.derivatives[0] = inputs + lat.derivatives[0]
        elif op.unit == BACKPROPAGATION:
            self.deltas[number - 1] = results + lat.multiplier

    def operation(self, unit: str, number: int) -> Operation | None:
        """The operation of `unit` over layer `number`, if there is one."""
        found = (op for op in self.operations if op.unit == unit and op.layer.number == number)
        return next(found, None)

    # Least clocks until another sample may do the same, by what would else go wrong.

    def weight_hazards(self) -> Iterable[int]:
        """Until another sample's passes may begin to read new weights."""
        lat = self.lat
        for layer in self.design.weight_layers:
            forward = self.operation(FORWARD, layer.number)
            update = self.operation(GRADIENT_DESCENT, layer.number)
            if update is None:
                continue
            read, write = forward.at(forward.slots), update.at(update.slots) + lat.sum
            yield int((write + 1 - read).max())
            if layer.mapping == "column":
                read = forward.at(forward.slots[0]) + lat.carry_address
                write = update.at(update.slots[0]) + 1 + lat.adder
                yield int((write + 1 - read).max())
            back = self.operation(BACKPROPAGATION, layer.number)
            if self.design.lag and back is not None:
                # Its iteration is as much later as that of the update.
                read, write = back.at(back.slots), update.at(update.slots) + lat.sum
                yield int((write[:, back.skip :] + 1 - read).max()) + self.lagging

    def update_hazards(self) -> Iterable[int]:
        """Until the next sample may add to the weights in the making."""
        if self.design.batch > 1:
            yield self.lat.sum + 1

    def vector_hazards(self) -> Iterable[int]:
        """Until activations, deltas and derivatives may be overwritten."""
        for layer in self.design.weight_layers:
            number = layer.number
            update = self.operation(GRADIENT_DESCENT, number)
            back = self.operation(BACKPROPAGATION, number)
            delta = self.deltas.get(number)
            for op in filter(None, (update, back)):
                yield from _reads(op, delta, spread=layer.mapping == "row", skip=0)
            if number > 1:
                written = self.activations[number - 1]
                for op in filter(None, (self.operation(FORWARD, number), update)):
                    yield from _reads(op, written, spread=layer.mapping == "column", skip=1)
            if back is not None:
                # Derivatives are read the clock before the results arrive.
                read = back.at(back.results) - 1
                yield int((read + 1 - self.derivatives[number - 1]).max())

    def input_hazards(self) -> Iterable[int]:
        """Until the loader may overwrite inputs and labels."""
        for _, wanted in self._input_reads():
            yield wanted - LOAD_LATENCY
        if self.design.last:
            top = self.operation(FORWARD, len(self.design.layers) - 1)
            yield int(top.at(top.results).max()) + self.lat.activations[-1] - LOAD_LATENCY

    def holds(self) -> int:
        """See Program."""
        return max(
            op.behind + max(0, -((op.behind * self.interval - wanted) // self.interval))
            for op, wanted in self._input_reads()
        )

    def _input_reads(self) -> Iterable[tuple[Operation, int]]:
        """Operations that use the inputs, and when each has."""
        for op in self.operations:
            if op.layer.number == 1 and op.unit != BACKPROPAGATION:
                yield op, int(op.at(op.slots).max()) + 1
            elif op.layer.number == 1 and not self.design.first:
                # Of the derivatives that came with them.
                yield op, int(op.at(op.results).max())


def _reads(op: Operation, written: Clocks, *, spread: bool, skip: int) -> Iterable[int]:
    """Clocks from writing to after reading a vector, which is spread over the PEs or broadcast."""
    if spread:
        fold = np.arange(len(written)) // op.layer.processing_elements
        yield int((op.at(op.slots[fold, -1]) + 1 - written).max())
    else:
        # Of a row-mapped layer's words the first belongs to the bias.
        words = op.slots[-1, skip:] if op.layer.mapping == "row" else op.slots[-1]
        yield int((op.at(words) - op.issued + 1 - written).max())


def _broadcast(arrival: Clocks, op: Operation, constants: int) -> Clocks:
    """First slots at which broadcast elements, behind `constants` ones, are in time."""
    elements = op.slots.reshape(op.layer.folds, -1)[0, constants:] if constants else op.slots[0]
    return arrival - elements


def _local(arrival: Clocks, op: Operation) -> Clocks:
    """First slots at which elements that are spread over the PEs are in time for their fold."""
    fold = np.arange(len(arrival)) // op.layer.processing_elements
    return arrival - op.slots[fold, 0]


class _Table:
    """What is used in which clock of an iteration: the modulo reservation table."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.used: dict[str, np.ndarray] = {}
        self.vectors: list[tuple[int, int, int]] = []  # first issue, first and last result

    def place(self, op: Operation, wanted: Claims, ready: int, *, dense: bool) -> Operation | None:
        """`op` at the first clock from `ready` on that suits it; None if there is none.

        With `dense` first of all where it adjoins another operation.
        """
        starts = ready + np.arange(self.interval)
        suits = np.ones(self.interval, bool)
        for name, clocks in wanted.items():
            if len(np.unique(clocks % self.interval)) < len(clocks):
                return None
            for other in _EXCLUDES.get(name, (name,)):
                suits &= ~self._taken(other, clocks + ready)
        suits &= self._in_order(op, starts)
        if dense and (adjoining := suits & self._adjoins(op, starts)).any():
            suits = adjoining
        found = np.flatnonzero(suits)
        if not len(found):
            return None
        first = int(starts[found[0]])
        for name, clocks in wanted.items():
            used = self.used.setdefault(name, np.zeros(self.interval, bool))
            used[(clocks + first) % self.interval] = True
        start = first - op.issued
        if len(op.results):
            results = op.results + first
            self.vectors.append((start, int(results.min()), int(results.max())))
        return dataclasses.replace(op, start=start, behind=start // self.interval)

    def _taken(self, name: str, clocks: Clocks) -> np.ndarray:
        """Whether one of `clocks` is taken, for each of the shifts 0 to interval - 1."""
        taken = np.zeros(self.interval, bool)
        used = self.used.get(name)
        if used is None or not len(clocks):
            return taken
        before = np.concatenate([[0], np.cumsum(np.concatenate([used, used]))])
        for first, length in _runs(clocks):
            window = before[length : length + self.interval] > before[: self.interval]
            taken |= np.roll(window, -(first % self.interval))
        return taken

    def _adjoins(self, op: Operation, starts: Clocks) -> np.ndarray:
        """Whether the slot before the first one is taken, or that after the last one."""
        slots = self.used.get("slot", np.zeros(self.interval, bool))
        return slots[(starts - 1) % self.interval] | slots[(starts + op.clocks) % self.interval]

    def _in_order(self, op: Operation, starts: Clocks) -> np.ndarray:
        """Whether results leave the array in the order in which operations are issued."""
        suits = np.ones(len(starts), bool)
        if not len(op.results):
            return suits
        first, last = starts + int(op.results.min()), starts + int(op.results.max())
        for start, first_result, last_result in self.vectors:
            # The nearest issues of that operation before and after each start.
            shift = (starts - op.issued - start) // self.interval * self.interval
            suits &= first > last_result + shift
            suits &= last < first_result + shift + self.interval
        return suits


def _runs(clocks: Clocks) -> Iterable[tuple[int, int]]:
    """First clock and length of each run of successive clocks."""
    clocks = np.sort(clocks)
    cuts = np.flatnonzero(np.diff(clocks) != 1) + 1
    for run in np.split(clocks, cuts):
        yield int(run[0]), len(run)


def make_program(
    design: Design,
    lat: Latencies,
    *,
    training: bool,
    draining: bool,
    copies: int,
    input_copies: int,
) -> Program:
    """The program with which a sample of a full batch takes the fewest clocks.

    Parameters
    ----------
    training : with backpropagation and gradient descent; or forward passes alone.
    draining : samples of a batch overlap with old weights, and between batches the array drains;
        otherwise every sample finds the weights that the one before left.
    copies, input_copies : the most there may be, see Program.
    """
    passes = _passes(design, lat, training)
    wanted = {id(op): claims(design, op, lat) for op in passes}
    updates = [op for op in passes if op.unit == GRADIENT_DESCENT]
    chain = passes[: len(passes) - len(updates)]
    orders = [passes, [*chain, *reversed(updates)]] if updates else [passes]
    # Where a sample has to wait for the one before, being early is all.
    styles = [False, True] if draining or not training else [False]
    found = []
    for dense in styles:
        placement = _Placement(design, lat, orders, wanted, dense, draining, copies, input_copies)
        found.append(placement.search(_least(design, lat, passes, exact=not draining)))
    return min(
        filter(None, found),
        key=lambda program: (program.clocks_per_sample(design.batch), program.copies),
    )


def _least(design: Design, lat: Latencies, passes: Sequence[Operation], *, exact: bool) -> int:
    """Interval below which there is no program: for the array, the loader, the next sample."""
    least = sum(op.clocks for op in passes)
    if design.first:
        least = max(least, design.sample_words + LOAD_LATENCY)
    if exact and not design.lag:
        sample = _Sample(design, lat, 0)
        for op in passes:
            sample.add(dataclasses.replace(op, start=sample.ready(op) - op.issued))
        least = max(least, *sample.weight_hazards(), 0)
    return least


def _passes(design: Design, lat: Latencies, training: bool) -> list[Operation]:
    """The operations of a sample: the chain of forward passes and backpropagation, updates."""
    numbers = range(1, len(design.layers))
    bottom = 1 if design.propagates_to_inputs else 2
    chain = [(FORWARD, n) for n in numbers]
    if training:
        chain += [(BACKPROPAGATION, n) for n in reversed(numbers) if n >= bottom]
        # The first layer's update comes first: the next sample waits for it.
        chain += [(GRADIENT_DESCENT, n) for n in numbers]
    return [make_pass(design, design.weight_layers[n - 1], unit, lat) for unit, n in chain]


@dataclasses.dataclass(frozen=True)
class _Placement:
    """How operations are put into programs; see make_program.

    Members
    -------
    orders : in which the operations may be placed.
    wanted : claims of each, by identity.
    dense : each operation adjoins another one if it can, rather than be early: a sample takes
        longer and the array is left no bubble.
    """

    design: Design
    lat: Latencies
    orders: Sequence[Sequence[Operation]]
    wanted: dict[int, Claims]
    dense: bool
    draining: bool
    copies: int
    input_copies: int

    def search(self, least: int) -> Program | None:
        """The first interval from `least` on that works: in growing steps, then back by halves."""
        found: dict[int, Program | None] = {}

        def works(interval: int) -> bool:
            if interval not in found:
                found[interval] = self.program(interval)
            return found[interval] is not None

        fails, interval, step = least - 1, least, 1
        while not works(interval):
            if interval > _MOST_GROWTH * least:
                return None
            fails, interval, step = interval, interval + step, step + 1 + step // 4
        while interval - fails > 1:
            middle = (interval + fails) // 2
            fails, interval = (fails, middle) if works(middle) else (middle, interval)
        return found[interval]

    def program(self, interval: int) -> Program | None:
        """The better order's program of that interval; None if there is none."""
        programs = [self._ordered(order, interval) for order in self.orders]
        return min(filter(None, programs), key=lambda p: (p.copies, p.finish), default=None)

    def _ordered(self, passes: Sequence[Operation], interval: int) -> Program | None:
        table, sample, ends = _Table(interval), _Sample(self.design, self.lat, interval), []
        for op in passes:
            wanted = self.wanted[id(op)]
            placed = table.place(op, wanted, sample.ready(op), dense=self.dense)
            if placed is None:
                return None
            sample.add(placed)
            last = max(int(clocks.max(initial=0)) for clocks in wanted.values())
            last += self.lat.broadcast
            ends.append(placed.start + op.issued + last + 1 - placed.behind * interval)
        return self._checked(sample, ends, interval)

    def _checked(self, sample: _Sample, ends: list[int], interval: int) -> Program | None:
        """The program, unless some sample overwrites what another one still needs."""
        vectors, inputs = max(sample.vector_hazards(), default=0), max(sample.input_hazards())
        weights = max(sample.weight_hazards(), default=0)
        if not self.draining:
            # Forward passes are to see the updates of as many iterations before.
            weights -= sample.lagging
        holds = sample.holds()
        if (
            vectors > self.copies * interval
            or inputs > (self.input_copies - 1) * interval
            or max(sample.update_hazards(), default=0) > interval
            or (weights > interval and not self.draining)
            or (self.design.stage and not self._flows(sample))
        ):
            return None
        copies = max(2, 1 - (-inputs // interval)) if self.design.first else holds + _MOST_AHEAD
        order = sorted(sample.operations, key=lambda op: op.start - op.behind * interval)
        behind = max(op.behind for op in order)
        return Program(
            operations=tuple(order),
            interval=interval,
            drain=max(0, -(-weights // interval) - 1),
            tail=max(0, max(ends) - interval),
            finish=behind * interval + max(ends),
            copies=power_of_two(-(-vectors // interval)),
            input_copies=power_of_two(copies),
            holds=holds,
        )

    def _flows(self, sample: _Sample) -> bool:
        """Whether groups with such programs never wait for each other.

        An iteration of the group below waits for the deltas of the sample `lag` before. The
        iteration that makes them here must not itself be waiting for what that one puts out. And
        outputs must come before as many samples have begun as the group above has room for.
        """
        stage = self.design.stage
        forward = sample.operation(FORWARD, len(self.design.layers) - 1)
        if sample.operation(GRADIENT_DESCENT, 1) is None:
            return self.design.last or forward.behind < _MOST_AHEAD
        back = sample.operation(BACKPROPAGATION, 1)
        # So much greater is the lag of the group below.
        more = 2 * (self.design.batch if stage.delayed else 1)
        return (self.design.last or forward.behind == 0) and (
            self.design.first or back.behind < stage.lag + more
        )


def power_of_two(count: int) -> int:
    """The least power of two from `count` on."""
    return 1 << max(0, count - 1).bit_length()
