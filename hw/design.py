"""The description of a machine, from which everything else is derived.

The Verilog, the schedule, the golden model's order of operations and the reports all start from
one frozen `Design`. It is validated where it is made.
"""

import dataclasses
import functools
import itertools
import math
from typing import Literal

from hw.errors import InputError

Mapping = Literal["row", "column"]
Subnormals = Literal["flush", "ieee"]
SampleFormat = Literal["fp32", "bytes"]
MemoryOrganisation = Literal["distributed", "unified"]

MAPPINGS = ("row", "column")
SAMPLE_FORMATS = ("fp32", "bytes")
ACTIVATIONS = ("sigmoid", "sigmoid-exact", "tanh", "relu", "identity")
MEMORIES = ("distributed", "unified")

MOST_PROCESSING_ELEMENTS = 4096

_MOST_DIGITS = 9  # of a layer size; Python itself refuses some thousands

# Of a weight bank: 4 MB, far beyond what fits beside an ALU.
_MOST_WORDS = 1 << 20


def parse_topology(text: str) -> tuple[int, ...]:
    """Layer sizes of a topology such as "3-3-3-1": inputs, hidden layers, outputs.

    Raises InputError unless there are at least two sizes, each a whole number of 1 or more.
    """
    sizes = text.split("-")
    if not all(size.isascii() and size.isdigit() for size in sizes):
        raise InputError(f"a topology must be whole numbers joined by dashes, not {text!r}")
    if (digits := max(map(len, sizes))) > _MOST_DIGITS:
        raise InputError(f"a layer size must have at most {_MOST_DIGITS} digits, not {digits}")
    layers = tuple(int(size) for size in sizes)
    _check_layers(layers)
    return layers


def _check_layers(layers: tuple[int, ...]) -> None:
    if len(layers) < 2:
        text = "-".join(map(str, layers))
        raise InputError(
            f"a topology must have at least 2 sizes (inputs and outputs), not {text!r}"
        )
    for size in layers:
        if size < 1:
            raise InputError(f"a layer size must be 1 or more, not {size}")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number, not {value!r}")
    if not low <= value <= high:
        raise InputError(f"{name} must be {low} to {high}, not {value}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of weights, and where it lies in the array.

    A row-mapped layer keeps neuron n on PE n mod P, fold n div P; its bias is the first word of
    each fold, for an input that is constantly 1. A column-mapped layer keeps input i on PE i mod P,
    fold i div P; its biases lie in the bias bank. Every pass sweeps the layer's words in the order
    of their addresses: fold by fold. Where an array has lanes, each is such an array of P PEs, with
    its share of the neurons.
    """

    number: int  #: 1 for the layer next to the inputs
    inputs: int
    outputs: int
    mapping: Mapping
    processing_elements: int  #: P, of a lane
    base: int  #: first word of the layer in every PE's weight bank
    bias_base: int  #: first word in the bias bank (column-mapped layers only)
    lanes: int = 1

    @property
    def spread(self) -> int:
        """How many neurons (row-mapped) or inputs (column-mapped) are spread over the PEs."""
        return self.outputs if self.mapping == "row" else self.inputs

    @property
    def folds(self) -> int:
        """How many times the layer is folded onto the PEs."""
        return -(-self.spread // self.processing_elements)

    @property
    def fold_length(self) -> int:
        """Words of one fold in each bank."""
        return self.inputs + 1 if self.mapping == "row" else self.outputs // self.lanes

    @property
    def words(self) -> int:
        """Words of the layer in each bank."""
        return self.folds * self.fold_length

    @property
    def last_active(self) -> int:
        """PEs that hold something in the last fold."""
        return self.spread - (self.folds - 1) * self.processing_elements

    def weight_address(self, neuron: int, source: int) -> tuple[int, int]:
        """PE and word of the weight from input `source` to `neuron`."""
        p = self.processing_elements
        if self.mapping == "row":
            return neuron % p, self.base + neuron // p * self.fold_length + 1 + source
        lane, place = divmod(neuron, self.fold_length)
        return lane * p + source % p, self.base + source // p * self.fold_length + place

    def bias_address(self, neuron: int) -> tuple[int, int]:
        """Bank and word of the bias of `neuron`; the bias banks follow on those of the PEs."""
        p = self.processing_elements
        if self.mapping == "row":
            return neuron % p, self.base + neuron // p * self.fold_length
        lane, place = divmod(neuron, self.fold_length)
        return self.lanes * p + lane, self.bias_base + place


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorPlaces:
    """Where the vectors of one sample lie.

    Members
    -------
    first : first address of ("activation", l), the output of layer l = 1 ... L - 1, and of
        ("delta", l), l = 1 ... L: in the register files for local ones, else in the vector memory.
        Deltas that come from a group above have a memory of their own.
    register_words : words of each PE's register file.
    memory_words : words of the vector memory.
    """

    first: dict[tuple[str, int], int]
    register_words: int
    memory_words: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Where an array with its layers, a group, stands among those that share a network.

    See hw.groups. A sample's activations go up from group to group, its deltas come down.

    Members
    -------
    number, groups : which one, from 0, of how many.
    below : activation function of the layer below the group; "" for the first group.
    outputs : of the network.
    lag : iterations from a sample's forward passes in this group to its backward passes.
    delayed : forward passes see the updates of all samples whose turn was in iterations before,
        and no later one; otherwise those of all batches before the sample's own.
    """

    number: int
    groups: int
    below: str
    outputs: int
    lag: int
    delayed: bool

    @property
    def last(self) -> bool:
        """Whether it is the last group, which has the labels."""
        return self.number == self.groups - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """What to build.

    Parameters
    ----------
    layers : sizes of inputs, hidden layers and outputs.
    processing_elements : P, the number of neuron ALUs in the array.
    mapping : "row" or "column" for each layer of weights.
    activation : activation function: one name for all layers, or one for each, joined by commas.
    subnormals : "flush" (they become zero of the same sign) or "ieee".
    multiplier_stages, adder_stages : pipeline registers of the FP32 units, clocks.
    table_entries : entries of the tables of sigmoid and tanh, a power of two.
    table_degree : 0 looks the function up, 1 or 2 interpolates it by polynomials of that degree.
    input_deltas : also propagate the error back to the inputs, as if they were the outputs of a
        layer with the first layer's activation function (the first layer must then be row-mapped).
        The deltas leave by a port.
    buffer_vectors : training vectors that the buffer holds, a power of two.
    buffer_parts : in how many parts the buffer is refilled from SDRAM, a power of two.
    sample_format : "fp32", or "bytes": each input is a byte, and stands for a 256th of its value.
    batch : largest batch size of a run.
    seeded_weights : the machine can also make its initial weights itself, from a seed.
    memory : "distributed" (each PE has a weight bank) or "unified" (one memory, with the ports of
        one bank, holds the weights of all).
    loss : the machine also puts out the loss of each sample, the sum of its squared output errors.
    broadcast_stages : registers on the way of whatever goes to all PEs, clocks: an array that fills
        an FPGA cannot be crossed in one.
    stage : where the array stands among several; None if it has the network to itself.
    lanes : equal parts of the array, each with an adder tree and its share of the neurons: the
        first group of several can have them, if it has one layer.

    Raises InputError, naming the constraint and the value.
    """

    layers: tuple[int, ...]
    processing_elements: int
    mapping: tuple[Mapping, ...]
    activation: str = "sigmoid"
    subnormals: Subnormals = "flush"
    multiplier_stages: int = 2
    adder_stages: int = 3
    table_entries: int = 2048
    table_degree: int = 0
    input_deltas: bool = False
    buffer_vectors: int = 256
    buffer_parts: int = 4
    sample_format: SampleFormat = "fp32"
    batch: int = 1
    seeded_weights: bool = False
    memory: MemoryOrganisation = "distributed"
    loss: bool = False
    broadcast_stages: int = 0
    stage: Stage | None = None
    lanes: int = 1

    def __post_init__(self) -> None:
        _check_layers(self.layers)
        _check_range("processing elements", self.processing_elements, 1, MOST_PROCESSING_ELEMENTS)
        _check_range("multiplier stages", self.multiplier_stages, 2, 6)
        _check_range("adder stages", self.adder_stages, 2, 8)
        _check_range("table entries", self.table_entries, 16, 65536)
        _check_range("table degree", self.table_degree, 0, 2)
        _check_range("buffer vectors", self.buffer_vectors, 2, 65536)
        _check_range("buffer parts", self.buffer_parts, 1, 65536)
        _check_range("batch", self.batch, 1, 65536)
        _check_range("broadcast stages", self.broadcast_stages, 0, 8)
        for name in ("table_entries", "buffer_vectors", "buffer_parts"):
            if (value := getattr(self, name)).bit_count() != 1:
                raise InputError(f"{name.replace('_', ' ')} must be a power of two, not {value}")
        if len(self.mapping) != len(self.layers) - 1:
            raise InputError(
                f"a mapping is needed for each of {len(self.layers) - 1} layers of weights, "
                f"not {len(self.mapping)}"
            )
        if len(self.activations) != len(self.layers) - 1:
            raise InputError(
                f"an activation is needed for each of {len(self.layers) - 1} layers of weights, "
                f"or one for all, not {len(self.activations)}"
            )
        for name, value, known in (
            *(("mapping", mapping, MAPPINGS) for mapping in self.mapping),
            *(("activation", name, ACTIVATIONS) for name in self.activations),
            ("subnormals", self.subnormals, ("flush", "ieee")),
            ("sample format", self.sample_format, SAMPLE_FORMATS),
            ("memory", self.memory, MEMORIES),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self._check_lanes()
        _check_range("words of each weight bank", self.bank_words, 1, _MOST_WORDS)
        if self.broadcast_stages and self.unified:
            raise InputError(
                f"one memory for all weights takes no broadcast stages, not {self.broadcast_stages}"
            )
        if self.input_deltas and self.mapping[0] != "row":
            raise InputError("input deltas need a row-mapped first layer, not 'column'")
        if not self.last and self.mapping[-1] != "column":
            raise InputError(
                "the last layer of a group that is not the last must be column-mapped, not "
                f"{self.mapping[-1]!r}"
            )

    def _check_lanes(self) -> None:
        _check_range("lanes", self.lanes, 1, self.processing_elements)
        if self.lanes == 1:
            return
        if not self.first or self.last or len(self.layers) != 2:
            raise InputError(
                f"lanes must be 1 but in the first group of several, with one layer, "
                f"not {self.lanes}"
            )
        for name, value in (("outputs", self.layers[-1]), ("PEs", self.processing_elements)):
            if value % self.lanes:
                raise InputError(f"lanes must divide the {value} {name}, not {self.lanes}")

    @property
    def first(self) -> bool:
        """Whether the samples come to this array, and not activations of a group below."""
        return self.stage is None or not self.stage.below

    @property
    def last(self) -> bool:
        """Whether the outputs are the network's, and not handed on to a group above."""
        return self.stage is None or self.stage.last

    @property
    def labels(self) -> int:
        """Labels of a sample: the outputs of the network."""
        return self.layers[-1] if self.stage is None else self.stage.outputs

    @property
    def lag(self) -> int:
        """Iterations from a sample's forward passes to its backward passes."""
        return 0 if self.stage is None else self.stage.lag

    @property
    def propagates_to_inputs(self) -> bool:
        """Whether backpropagation goes down to the inputs of the first layer."""
        return self.input_deltas or not self.first

    @property
    def activations(self) -> tuple[str, ...]:
        """Activation function of each layer of weights."""
        names = tuple(self.activation.split(","))
        return names * (len(self.layers) - 1) if len(names) == 1 else names

    @property
    def unified(self) -> bool:
        """Whether one memory holds all weights."""
        return self.memory == "unified"

    @property
    def topology(self) -> str:
        """Layer sizes joined by dashes."""
        return "-".join(map(str, self.layers))

    @property
    def name(self) -> str:
        """Name of the generated module and its files: layer sizes, PEs, and what is not default.

        The mapping is not in it.
        """
        changed = [
            "_".join(dict.fromkeys(self.activations)) if self.activation != "sigmoid" else "",
            self.subnormals if self.subnormals != "flush" else "",
            f"table{self.table_entries}" if self.table_entries != 2048 else "",
            f"degree{self.table_degree}" if self.table_degree else "",
            f"m{self.multiplier_stages}" if self.multiplier_stages != 2 else "",
            f"a{self.adder_stages}" if self.adder_stages != 3 else "",
            "deltas" if self.input_deltas else "",
            f"b{self.buffer_vectors}" if self.buffer_vectors != 256 else "",
            f"parts{self.buffer_parts}" if self.buffer_parts != 4 else "",
            self.sample_format if self.sample_format != "fp32" else "",
            f"batch{self.batch}" if self.batch != 1 else "",
            "seeded" if self.seeded_weights else "",
            self.memory if self.memory != "distributed" else "",
            "loss" if self.loss else "",
            f"s{self.broadcast_stages}" if self.broadcast_stages else "",
            f"g{self.stage.number}of{self.stage.groups}" if self.stage else "",
            f"lag{self.lag}" if self.lag else "",
            f"lanes{self.lanes}" if self.lanes != 1 else "",
        ]
        parts = [*map(str, self.layers), f"p{self.processing_elements}", *filter(None, changed)]
        return "_".join(["gradwire", *parts]).replace("-", "_")

    @functools.cached_property
    def weight_layers(self) -> tuple[Layer, ...]:
        """The layers of weights, from the inputs up."""
        found: list[Layer] = []
        base = bias_base = 0
        for number, mapping in enumerate(self.mapping, 1):
            layer = Layer(
                number=number,
                inputs=self.layers[number - 1],
                outputs=self.layers[number],
                mapping=mapping,
                processing_elements=self.lane_elements,
                base=base,
                bias_base=bias_base,
                lanes=self.lanes,
            )
            base += layer.words
            bias_base += layer.fold_length if mapping == "column" else 0
            found.append(layer)
        return tuple(found)

    @property
    def bank_words(self) -> int:
        """Words of each PE's weight bank."""
        return sum(layer.words for layer in self.weight_layers)

    @property
    def bias_words(self) -> int:
        """Words of the bias bank, of each lane; 0 when every layer is row-mapped."""
        return sum(layer.fold_length for layer in self.weight_layers if layer.mapping == "column")

    @property
    def lane_elements(self) -> int:
        """PEs of a lane."""
        return self.processing_elements // self.lanes

    @functools.cached_property
    def lane(self) -> "Design":
        """An array that is like each of the lanes."""
        outputs = self.layers[-1] // self.lanes
        return dataclasses.replace(
            self,
            layers=(*self.layers[:-1], outputs),
            processing_elements=self.lane_elements,
            lanes=1,
        )

    @property
    def useful_multiply_adds(self) -> int:
        """Multiply-adds of one iteration, biases apart: forward, deltas, updates."""
        weights = [a * b for a, b in itertools.pairwise(self.layers)]
        deltas = weights if self.propagates_to_inputs else weights[1:]
        return 2 * sum(weights) + sum(deltas)

    @property
    def limit_clocks(self) -> int:
        """Clocks of one iteration if every PE retired a multiply-add every clock."""
        return -(-self.useful_multiply_adds // self.processing_elements)

    @property
    def loss_sums(self) -> int:
        """Partial sums of the squared errors of a sample: error n goes to number n modulo these."""
        return min(self.layers[-1], self.adder_stages + 1)

    @property
    def loaded_at_once(self) -> int:
        """Inputs that the loader brings to the array in a clock.

        All four bytes of a word, for an array so fast that its samples would otherwise be late.
        """
        fits = self.layers[0] % 4 == 0 and self.lane_elements % 4 == 0
        return 4 if self.lanes > 1 and self.sample_format == "bytes" and fits else 1

    @property
    def sample_words(self) -> int:
        """Clocks in which the loader hands over one training vector: inputs, then labels."""
        return self.layers[0] // self.loaded_at_once + self.labels

    @property
    def record_words(self) -> int:
        """32-bit words in which one training vector is stored: its inputs, then its labels.

        Inputs in bytes are packed four to a word, the first in the low byte; labels are FP32.
        """
        inputs = self.layers[0]
        return (inputs if self.sample_format == "fp32" else -(-inputs // 4)) + self.labels

    @property
    def refill_vectors(self) -> int:
        """Training vectors that the buffer is refilled with at a time."""
        return max(1, self.buffer_vectors // self.buffer_parts)

    # Where the vectors of one sample lie. A vector that is broadcast lies in the vector memory;
    # one that stays beside the arithmetic lies in the PEs' register files, element n on PE n mod P.

    def activation_is_local(self, number: int) -> bool:
        """Whether the input vector of weight layer `number` is kept in the PEs."""
        return self.weight_layers[number - 1].mapping == "column"

    def delta_is_local(self, number: int) -> bool:
        """Whether the delta of weight layer `number` is kept in the PEs."""
        return self.weight_layers[number - 1].mapping == "row"

    @functools.cached_property
    def vectors(self) -> "VectorPlaces":
        """Where the hidden activations and the deltas of one sample lie."""
        first: dict[tuple[str, int], int] = {}
        words = {True: 0, False: 0}

        def put(kind: str, number: int, local: bool) -> None:
            first[kind, number] = words[local]
            size = self.layers[number]
            words[local] += -(-size // self.processing_elements) if local else size

        for number in range(1, len(self.layers)):
            if number < len(self.layers) - 1:
                put("activation", number, self.activation_is_local(number + 1))
            if number < len(self.layers) - 1 or self.last:
                put("delta", number, self.delta_is_local(number))
        return VectorPlaces(first=first, register_words=words[True], memory_words=words[False])


# The order of additions. Golden model and hardware both read it here; neither reads the other.


def reduction_depth(leaves: int) -> int:
    """Levels of adders that sum `leaves` products and a carried value."""
    return math.ceil(math.log2(leaves + 1))


def reduction_blocks(leaves: int) -> tuple[int, ...]:
    """How REDUCE sums the products of `leaves` PEs and the carried value.

    The products are cut into blocks, in the order of the PEs; a block is summed pairwise (an odd
    one out moves up a level). The carried value is added to the last block's sum, the result to
    the block before, and so on: with P products, P adders, the least depth, and among those the
    carried value enters as late as it can, so that a fold waits least for the fold before.

    >>> reduction_blocks(100)
    (64, 32, 4)
    """
    blocks = []
    size = 1 << (reduction_depth(leaves) - 1)
    while leaves > size:
        blocks.append(size)
        leaves -= size
        size //= 2
    return (*blocks, leaves)


@dataclasses.dataclass(frozen=True)
class Combine:
    """One addition of partial sums, both on the adder's output at some clock.

    `clock` is counted from the clock in which the last product enters the adder; the earlier
    operand was on the output `delay` clocks before. `left` and `right` number the operands: the
    partial sums in the order in which they leave the adder, then the results of the combinations.
    """

    clock: int
    delay: int
    left: int
    right: int


@dataclasses.dataclass(frozen=True)
class Accumulation:
    """How one PE's adder sums `length` products that arrive one a clock.

    With more products than the adder has stages (K), K partial sums rotate through the adder:
    product k is added to partial sum k mod K. With fewer, neighbours are added in pairs (the odd
    one passes). Then the partial sums are combined, always the two that have waited longest.
    A single product is the sum, and does not enter the adder.

    Members
    -------
    length : number of products.
    rotating : whether partial sums rotate; otherwise products are added in pairs.
    sums : number of partial sums.
    combines : the additions of partial sums, in order.
    ready : clocks from the last product entering the adder to the sum leaving it; 0 for a single
        product.
    """

    length: int
    rotating: bool
    sums: int
    combines: tuple[Combine, ...]
    ready: int


@functools.cache
def accumulation(length: int, adder_latency: int) -> Accumulation:
    """The order in which ACCUMULATE sums `length` products on an adder of that latency (clocks)."""
    if length == 1:
        return Accumulation(length, rotating=False, sums=1, combines=(), ready=0)
    last = length - 1
    rotating = length > adder_latency
    if rotating:
        entered = list(range(length - adder_latency, length))
    else:
        entered = [min(first + 1, last) for first in range(0, length, 2)]
    # (clock on the output, number), counted from the last product's entry
    waiting = [(clock - last + adder_latency, number) for number, clock in enumerate(entered)]
    sums = len(waiting)
    combines: list[Combine] = []
    while len(waiting) > 1:
        waiting.sort()
        (early, left), (late, right) = waiting[:2]
        number = sums + len(combines)
        combines.append(Combine(late, late - early, left, right))
        waiting = [*waiting[2:], (late + adder_latency, number)]
    return Accumulation(length, rotating, sums, tuple(combines), waiting[0][0])
