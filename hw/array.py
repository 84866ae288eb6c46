"""The array: P processing elements in lock step, the adder tree they form, the drain chain."""

import itertools

from amaranth.hdl import Array as Choice
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.control import active_counts, array_control, reductions, result_tag, result_vectors, sums
from hw.copies import address_shape
from hw.delay import delay
from hw.design import reduction_blocks
from hw.operation import FORWARD
from hw.pe import (
    NEGATIVE_ZERO,
    TREE,
    ProcessingElement,
    adder_inputs,
    bank_shape,
    combine,
    input_words,
    sums_single_products,
)
from hw.schedule import Schedule
from hw.shape import below
from hw.verilog import place
from hw.walker import VectorWalker

# PEs that share the last register on the way of what goes to all of them; a power of two.
GROUP = 4


class NeuronArray(wiring.Component):
    """Executes ACCUMULATE, REDUCE and UPDATE; one slot, P multiply-adds, a clock.

    Results leave one a clock, in the order in which the operations were issued: those of REDUCE
    from the root of the adder tree, those of ACCUMULATE through the drain chain, PE 0 first.

    Members
    -------
    control : of the slot, `array_control`.
    begins, begins_tag : an operation with results is issued, and whose results they will be.
    broadcast : operand of the slot before (q + 1).
    carry_address, bias : bias bank's word, and the address that asks for it a clock before.
    register_write, register_lane, register_address, vector : a word for PE `register_lane`.
    input_write, input_lane, input_address, network_input : likewise, for the inputs' register file.
    result, result_valid : a result.
    result_tag : whose it is.
    next_index, next_tag : number in its vector, and tag, of the result of the next clock, if any.
    host, host_write, host_bank, host_address, host_data : the weight port, used while idle.
    host_read : weight, `Latencies.weight_port` clocks after its address.
    read_address, weights, write_next, write_count, write_address, sums : see UnifiedMemory; where
        there is one, these in place of the weight port.

    `inputs_at_once` inputs may come in a clock; `input_lane` then counts so many PEs.

    Times are those of hw.operation. What enters the array takes the design's `broadcast_stages`
    clocks more to the PEs; `late` is the control word by their time.
    """

    clocked = True

    def __init__(self, schedule: Schedule, inputs_at_once: int = 1) -> None:
        self.schedule = schedule
        self.inputs_at_once = inputs_at_once
        design = schedule.design
        self.pes = design.processing_elements
        ports = {
            "control": In(array_control(schedule)),
            "begins": In(1),
            "begins_tag": In(result_tag(schedule)),
            "broadcast": In(32),
            "carry_address": Out(below(design.bias_words)),
            "bias": In(32),
            "result": Out(32),
            "result_valid": Out(1),
            "result_tag": Out(result_tag(schedule)),
            "next_index": Out(below(max(self._lengths()))),
            "next_tag": Out(result_tag(schedule)),
            **self._weight_ports(),
        }
        if words := design.vectors.register_words:
            ports |= {
                "register_write": In(1),
                "register_lane": In(below(self.pes)),
                "register_address": In(address_shape(words, schedule.copies)),
                "vector": In(32),
            }
        if words := input_words(design):
            ports |= {
                "input_write": In(1),
                "input_lane": In(below(self.pes // inputs_at_once)),
                "input_address": In(address_shape(words, schedule.input_copies)),
                "network_input": In(32 * inputs_at_once),
            }
        super().__init__(ports)

    def _weight_ports(self) -> dict[str, wiring.Member]:
        design = self.schedule.design
        if not design.unified:
            return {
                "host": In(1),
                "host_write": In(1),
                "host_bank": In(range(self.pes + 1)),
                "host_address": In(below(design.bank_words)),
                "host_data": In(32),
                "host_read": Out(32),
            }
        address, words = bank_shape(design), data.ArrayLayout(32, self.pes)
        return {
            "read_address": Out(address),
            "weights": In(words),
            "write_next": Out(1),
            "write_count": Out(below(len(active_counts(self.schedule)))),
            "write_address": Out(address),
            "sums": Out(words),
        }

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_array"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pes = [ProcessingElement(self.schedule) for _ in range(self.pes)]
        for index, pe in enumerate(pes):
            place(m, f"pe_{index}", pe, platform)
        self.stages = self.schedule.latencies.broadcast
        self.late = self._late(m)
        common = self._read_side(m) | self._adders(m) | self._write_side(m, pes)
        self._distribute(m, platform, pes, common)
        self._results(m, pes, self._tree(m, pes))
        return m

    def _late(self, m: Module) -> data.View:
        if not self.stages:
            return self.control
        late = Signal(self.control.shape(), name="late")
        m.d.comb += [
            late.eq(delay(m, self.control, self.stages, "late_control")),
            late.valid.eq(delay(m, self.control.valid, self.stages, "late_valid", reset=True)),
        ]
        return late

    def _distribute(
        self,
        m: Module,
        platform: object,
        pes: list[ProcessingElement],
        common: dict[str, Value],
    ) -> None:
        """Bring the PEs, port by port, what is the same for all of them."""
        if not self.stages:
            for pe in pes:
                m.d.comb += [getattr(pe, name).eq(value) for name, value in common.items()]
            return
        bits = Cat(common.values())
        shared = delay(m, bits, self.stages - 1, "shared")
        for number, group in enumerate(_groups(pes)):
            relay = Relay(len(bits))
            place(m, f"relay_{number}", relay, platform)
            m.d.comb += relay.i.eq(shared)
            for pe in group:
                m.d.comb += Cat(getattr(pe, name) for name in common).eq(relay.o)

    def _read_side(self, m: Module) -> dict[str, Value]:
        """Operands of the multipliers."""
        control = self.control
        read = self._banked("read_made")
        common = {
            "local_address": control.local_address,
            "local_input": control.local_input,
            "broadcast": self.broadcast,
            "update": delay(m, control.update & control.valid, 1, "update"),
            "reduce": delay(m, control.reduce, 1, "reduce"),
        }
        if self.schedule.design.unified:
            m.d.comb += self.read_address.eq(read)
        else:
            common["bank_address"] = Mux(self.host, self.host_address, read)
        return common

    def _banked(self, made: str) -> Value:
        """The word of the weight banks, among the weights in the making if `made` says so."""
        word = self.control.bank_address
        return Cat(word, self.control[made]) if self.schedule.design.batch > 1 else word

    def _adders(self, m: Module) -> dict[str, Value]:
        """What every PE's adder does."""
        lat, control = self.schedule.latencies, self.control
        inputs = adder_inputs(self.schedule)
        select = Signal(control.adder_select.shape())
        drain_load, drain_product = Signal(name="ready"), Signal(name="single")
        # Decided the clock before, so that registers drive what every PE waits for.
        soon = Signal.like(select)
        before = lat.product - 1
        entry = Mux(control.valid, control.adder_select, inputs.index(TREE))
        m.d.comb += soon.eq(delay(m, entry, before, "entry", reset=True))
        ready, single = Const(0, 1), Const(0, 1)
        for number, way in enumerate(sums(self.schedule), 1):
            last = control.valid & (control.finished == number)
            last, clock = delay(m, last, before, f"sum{number}", reset=True), 0
            for step in way.combines:
                last = delay(m, last, step.clock - clock, f"sum{number}_{clock}", reset=True)
                clock = step.clock
                with m.If(last):
                    m.d.comb += soon.eq(inputs.index(combine(step.delay)))
            last = delay(m, last, way.ready - clock, f"sum{number}_{clock}", reset=True)
            ready |= last
            single |= last if way.length == 1 else 0
        m.d.sync += [select.eq(soon), drain_load.eq(ready), drain_product.eq(single)]
        self.ready = delay(m, drain_load, self.stages, "late_ready", reset=True)
        self.single = delay(m, drain_product, self.stages, "late_single", reset=True)
        common = {"adder_select": select, "drain_load": drain_load}
        if sums_single_products(self.schedule):
            common["drain_product"] = drain_product
        return common

    def _write_side(self, m: Module, pes: list[ProcessingElement]) -> dict[str, Value]:
        """Weights, and what the PEs keep of the vectors."""
        lat, control = self.schedule.latencies, self.control
        write = delay(m, control.update & control.valid, lat.sum, "write", reset=True)
        address = delay(m, self._banked("write_made"), lat.sum, "write_address")
        common = {}
        if not self.schedule.design.unified:
            common |= {
                "host": self.host,
                "host_data": self.host_data,
                "write_address": Mux(self.host, self.host_address, address),
            }
        if hasattr(self, "register_write"):
            common |= {"register_write_address": self.register_address, "vector": self.vector}
        if hasattr(self, "input_write"):
            common["input_write_address"] = self.input_address
            if self.inputs_at_once == 1:
                common["network_input"] = self.network_input
            else:
                self._several_inputs(m, pes)
        for index, pe in enumerate(pes):
            enables = {}
            if not self.schedule.design.unified:
                own = self.host_write & (self.host_bank == index)
                enables["write"] = Mux(self.host, own, write)
            if hasattr(self, "register_write"):
                enables["register_write"] = self.register_write & (self.register_lane == index)
            if hasattr(self, "input_write"):
                lane = index // self.inputs_at_once
                enables["input_write"] = self.input_write & (self.input_lane == lane)
            for name, value in enables.items():
                late = delay(m, value, self.stages, f"{name}_{index}", reset=True)
                m.d.comb += getattr(pe, name).eq(late)
        if self.schedule.design.unified:
            self._unified(m, pes, address)
        else:
            self._read_back(m, pes)
        return common

    def _several_inputs(self, m: Module, pes: list[ProcessingElement]) -> None:
        """Neighbouring PEs get an input each."""
        for number in range(self.inputs_at_once):
            word = self.network_input.word_select(number, 32)
            late = delay(m, word, self.stages, f"network_input_{number}")
            for pe in pes[number :: self.inputs_at_once]:
                m.d.comb += pe.network_input.eq(late)

    def _unified(self, m: Module, pes: list[ProcessingElement], write_address: Value) -> None:
        """To and from the memory for all weights."""
        lat, control = self.schedule.latencies, self.control
        writes = control.update & control.valid
        m.d.comb += [
            self.write_next.eq(delay(m, writes, lat.sum - 1, "write_next", reset=True)),
            self.write_count.eq(delay(m, control.active, lat.sum - 1, "write_count")),
            self.write_address.eq(write_address),
            self.sums.eq(Cat(pe.sum for pe in pes)),
            *(pe.bank_data.eq(self.weights[index]) for index, pe in enumerate(pes)),
        ]

    def _read_back(self, m: Module, pes: list[ProcessingElement]) -> None:
        """The weight port's word, chosen among the PEs' in as many steps as it takes clocks."""
        words, bank = [pe.bank_data for pe in pes], delay(m, self.host_bank, 1, "host_bank")
        if self.stages:
            bank = delay(m, bank, self.stages + 1, "late_bank")
            nearest = bank[: GROUP.bit_length() - 1]
            chosen = []
            for number, group in enumerate(_groups(words)):
                word = Signal(32, name=f"host_read_{number}", reset_less=True)
                m.d.sync += word.eq(Choice(group)[nearest])
                chosen.append(word)
            words, bank = chosen, delay(m, bank, 1, "group")[len(nearest) :]
        m.d.sync += self.host_read.eq(Choice(words)[bank])

    def _tree(self, m: Module, pes: list[ProcessingElement]) -> Value:
        """Wire the adders as a tree; its root. Operands that come early wait in delay lines."""
        if not reductions(self.schedule):
            return pes[0].sum
        lat = self.schedule.latencies
        spare = iter(pes)

        def add(x: tuple[Value, int], y: tuple[Value, int]) -> tuple[Value, int]:
            pe, level = next(spare), max(x[1], y[1])
            for port, (value, ready) in ((pe.tree_x, x), (pe.tree_y, y)):
                wait = (level - ready) * lat.adder
                m.d.comb += port.eq(delay(m, value, wait, f"tree_{len(waits)}"))
                waits.append(wait)
            return pe.sum, level + 1

        waits: list[int] = []
        self._enables(m, pes)
        blocks, first = [], 0
        for size in reduction_blocks(self.pes):
            block = [(pe.product, 0) for pe in pes[first : first + size]]
            while len(block) > 1:
                odd = block[len(block) & ~1 :]
                block = [add(x, y) for x, y in zip(block[::2], block[1::2], strict=False)] + odd
            blocks += block
            first += size
        root = self._carry(m), lat.depth - lat.carry_path
        for block in reversed(blocks):
            root = add(block, root)
        return root[0]

    def _enables(self, m: Module, pes: list[ProcessingElement]) -> None:
        """Which products count: in a layer's last fold perhaps not all."""
        counts = active_counts(self.schedule)
        active = delay(m, self.late.active, self.schedule.latencies.product - 1, "active")
        for index, pe in enumerate(pes):
            if index < min(counts):
                # A register would be one for all of these, with the longest wires of all.
                m.d.comb += pe.enable.eq(1)
                continue
            enable = Signal(name=f"enable_{index}")
            m.d.sync += enable.eq(Choice(index < count for count in counts)[active])
            m.d.comb += pe.enable.eq(enable)

    def _carry(self, m: Module) -> Value:
        """What enters the tree beside the products: biases, sums of the fold before, or nothing."""
        lat, control = self.schedule.latencies, self.late
        folded = any(op.layer.folds > 1 for op in reductions(self.schedule))
        carry = Signal(32)
        m.d.comb += carry.eq(NEGATIVE_ZERO)
        first_fold = delay(m, control.first_fold, lat.carry_address + 1, "first_fold")
        if self.schedule.design.bias_words:
            m.d.comb += self.carry_address.eq(
                delay(m, control.bias_address, lat.carry_address, "carry_address")
            )
            biased = control.bias & control.first_fold
            with m.If(delay(m, biased, lat.carry_address + 1, "carry_bias")):
                m.d.comb += carry.eq(self.bias)
        if folded:
            before = self._partial_sums(m)
            with m.If(~first_fold):
                m.d.comb += carry.eq(before)
        return delay(m, carry, lat.carry - lat.carry_address - 1, "carry")

    def _partial_sums(self, m: Module) -> Value:
        """Memory of the sums of the fold before; the word for the carry input."""
        lat, control = self.schedule.latencies, self.late
        depth = max(op.length for op in reductions(self.schedule) if op.layer.folds > 1)
        m.submodules.partial_sums = sums_ = memory.Memory(
            shape=32, depth=len(below(depth)), init=[]
        )
        write = sums_.write_port()
        read = sums_.read_port(transparent_for=[write])
        stores = control.valid & control.reduce & ~control.final
        address = delay(m, control.element, lat.carry_address, "partial_read")
        m.d.comb += [
            read.addr.eq(address),
            write.en.eq(delay(m, stores, lat.root, "partial_store", reset=True)),
            write.addr.eq(delay(m, address, lat.root - lat.carry_address, "partial_write")),
        ]
        self.partial_write = write
        return read.data

    def _results(self, m: Module, pes: list[ProcessingElement], root: Value) -> None:
        lat, control = self.schedule.latencies, self.late
        for pe, following in itertools.pairwise(pes):
            m.d.comb += pe.drain_i.eq(following.drain_o)
        if hasattr(self, "partial_write"):
            m.d.comb += self.partial_write.data.eq(root)
        reduced = delay(
            m, control.valid & control.reduce & control.final, lat.root, "reduced", reset=True
        )
        m.submodules.tags = tags = TagQueue(self.schedule)
        m.submodules.walker = walker = VectorWalker(self._lengths())
        # The drain ends with the layer's last neuron, or with the last PE.
        draining = Signal()
        lane = Signal(range(self.pes + 1))
        m.d.comb += [
            self.result_valid.eq(reduced | self.ready | draining),
            self.result.eq(Mux(self.ready, pes[0].sum, root)),
            walker.step.eq(self.result_valid),
            walker.vector.eq(tags.head.vector),
            tags.push.eq(self.begins),
            tags.pushed.eq(self.begins_tag),
            tags.pop.eq(self.result_valid & walker.last),
            self.result_tag.eq(tags.head),
            self.next_tag.eq(tags.next_head),
            self.next_index.eq(walker.next_offset),
        ]
        with m.If(self.single):
            m.d.comb += self.result.eq(pes[0].product)
        if self.pes > 1:
            with m.If(draining):
                m.d.comb += self.result.eq(pes[1].drain_o)
            m.d.sync += lane.eq(Mux(self.ready, 2, lane + 1))
            with m.If(self.ready | draining):
                m.d.sync += draining.eq(~walker.last & (self.ready | (lane != self.pes)))

    def _lengths(self) -> list[int]:
        """Elements of the vectors that leave the array."""
        layers = self.schedule.design.weight_layers
        return [
            layers[number - 1].outputs if unit == FORWARD else layers[number - 1].inputs
            for unit, number in result_vectors(self.schedule)
        ]


def _groups(of_pes: list) -> list[list]:
    return [of_pes[first : first + GROUP] for first in range(0, len(of_pes), GROUP)]


class Relay(wiring.Component):
    """What a group of PEs has in common, a clock later.

    A module of its own, so that synthesis can be told to leave every group its registers, which are
    the same in all of them, near it.

    Members
    -------
    i, o : some bits.
    """

    clocked = True

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"i": In(width), "o": Out(width)})

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"relay_{self.width}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(delay(m, self.i, 1, "word"))
        return m


class TagQueue(wiring.Component):
    """Tags of the operations whose results are still to come, the oldest first.

    Members
    -------
    push, pushed : a new one, there from the next clock on.
    pop : the oldest has all its results.
    head : the oldest.
    next_head : what `head` will be in the next clock.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.depth = max(p.results_under_way for p in (schedule.training, schedule.inference))
        tag = result_tag(schedule)
        super().__init__(
            {
                "push": In(1),
                "pushed": In(tag),
                "pop": In(1),
                "head": Out(tag),
                "next_head": Out(tag),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entries = [Signal(self.head.shape(), name=f"tag_{k}") for k in range(self.depth + 1)]
        count, kept = Signal(range(self.depth + 1)), Signal(range(self.depth + 1))
        m.d.comb += [
            kept.eq(count - self.pop),
            self.head.eq(entries[0]),
            self.next_head.eq(Mux(self.pop, entries[1], entries[0])),
        ]
        m.d.sync += count.eq(kept + self.push)
        with m.If(self.pop):
            m.d.sync += [entry.eq(older) for entry, older in itertools.pairwise(entries)]
        for index in range(self.depth):
            with m.If(self.push & (kept == index)):
                m.d.sync += entries[index].eq(self.pushed)
        return m
