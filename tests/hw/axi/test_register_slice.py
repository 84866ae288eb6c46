"""The register slice under random pauses on both sides."""

import random

from amaranth.sim import Simulator

from hw.axi.register_slice import RegisterSlice


def test_all_words_in_order_one_a_clock():
    rng = random.Random(1)
    slice_ = RegisterSlice(8)
    words = [rng.randrange(256) for _ in range(500)]
    found, clocks = [], []

    async def send(ctx):
        for number, word in enumerate(words):
            while number < 400 and rng.random() < 0.4:
                ctx.set(slice_.i.valid, 0)
                await ctx.tick()
            ctx.set(slice_.i.valid, 1)
            ctx.set(slice_.i.payload, word)
            await ctx.tick().until(slice_.i.ready)
        ctx.set(slice_.i.valid, 0)

    async def receive(ctx):
        held = None
        for clock in range(3000):
            ready = len(found) >= 400 or rng.random() < 0.5
            ctx.set(slice_.o.ready, ready)
            valid, word = ctx.get(slice_.o.valid), ctx.get(slice_.o.payload)
            assert held is None or (valid and word == held), f"clock {clock}"
            held = word if valid and not ready else None
            if valid and ready:
                found.append(word)
                clocks.append(clock)
            await ctx.tick()

    simulator = Simulator(slice_)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.run()
    assert found == words
    assert clocks[-1] - clocks[420] == len(words) - 1 - 420
