"""The AXI4-Lite slave: registers, and a window to the weights."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi.register_slice import RegisterSlice
from hw.axi.registers import AddressMap, Register, result_words
from hw.core import Core
from hw.schedule import Schedule
from hw.verilog import place

OKAY, SLVERR = 0, 2

# The core's ports that the slave has nothing to do with.
_NOT_OURS = {"i", "released", "prediction", "prediction_valid", "input_delta", "input_delta_valid"}
_NOT_OURS |= {"loss", "loss_valid"}

# Ports of the core that are registers of the same name, which the core does not write.
_RUN = ("samples", "batch", "rate", "halve_every", "floor", "age", "seed")


def lite_ports(address_bits: int) -> dict[str, wiring.Member]:
    """Ports of an AXI4-Lite slave with 32 bits of data, by their standard names."""
    channels = {
        "aw": {"addr": In(address_bits), "prot": In(3)},
        "w": {"data": In(32), "strb": In(4)},
        "b": {"resp": Out(2)},
        "ar": {"addr": In(address_bits), "prot": In(3)},
        "r": {"data": Out(32), "resp": Out(2)},
    }
    ports = {}
    for name, payload in channels.items():
        flow = Out if name in "br" else In
        ports |= {f"s_axi_{name}{part}": member for part, member in payload.items()}
        ports[f"s_axi_{name}valid"] = flow(1)
        ports[f"s_axi_{name}ready"] = flow(1).flip()
    return ports


class AxiLiteSlave(wiring.Component):
    """Carries out one access at a time, reads and writes in turn if there are both.

    An access is begun when its answer can wait in a register of its own: a master that does not
    take the answer to a write can still read, and the other way round. It takes 3 clocks from where
    address and data are both there to the answer; reading a weight, 1 more than the core's weight
    port (hw.schedule.Latencies.weight_port).

    The lowest two bits of an address are passed over: strobes say which bytes are written. What
    docs/integration.md refuses is answered by SLVERR and changes nothing.

    Parameters
    ----------
    schedule : of the core.

    Members
    -------
    s_axi_* : AXI4-Lite, 32 bits of data. All outputs come from flip-flops.
    irq : something that is enabled is pending; from a flip-flop.
    core : the core's ports, but for its streams.
    reset_core : reset of the core, as long as the register says so.
    begins : a run begins in this clock.
    record_error : of the sample stream; stays until the core is reset.
    results : which results are wanted: outputs, losses.
    results_lost, results_waiting : what the registers of these names say.
    """

    clocked = True

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.design = schedule.design
        self.map = AddressMap(self.design)
        core = Core(schedule).signature.members
        super().__init__(
            {
                **lite_ports(self.map.bits),
                "irq": Out(1),
                "core": Out(
                    wiring.Signature(
                        {name: core[name].flip() for name in core if name not in _NOT_OURS}
                    )
                ),
                "reset_core": Out(1),
                "begins": Out(1),
                "record_error": In(1),
                "results": Out(1 + self.design.loss),
                "results_lost": In(32),
                "results_waiting": In(range(result_words(self.design) + 1)),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_axi_lite_slave"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The access in progress: `address` counts words.
        self.writing = Signal()
        self.address = Signal(self.map.bits - 2)
        self.data, self.strobes = Signal(32), Signal(4)
        #: What an access to a register brings, in its clock.
        self.word, self.error = Signal(32), Signal(init=1)
        self.stored = {
            register.name: Signal(register.width, name=register.name, init=register.reset)
            for register in self.map.registers
            if register.access in ("write", "idle", "clear")
        }
        core = self.core
        initializing = core.initializing if self.design.seeded_weights else Const(0)
        self.occupied = Signal()
        m.d.comb += self.occupied.eq(core.busy | initializing | self.reset_core)
        self.sources = self._sources(m, initializing)
        self._ports(m)
        self._interrupt(m)
        self._sequence(m, platform)
        return m

    def _sources(self, m: Module, initializing: Value) -> dict[str, Value]:
        """What the registers hold that are not stored here."""
        core = self.core
        flags = (core.busy, core.done, core.loaded, initializing, self.record_error)
        self.halves = {name: Signal(32, name=f"{name}_high") for name in ("clocks", "stalls")}
        return {
            "status": Cat(flags),
            "clocks": core.clocks[:32],
            "stalls": core.stalls[:32],
            **{f"{name}_high": half for name, half in self.halves.items()},
            "trained": core.trained,
            "results_lost": self.results_lost,
            "results_waiting": self.results_waiting,
        }

    def _ports(self, m: Module) -> None:
        """What goes to the core in whatever state."""
        core, stored = self.core, self.stored
        m.d.comb += [
            *(getattr(core, name).eq(stored[name]) for name in _RUN if name in stored),
            self.reset_core.eq(stored["reset"]),
            self.results.eq(stored["results"]),
            core.weight_address.eq(self.address),
            core.weight_data.eq(self.data),
            self.begins.eq(core.start),
        ]
        m.d.sync += [core.start.eq(0), core.stop.eq(0), core.weight_write.eq(0)]
        if self.design.seeded_weights:
            m.d.sync += core.initialize.eq(0)

    def _interrupt(self, m: Module) -> None:
        """An event is pending from when it happens until it is cleared; happening comes first."""
        pending = self.stored["interrupt_pending"]
        now = Cat(self.core.done, self.record_error)
        before = Signal.like(now)
        self.cleared = Signal.like(pending)
        m.d.sync += [
            before.eq(now),
            pending.eq((pending & ~self.cleared) | (now & ~before)),
            self.irq.eq((pending & self.stored["interrupt_enable"]).any()),
        ]

    def _sequence(self, m: Module, platform: object) -> None:
        bits = self.map.bits
        slices = {"aw": RegisterSlice(bits), "w": RegisterSlice(36), "ar": RegisterSlice(bits)}
        for name, part in slices.items():
            place(m, name, part, platform)
            payload = (
                Cat(self.s_axi_wdata, self.s_axi_wstrb)
                if name == "w"
                else getattr(self, f"s_axi_{name}addr")
            )
            m.d.comb += [
                part.i.payload.eq(payload),
                part.i.valid.eq(getattr(self, f"s_axi_{name}valid")),
                getattr(self, f"s_axi_{name}ready").eq(part.i.ready),
            ]
        aw, w, ar = (part.o for part in slices.values())
        for channel in ("b", "r"):
            with m.If(getattr(self, f"s_axi_{channel}ready")):
                m.d.sync += getattr(self, f"s_axi_{channel}valid").eq(0)
        latency = self.schedule.latencies.weight_port
        left = Signal(range(max(2, latency)))
        with m.FSM():
            with m.State("IDLE"):
                written = aw.valid & w.valid & ~self.s_axi_bvalid
                read = ar.valid & ~self.s_axi_rvalid
                write = written & ~(read & self.writing)
                with m.If(write):
                    m.d.comb += [aw.ready.eq(1), w.ready.eq(1)]
                with m.If(read & ~write):
                    m.d.comb += ar.ready.eq(1)
                with m.If(written | read):
                    m.d.sync += [
                        self.writing.eq(write),
                        self.address.eq(Mux(write, aw.payload, ar.payload)[2:]),
                        Cat(self.data, self.strobes).eq(w.payload),
                    ]
                    m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += left.eq(latency - 2)
                m.next = "ACT"
            good = self._weight_exists(m) & ~self.occupied
            with m.State("ACT"):
                with m.If(~self.address[-1]):
                    self._registers(m)
                    self._answer(m, self.word, self.error)
                with m.Elif(self.writing):
                    good_write = good & self.strobes.all()
                    m.d.sync += self.core.weight_write.eq(good_write)
                    self._answer(m, Const(0, 32), ~good_write)
                with m.Elif(good):
                    m.next = "WEIGHT"
                with m.Else():
                    self._answer(m, Const(0, 32), Const(1))
            with m.State("WEIGHT"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    self._answer(m, self.core.weight, Const(0))

    def _answer(self, m: Module, word: Value, error: Value) -> None:
        response = Mux(error, SLVERR, OKAY)
        with m.If(self.writing):
            m.d.sync += [self.s_axi_bvalid.eq(1), self.s_axi_bresp.eq(response)]
        with m.Else():
            m.d.sync += [
                self.s_axi_rvalid.eq(1),
                self.s_axi_rresp.eq(response),
                self.s_axi_rdata.eq(Mux(error, 0, word)),
            ]
        m.next = "IDLE"

    def _weight_exists(self, m: Module) -> Value:
        """Whether there is the word at `address`, known a clock after the address."""
        design, bits = self.design, self.map.word_bits
        word, bank = self.address[:bits], self.address[bits:-1]
        in_bank = _less(bank, design.processing_elements) & _less(word, design.bank_words)
        in_bias = (bank == design.processing_elements) & _less(word, design.bias_words)
        exists = Signal()
        m.d.sync += exists.eq(in_bank | in_bias)
        return exists

    def _registers(self, m: Module) -> None:
        """One access, in one clock; what is not there keeps `error`."""
        with m.Switch(self.address[:-1]):
            for register in self.map.registers:
                with m.Case(register.offset >> 2):
                    with m.If(~self.writing):
                        self._read(m, register)
                    with m.Else():
                        self._write(m, register)

    def _read(self, m: Module, register: Register) -> None:
        constant = Const(register.reset if register.access == "constant" else 0, 32)
        known = self.stored | self.sources
        m.d.comb += [self.error.eq(0), self.word.eq(known.get(register.name, constant))]
        if register.name in self.halves:
            counter = getattr(self.core, register.name)
            m.d.sync += self.halves[register.name].eq(counter[32:])

    def _write(self, m: Module, register: Register) -> None:
        mask = Cat(strobe.replicate(8) for strobe in self.strobes)[: register.width]
        data = self.data[: register.width]
        if register.access in ("write", "idle"):
            stored = self.stored[register.name]
            allowed = ~self.occupied if register.access == "idle" else Const(1)
            m.d.comb += self.error.eq(~allowed)
            with m.If(allowed):
                m.d.sync += stored.eq((data & mask) | (stored & ~mask))
        elif register.access == "clear":
            m.d.comb += [self.error.eq(0), self.cleared.eq(data & mask)]
        elif register.access == "pulse":
            self._control(m, data & mask)

    def _control(self, m: Module, asked: Value) -> None:
        """What the register `control` does: one thing at a time."""
        start, infer, stop, initialize = asked
        if not self.design.seeded_weights:
            initialize = Const(0)
        both = (start & stop) | (start & initialize) | (stop & initialize)
        bad_batch = Const(0)
        if self.design.batch > 1:
            batch = self.stored["batch"]
            bad_batch = start & ((batch == 0) | ~_less(batch, self.design.batch + 1))
        m.d.comb += self.error.eq(both | ((start | initialize) & self.occupied) | bad_batch)
        with m.If(~self.error):
            m.d.sync += [
                self.core.start.eq(start),
                self.core.infer.eq(infer),
                self.core.stop.eq(stop),
            ]
            if self.design.seeded_weights:
                m.d.sync += self.core.initialize.eq(initialize)


def _less(value: Value, limit: int) -> Value:
    """Whether it is; without a comparison if that is always or never so."""
    if 0 < limit < 1 << len(value):
        return value < limit
    return Const(limit > 0)
