"""Where the elements of vectors lie that come from another group."""

from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.arrivals import Arrivals


class Model:
    """What Arrivals should say, by counting."""

    def __init__(self, length, copies, stride):
        self.length, self.copies, self.stride = length, copies, stride
        self.restart(0)

    def restart(self, first):
        self.first, self.elements, self.used = first, 0, 0

    def place(self):
        vector, element = divmod(self.elements, self.length)
        offset, lane = divmod(element, self.stride)
        return lane, offset, (self.first + vector) % self.copies

    def waiting(self):
        return self.elements // self.length - self.used


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 7),
    copies=st.sampled_from([1, 2, 4, 8]),
    stride=st.integers(1, 4),
    restart=st.booleans(),
    data=st.data(),
)
def test_elements_go_to_their_places(length, copies, stride, restart, data):
    dut, model = Arrivals(length, copies, stride), Model(length, copies, stride)
    wanted = data.draw(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
    checked = []

    async def drive(ctx):
        for number, (step, use) in enumerate(wanted):
            # No more vectors wait than there are copies, and only those that wait are used.
            if model.waiting() == copies and (model.elements + 1) % length == 0:
                step = False
            use = use and model.waiting() > 0
            assert ctx.get(dut.waits) == (model.waiting() > 0)
            lane, offset, copy = model.place()
            found = [ctx.get(port) for port in (dut.lane, dut.offset, dut.copy)]
            assert found == [lane, offset, copy]
            checked.append(number)
            ctx.set(dut.step, step)
            ctx.set(dut.use, use)
            whole = model.elements % length == 0 and not step
            again = restart and number % 20 == 19 and whole
            ctx.set(dut.restart, again)
            ctx.set(dut.first, number % copies)
            await ctx.tick()
            model.elements += step
            model.used += use
            if again:
                model.restart(number % copies)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(checked) == len(wanted)
