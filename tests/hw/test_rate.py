import numpy as np
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.design import Design
from hw.rate import LearningRate
from sim import golden


def word(value) -> int:
    return int(np.float32(value).view(np.uint32))


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(0, 1, width=32),
    share=st.floats(0, 1, width=32),
    halve_every=st.integers(0, 6),
    age=st.integers(0, 9),
    batch=st.integers(1, 4),
)
def test_steps_are_those_of_the_golden_model(rate, share, halve_every, age, batch):
    learning = golden.LearningRate(rate=rate, halve_every=halve_every, floor=rate * share, age=age)
    design = Design(layers=(1, 1), processing_elements=1, mapping=("row",), batch=4)
    model = golden.Golden(design, golden.initial_weights((1, 1), 1), learning, batch)
    expected = []
    for _ in range(20):
        model.train(np.float32([1]), np.float32([1]))
        expected.append(word(model._step))

    dut, found = LearningRate(), []
    step, floor = learning.words(batch)

    async def drive(ctx):
        for port, value in (
            (dut.rate, word(step)), (dut.floor, word(floor)),
            (dut.halve_every, halve_every), (dut.age, age), (dut.start, 1),
        ):  # fmt: skip
            ctx.set(port, value)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for sample in range(20):
            ctx.set(dut.take, 1)
            ctx.set(dut.first_of_batch, sample % batch == 0)
            await ctx.tick()
            ctx.set(dut.take, 0)
            found.append(ctx.get(dut.step))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    # What the design flushes, the multiplier does.
    flushed = [0 if value < 0x00800000 else value for value in found]
    assert flushed == expected
