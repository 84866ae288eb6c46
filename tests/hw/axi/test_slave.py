"""What the benches of whole cores do not reach: counters of more than 32 bits."""

from amaranth.sim import Simulator

from hw.axi.slave import AxiLiteSlave
from hw.schedule import design_for, make_schedule

CLOCKS, CLOCKS_HIGH, STALLS, STALLS_HIGH = 0x80, 0x84, 0x88, 0x8C


def test_halves_of_a_counter_belong_together():
    slave = AxiLiteSlave(make_schedule(design_for((1, 1))))
    found = []

    async def read(ctx, address):
        ctx.set(slave.s_axi_araddr, address)
        ctx.set(slave.s_axi_arvalid, 1)
        await ctx.tick().until(slave.s_axi_arready)
        ctx.set(slave.s_axi_arvalid, 0)
        ctx.set(slave.s_axi_rready, 1)
        word, _ = (
            await ctx.tick().sample(slave.s_axi_rdata, slave.s_axi_rresp).until(slave.s_axi_rvalid)
        )
        ctx.set(slave.s_axi_rready, 0)
        return word

    async def bench(ctx):
        ctx.set(slave.core.clocks, 0x1_FFFF_FFFF)
        ctx.set(slave.core.stalls, 0x5_FFFF_FFFE)
        for address in (CLOCKS, STALLS):
            found.append(await read(ctx, address))
        ctx.set(slave.core.clocks, 0x2_0000_0000)
        ctx.set(slave.core.stalls, 0x6_0000_0000)
        for address in (CLOCKS_HIGH, STALLS_HIGH, CLOCKS, CLOCKS_HIGH):
            found.append(await read(ctx, address))

    simulator = Simulator(slave)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [0xFFFFFFFF, 0xFFFFFFFE, 1, 5, 0, 2]
