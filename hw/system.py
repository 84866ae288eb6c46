"""The machine with a link to a host: two pins beside the clock."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.core import Core
from hw.errors import InputError
from hw.link.endpoint import LinkEndpoint
from hw.link.receiver import PacketReceiver
from hw.link.transmitter import PacketTransmitter
from hw.link.uart import UartReceiver, UartTransmitter, divisor
from hw.schedule import Schedule
from hw.verilog import place

# Time without a byte, in the middle of a packet, after which it is given up: longer than a host
# that is busy makes it wait.
GAP_SECONDS = 0.1


class System(wiring.Component):
    """A core that a host loads, starts and reads over a UART: docs/link.md.

    Parameters
    ----------
    schedule : of the core.
    clock_hz : clock frequency.
    baud : bits a second on the line.
    gap_seconds : time without a byte after which the packet in progress is given up.

    Members
    -------
    rx : from the host; any clock domain.
    tx : to the host.

    Raises InputError if the clock does not give the baud rate (hw.link.uart.divisor), or the gap is
    less than 20 bits.
    """

    clocked = True

    def __init__(
        self, schedule: Schedule, clock_hz: float, baud: float, gap_seconds: float = GAP_SECONDS
    ) -> None:
        self.schedule = schedule
        self.divisor = divisor(clock_hz, baud)
        self.gap = round(clock_hz * gap_seconds)
        if self.gap < 20 * self.divisor:
            raise InputError(
                f"gap must be at least 20 bits, {20 / baud:g} s, not {gap_seconds:g} s"
            )
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_system"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = Core(self.schedule)
        uart_in, uart_out = UartReceiver(self.divisor), UartTransmitter(self.divisor)
        packets, replies = PacketReceiver(self.gap), PacketTransmitter()
        endpoint = LinkEndpoint(self.schedule)
        reset = Signal()
        place(m, "core", core, platform, reset=reset)
        place(m, "uart_receiver", uart_in, platform)
        place(m, "uart_transmitter", uart_out, platform)
        place(m, "packet_receiver", packets, platform)
        place(m, "packet_transmitter", replies, platform)
        place(m, "endpoint", endpoint, platform)
        wiring.connect(m, replies.o, uart_out.i)
        m.d.comb += [
            uart_in.rx.eq(self.rx),
            self.tx.eq(uart_out.tx),
            packets.byte.eq(uart_in.data),
            packets.byte_valid.eq(uart_in.valid),
            packets.byte_error.eq(uart_in.error),
            endpoint.packet.eq(packets.valid),
            endpoint.packet_problem.eq(packets.problem),
            endpoint.header.eq(packets.header),
            endpoint.words.eq(packets.words),
            endpoint.crc.eq(packets.crc),
            endpoint.word.eq(packets.word),
            packets.taken.eq(endpoint.taken),
            packets.address.eq(endpoint.address),
            replies.start.eq(endpoint.start_reply),
            replies.header.eq(endpoint.reply_header),
            replies.words.eq(endpoint.reply_words),
            replies.word.eq(endpoint.reply_word),
            endpoint.replying.eq(replies.busy),
            endpoint.reply_address.eq(replies.address),
            reset.eq(endpoint.reset_core),
        ]
        for path, member, ours in endpoint.core.signature.flatten(endpoint.core):
            theirs = core
            for name in path:
                theirs = getattr(theirs, name)
            m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)
        return m
