"""The whole machine: core, SDRAM with the samples, and a link to a host."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.core import Core
from hw.errors import InputError
from hw.link.endpoint import LinkEndpoint
from hw.link.receiver import PacketReceiver
from hw.link.transmitter import PacketTransmitter
from hw.link.uart import UartReceiver, UartTransmitter, divisor
from hw.schedule import Schedule
from hw.sdram.chips import SdramChip, SdramTiming
from hw.sdram.controller import SdramController, pins_signature
from hw.supply import SampleSupply
from hw.verilog import place

# Time without a byte, in the middle of a packet, after which it is given up: longer than a host
# that is busy makes it wait.
GAP_SECONDS = 0.1


class System(wiring.Component):
    """A core that trains on samples in an SDRAM; a host loads, starts and reads it over a UART.

    docs/link.md says what the host may ask for.

    Parameters
    ----------
    schedule : of the core.
    clock_hz : clock frequency.
    baud : bits a second on the line.
    chip : the SDRAM.
    gap_seconds : time without a byte after which the packet in progress is given up.

    Members
    -------
    rx : from the host; any clock domain.
    tx : to the host.
    sdram : to the chip, see hw.sdram.controller.pins_signature.

    Raises InputError if the clock does not give the baud rate (hw.link.uart.divisor), if the SDRAM
    cannot work at it, or if the gap is less than 20 bits.
    """

    clocked = True

    def __init__(
        self,
        schedule: Schedule,
        clock_hz: float,
        baud: float,
        chip: SdramChip,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self.schedule = schedule
        self.timing = SdramTiming(chip, clock_hz / 1e6)
        self.divisor = divisor(clock_hz, baud)
        self.gap = round(clock_hz * gap_seconds)
        if self.gap < 20 * self.divisor:
            raise InputError(
                f"gap must be at least 20 bits, {20 / baud:g} s, not {gap_seconds:g} s"
            )
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "sdram": Out(pins_signature(chip))}
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.schedule.design.name}_system"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = Core(self.schedule)
        uart_in, uart_out = UartReceiver(self.divisor), UartTransmitter(self.divisor)
        packets, replies = PacketReceiver(self.gap), PacketTransmitter()
        endpoint = LinkEndpoint(self.schedule, self.timing.chip)
        supply = SampleSupply(self.schedule, self.timing.chip)
        controller = SdramController(self.timing)
        reset = Signal()
        place(m, "core", core, platform, reset=reset)
        place(m, "supply", supply, platform)
        place(m, "sdram_controller", controller, platform)
        place(m, "uart_receiver", uart_in, platform)
        place(m, "uart_transmitter", uart_out, platform)
        place(m, "packet_receiver", packets, platform)
        place(m, "packet_transmitter", replies, platform)
        place(m, "endpoint", endpoint, platform)
        wiring.connect(m, replies.o, uart_out.i)
        wiring.connect(m, supply.o, core.i)
        wiring.connect(m, wiring.flipped(self.sdram), controller.pins)
        _share(m, controller, supply, endpoint)
        _join(m, endpoint.core, core)
        _join(m, endpoint.supply, supply)
        m.d.comb += [
            supply.released.eq(core.released),
            supply.loaded.eq(core.loaded),
            core.start.eq(supply.start),
            controller.refresh.eq(supply.refresh),
            supply.refreshed.eq(controller.refreshed),
        ]
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
        return m


def _share(
    m: Module, controller: SdramController, supply: SampleSupply, endpoint: LinkEndpoint
) -> None:
    """The SDRAM is the supply's while it brings samples, and the endpoint's otherwise."""
    supplies, requests, words = supply.busy, controller.request, controller.o
    asked = Mux(supplies, supply.request.payload.as_value(), endpoint.o_request.payload.as_value())
    wiring.connect(m, endpoint.o_sdram, controller.i)
    m.d.comb += [
        endpoint.sdram_initialized.eq(controller.initialized),
        requests.payload.eq(asked),
        requests.valid.eq(Mux(supplies, supply.request.valid, endpoint.o_request.valid)),
        supply.request.ready.eq(requests.ready & supplies),
        endpoint.o_request.ready.eq(requests.ready & ~supplies),
        supply.i.payload.eq(words.payload),
        supply.i.valid.eq(words.valid & supplies),
        endpoint.i_sdram.payload.eq(words.payload),
        endpoint.i_sdram.valid.eq(words.valid & ~supplies),
        words.ready.eq(Mux(supplies, supply.i.ready, endpoint.i_sdram.ready)),
    ]


def _join(m: Module, ports: wiring.PureInterface, unit: wiring.Component) -> None:
    """Connects the endpoint's `ports` to those of `unit` that have the same names."""
    for (name,), member, ours in ports.signature.flatten(ports):
        theirs = getattr(unit, name)
        m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)
