"""A UART: 8 data bits, least significant first, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from hw.errors import InputError

_BITS = 10  # start, data, stop

# A receiver samples the stop bit 9.5 bits after the edge at which it began. Half a bit, less a
# clock of uncertainty, is for both ends' errors together: 5 % less what the clock takes.
_LEAST_DIVISOR = 4
_MOST_ERROR = 0.02


def divisor(clock_hz: float, baud: float) -> int:
    """Clocks of a bit.

    Raises InputError unless a bit has at least 4 clocks, and a whole number of them gives the baud
    rate within 2 %.
    """
    if not clock_hz > 0 or not baud > 0:
        raise InputError(
            f"clock frequency and baud rate must be more than 0, not {clock_hz:g} and {baud:g}"
        )
    clocks = round(clock_hz / baud)
    if clocks < _LEAST_DIVISOR:
        most = clock_hz / _LEAST_DIVISOR
        raise InputError(
            f"baud rate must be at most {most:g}, a {_LEAST_DIVISOR}th of the clock frequency, "
            f"not {baud:g}"
        )
    error = abs(clock_hz / clocks / baud - 1)
    if error > _MOST_ERROR:
        raise InputError(
            f"baud rate must be a whole part of the clock frequency {clock_hz:g} within "
            f"{_MOST_ERROR:.0%}, not {baud:g}, which it misses by {error:.1%}"
        )
    return clocks


class UartReceiver(wiring.Component):
    """Bytes from a serial line, each bit sampled in its middle.

    A byte is there 9.5 bits after the edge of its start bit, and 3 to 4 clocks for bringing the
    line into the clock domain. A start bit that is over before its middle is a glitch.

    Parameters
    ----------
    divisor : clocks of a bit, 4 or more.

    Members
    -------
    rx : the line, from another clock domain.
    data : the byte, with `valid`.
    valid : for one clock.
    error : with `valid`: there was no stop bit, so that the byte means nothing.
    """

    clocked = True

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__(
            {"rx": In(1, init=1), "data": Out(8), "valid": Out(1), "error": Out(1)},
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"uart_receiver_{self.divisor}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        wait = Signal(range(self.divisor))
        bit = Signal(range(_BITS))
        m.d.sync += self.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [wait.eq(self.divisor // 2 - 1), bit.eq(0)]
                with m.If(~rx):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self.divisor - 1), bit.eq(bit + 1)]
                    with m.If((bit == 0) & rx):
                        m.next = "IDLE"
                    with m.Elif(bit == _BITS - 1):
                        m.d.sync += [self.valid.eq(1), self.error.eq(~rx)]
                        m.next = "STOP"
                    with m.Else():
                        m.d.sync += self.data.eq(Cat(self.data[1:], rx))
            # Without a stop bit, the next start bit is not before the line was high.
            with m.State("STOP"), m.If(rx):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line, one in 10 bits.

    Parameters
    ----------
    divisor : clocks of a bit.

    Members
    -------
    i : stream of bytes; ready while none is on the line.
    tx : the line, from a register.
    """

    clocked = True

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"uart_transmitter_{self.divisor}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wait = Signal(range(self.divisor))
        left = Signal(range(_BITS + 1))
        bits = Signal(_BITS - 1)
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(self.i.ready), m.If(self.i.valid):
            m.d.sync += [
                self.tx.eq(0),
                bits.eq(Cat(self.i.payload, 1)),
                left.eq(_BITS),
                wait.eq(self.divisor - 1),
            ]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [
                self.tx.eq(bits[0]),
                bits.eq(Cat(bits[1:], 1)),
                left.eq(left - 1),
                wait.eq(self.divisor - 1),
            ]
        return m
