"""Datapaths written as a sequence of combinational steps, with registers between some of them."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from amaranth.hdl import Elaboratable, Module, Signal, Value, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.fp.format import BINARY32, FloatFormat


class Pipeline:
    """Named values of a datapath, each delivered in the clock of the step that reads it.

    A step assigns values (`p.sum = a + b`) and reads them and those of the steps before it
    (`p.sum`, or `p["sum"]` where the name is computed).
    `end_step` closes a step; where its name is among `registered`, a rank of registers follows.
    A value read n ranks after it was assigned comes through n registers, which are made when they
    are first needed: a value that nobody reads later costs none. The registers have no reset.

    Parameters
    ----------
    m: Module
        Where the logic goes; registers are in its `sync` domain.
    registered: collection of str
        The steps that end in registers.
    """

    def __init__(self, m: Module, registered: Collection[str]) -> None:
        vars(self).update(m=m, _registered=registered, _rank=0, _copies={}, _first={})

    def __setattr__(self, name: str, value: ValueLike) -> None:
        if name in self._copies:
            raise AttributeError(f"{name} is assigned twice")
        value = Value.cast(value)
        signal = Signal(value.shape(), name=f"s{self._rank}_{name}")
        self.m.d.comb += signal.eq(value)
        self._copies[name] = [signal]
        self._first[name] = self._rank

    def __getattr__(self, name: str) -> Signal:
        if name not in self._copies:
            raise AttributeError(f"{name} is read before it is assigned")
        copies, first = self._copies[name], self._first[name]
        while first + len(copies) <= self._rank:
            rank = first + len(copies)
            copy = Signal.like(copies[-1], name=f"s{rank}_{name}", reset_less=True)
            self.m.d.sync += copy.eq(copies[-1])
            copies.append(copy)
        return copies[self._rank - first]

    def __setitem__(self, name: str, value: ValueLike) -> None:
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Signal:
        return getattr(self, name)

    def end_step(self, name: str) -> None:
        """Close step `name`, with registers if it is one of those."""
        if name in self._registered:
            vars(self)["_rank"] += 1


class Datapath(wiring.Component):
    """A pipelined function of numbers: the frame of all floating-point components.

    Throughput is one result each clock. Operands presented in clock t give their result in clock
    t + latency. The output comes directly from registers.

    A subclass gives `STEPS`, the names of its steps, and a method of each name with a leading
    underscore, which takes the `Pipeline`; the first finds the operands in it by the names of
    their ports (`p.a`), the last leaves the result in `p.o`. `REGISTERED` says which steps end in
    registers, by treatment of subnormals and number of stages; the latency follows from that.

    Parameters
    ----------
    operands: dict of str to FloatFormat
        Names and formats of the operands.
    result: FloatFormat
        Format of the result.
    subnormals: str
        "ieee" or "flush".
    stages: int
        Number of register ranks; a subclass states its range and default.

    Members
    -------
    (each operand): In(its format's width)
        Operand.
    o: Out(result.width)
        Result.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind, or out of range.
    """

    STEPS: ClassVar[tuple[str, ...]]
    REGISTERED: ClassVar[dict[str, dict[int, tuple[str, ...]]]]
    clocked = True

    def __init__(
        self,
        operands: Mapping[str, FloatFormat],
        result: FloatFormat,
        *,
        subnormals: str,
        stages: int,
    ) -> None:
        if not isinstance(subnormals, str):
            raise TypeError(f"subnormals must be a string, not {subnormals!r}")
        if subnormals not in ("ieee", "flush"):
            raise ValueError(f"subnormals must be 'ieee' or 'flush', not {subnormals!r}")
        if not isinstance(stages, int) or isinstance(stages, bool):
            raise TypeError(f"stages must be an integer, not {stages!r}")
        legal = self.REGISTERED[subnormals]
        if stages not in legal:
            low, high = min(legal), max(legal)
            raise ValueError(f"stages must be from {low} to {high}, not {stages}")
        self.operands = dict(operands)
        self.subnormals = subnormals
        self.stages = stages
        ports = {name: In(format.width) for name, format in self.operands.items()}
        super().__init__(ports | {"o": Out(result.width)})

    @property
    def registered(self) -> tuple[str, ...]:
        """Names of the steps that end in registers."""
        return self.REGISTERED[self.subnormals][self.stages]

    @property
    def latency(self) -> int:
        """Clocks from the operands to their result."""
        return len(self.registered)

    def elaborate(self, platform: Any) -> Elaboratable:
        """The steps one after the other, with their registers."""
        m = Module()
        p = Pipeline(m, self.registered)
        for name in self.operands:
            p[name] = getattr(self, name)
        for step in self.STEPS:
            getattr(self, f"_{step}")(p)
            p.end_step(step)
        m.d.comb += self.o.eq(p.o)
        return m


class Operator(Datapath):
    """A function of two numbers `a` and `b` of one format, with a result of that format too.

    Parameters
    ----------
    format: FloatFormat
        Format of operands and result.
    subnormals, stages:
        As of `Datapath`.

    Members
    -------
    a, b: In(format.width)
        Operands.
    o: Out(format.width)
        Result.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind, or out of range.
    """

    def __init__(
        self, format: FloatFormat = BINARY32, *, subnormals: str = "flush", stages: int
    ) -> None:
        self.format = check_format("format", format)
        super().__init__({"a": format, "b": format}, format, subnormals=subnormals, stages=stages)

    @property
    def module_name(self) -> str:
        """Name of the Verilog module, telling apart all that differs in content."""
        kind = type(self).__name__.lower()
        return f"{kind}_{self.format.name}_{self.subnormals}_{self.stages}"


def check_format(name: str, format: FloatFormat) -> FloatFormat:
    """`format`, parameter `name`; raises TypeError if it is no FloatFormat."""
    if not isinstance(format, FloatFormat):
        raise TypeError(f"{name} must be a FloatFormat, not {format!r}")
    return format
