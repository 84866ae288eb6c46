"""The neuron ALU: one processing element of the array."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.copies import address_shape, depth
from hw.delay import delay
from hw.design import Design
from hw.fp.adder import Adder
from hw.fp.multiplier import Multiplier
from hw.schedule import Schedule
from hw.verilog import place

# The value that changes no sum, not even one of negative zeros.
NEGATIVE_ZERO = 1 << 31

# Up to so many narrow words are made of LUTs: a block of memory would hold more than twice as many.
_FEW_WORDS = 64

TREE = "tree"
PASS = "pass"
PAIR = "pair"
ROTATE = "rotate"
UPDATE = "update"


def combine(clocks: int) -> str:
    """Name of the adder input that adds the output and the output of `clocks` clocks ago."""
    return f"combine {clocks}"


def adder_inputs(schedule: Schedule) -> tuple[str, ...]:
    """What the adder adds: the meaning of each code of `adder_select`.

    TREE (what the adder tree brings), PASS (the product alone), PAIR (a product and the one
    before), ROTATE (the product and the output), UPDATE (the product and the weight), and the
    combinations of the output with an earlier output. Only those that the schedule needs.
    """
    found = {UPDATE, PASS}
    delays = set()
    for op in schedule.operations:
        if op.sums is not None:
            if op.sums.length > 1:
                found.add(ROTATE if op.sums.rotating else PAIR)
            delays.update(step.delay for step in op.sums.combines)
    order = [name for name in (UPDATE, PASS, PAIR, ROTATE) if name in found]
    return (TREE, *order, *map(combine, sorted(delays)))


class ProcessingElement(wiring.Component):
    """One FP32 multiplier, one FP32 adder, a weight bank and a register file.

    It does what the array's three operations ask of it, one multiply-add a clock. Clocks below are
    those of hw.operation: q is the slot, s = q + 1 + multiplier latency.

    Parameters
    ----------
    schedule : of the machine that it is for.

    Members
    -------
    bank_address : word to read, at q.
    bank_data : the word, at q + 1; a clock later, from a register, if the design has
        `broadcast_stages`; an input, at q + 1, and the only port of those of the bank, where one
        memory holds the weights of all PEs.
    write, write_address : the word to write; its data is `host_data` if `host`, else `sum`.
    register_write, register_write_address, vector : write port of the register file.
    input_write, input_write_address, network_input : write port of the inputs' register file.
    local_address, local_input : word of the register file (of the inputs' file) to read, at q.
    broadcast : operand from outside, at q + 1.
    update, reduce : which operands the multiplier takes, at q + 1: local and broadcast, weight and
        local; weight and broadcast if neither.
    enable : whether the product counts in the adder tree, at s.
    product : for the adder tree; negative zero if not enabled. At s.
    adder_select : index in `adder_inputs`, at s.
    tree_x, tree_y : operands from the adder tree.
    sum : output of the adder.
    drain_load, drain_i, drain_o : one word of the chain that shifts the sums out.
    drain_product : what is loaded is the product; where the schedule sums single products.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        design = schedule.design
        self.inputs = adder_inputs(schedule)
        ports = {
            **self._bank_ports(design),
            "broadcast": In(32),
            "update": In(1),
            "reduce": In(1),
            "enable": In(1),
            "product": Out(32),
            "adder_select": In(range(len(self.inputs))),
            "tree_x": In(32),
            "tree_y": In(32),
            "sum": Out(32),
            "drain_load": In(1),
            "drain_i": In(32),
            "drain_o": Out(32),
        }
        if sums_single_products(schedule):
            ports["drain_product"] = In(1)
        if words := design.vectors.register_words:
            ports |= {
                "register_write": In(1),
                "register_write_address": In(address_shape(words, schedule.copies)),
                "vector": In(32),
            }
        if words := input_words(design):
            ports |= {
                "input_write": In(1),
                "input_write_address": In(address_shape(words, schedule.input_copies)),
                "network_input": In(32),
            }
        ports["local_address"] = In(local_address_shape(schedule))
        ports["local_input"] = In(1)
        super().__init__(ports)

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_pe"

    @staticmethod
    def _bank_ports(design: Design) -> dict[str, wiring.Member]:
        if design.unified:
            return {"bank_data": In(32)}
        bank = bank_shape(design)
        return {
            "bank_address": In(bank),
            "bank_data": Out(32),
            "write": In(1),
            "write_address": In(bank),
            "host": In(1),
            "host_data": In(32),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, lat = self.schedule.design, self.schedule.latencies
        weight = self.bank_data if design.unified else self._bank(m)
        local = self._local(m, design)

        multiplier = Multiplier(subnormals=design.subnormals, stages=design.multiplier_stages)
        place(m, "multiplier", multiplier, platform)
        m.d.comb += [
            multiplier.a.eq(Mux(self.update, local, weight)),
            multiplier.b.eq(Mux(self.reduce, local, self.broadcast)),
            self.product.eq(Mux(self.enable, multiplier.o, NEGATIVE_ZERO)),
        ]
        adder = Adder(subnormals=design.subnormals, stages=design.adder_stages)
        place(m, "adder", adder, platform)
        old_weight = delay(m, weight, lat.multiplier, "weight")
        if not design.unified:
            back = delay(m, weight, 1, "weight_back") if lat.broadcast else weight
            m.d.comb += self.bank_data.eq(back)
        m.d.comb += [*self._adder_operands(m, adder, multiplier.o, old_weight)]
        m.d.comb += self.sum.eq(adder.o)
        total = adder.o
        if sums_single_products(self.schedule):
            total = Mux(self.drain_product, multiplier.o, total)
        following = Mux(self.drain_load, total, self.drain_i)
        m.d.comb += self.drain_o.eq(delay(m, following, 1, "drain"))
        return m

    def _bank(self, m: Module) -> Signal:
        design = self.schedule.design
        words = depth(design.bank_words, 2 if design.batch > 1 else 1)
        m.submodules.bank = bank = memory.Memory(shape=32, depth=words, init=[])
        read, write = bank.read_port(), bank.write_port()
        m.d.comb += [
            read.addr.eq(self.bank_address),
            write.addr.eq(self.write_address),
            write.en.eq(self.write),
            write.data.eq(Mux(self.host, self.host_data, self.sum)),
        ]
        return read.data

    def _local(self, m: Module, design: Design) -> Signal | Const:
        """The operand that lies beside the arithmetic, at q + 1."""
        words, schedule = [], self.schedule
        if design.vectors.register_words:
            port = self.register_write, self.register_write_address, self.vector
            size = depth(design.vectors.register_words, schedule.copies)
            words.append(self._register_file(m, "registers", size, *port))
        if input_words(design):
            first, bits = input_bits(design)
            port = self.input_write, self.input_write_address, self.network_input[first:][:bits]
            size = depth(input_words(design), schedule.input_copies)
            word = self._register_file(m, "inputs", size, *port)
            if bits < 32:
                word = Cat(Const(0, first), word, word[-1].replicate(2), Const(0, 2))
            words.append(word)
        if len(words) == 2:
            from_inputs = delay(m, self.local_input, 1, "local_input")
            return Mux(from_inputs, words[1], words[0])
        return words[0] if words else Const(0, 32)

    def _register_file(
        self, m: Module, name: str, words: int, enable: Signal, address: Signal, data: Signal
    ) -> Signal:
        narrow = len(data) < 32 and words <= _FEW_WORDS
        attributes = {"ram_style": "distributed"} if narrow else {}
        m.submodules[name] = file = memory.Memory(
            shape=len(data), depth=words, init=[], attrs=attributes
        )
        write = file.write_port()
        # What arrives in the clock in which it is asked for is passed on: a clock less to wait.
        read = file.read_port(transparent_for=[write])
        m.d.comb += [
            write.en.eq(enable),
            write.addr.eq(address),
            write.data.eq(data),
            read.addr.eq(self.local_address),
        ]
        return read.data

    def _adder_operands(
        self, m: Module, adder: Adder, product: Signal, weight: Signal
    ) -> list[object]:
        earlier = {0: self.sum}
        delays = [int(name.split()[1]) for name in self.inputs if name.startswith("combine")]
        for clocks in range(1, max(delays, default=0) + 1):
            earlier[clocks] = delay(m, earlier[clocks - 1], 1, f"sum_{clocks}")
        operands = {
            TREE: (self.tree_x, self.tree_y),
            UPDATE: (product, weight),
            PASS: (product, Const(NEGATIVE_ZERO, 32)),
            PAIR: (product, delay(m, product, 1, "product") if PAIR in self.inputs else product),
            ROTATE: (product, self.sum),
        } | {combine(clocks): (self.sum, earlier[clocks]) for clocks in delays}
        chosen = [operands[name] for name in self.inputs]
        return [
            adder.a.eq(Array(x for x, _ in chosen)[self.adder_select]),
            adder.b.eq(Array(y for _, y in chosen)[self.adder_select]),
        ]


def sums_single_products(schedule: Schedule) -> bool:
    """Whether some ACCUMULATE has one product to sum: that leaves without the adder's latency."""
    return any(op.sums is not None and op.sums.length == 1 for op in schedule.operations)


def bank_shape(design: Design) -> Shape:
    """Shape of a weight bank's addresses; with batches, the weights in the making lie above."""
    return address_shape(design.bank_words, 2 if design.batch > 1 else 1)


def input_bits(design: Design) -> tuple[int, int]:
    """First bit and number of the bits that tell the inputs apart.

    Those of a byte / 256 are the fraction's upper seven and the exponent's lower five: the exponent
    is 0 or 119 to 126, the two bits above are like the fifth, and all others are zero.
    """
    return (16, 12) if design.sample_format == "bytes" and design.first else (0, 32)


def input_words(design: Design) -> int:
    """Words of each PE's register file for the inputs of one sample.

    Zero unless the first layer is column-mapped.
    """
    first = design.weight_layers[0]
    return 0 if first.mapping == "row" else first.folds


def local_address_shape(schedule: Schedule) -> Shape:
    """Shape of the addresses of the larger of a PE's register files."""
    design = schedule.design
    registers = address_shape(design.vectors.register_words, schedule.copies)
    inputs = address_shape(input_words(design), schedule.input_copies)
    return max(registers, inputs, key=lambda shape: shape.width)
