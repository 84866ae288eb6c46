"""Pipelines deliver values in the right clock; operators check their parameters."""

import random

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.fp.adder import Adder
from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, FloatFormat
from hw.fp.multiplier import Multiplier
from hw.fp.pipeline import Pipeline

STAGES = {Adder: range(2, 9), Multiplier: range(2, 7)}
both = pytest.mark.parametrize("operator", STAGES)


@pytest.mark.parametrize("registered", [("first",), ("second",), ("first", "second", "third")])
def test_value_arrives_with_its_step(registered):
    m, source, target = Module(), Signal(8), Signal(8)
    p = Pipeline(m, registered)
    p.x = source
    p.end_step("first")
    p.y = p.x + 1
    p.end_step("second")
    p.end_step("third")
    m.d.comb += target.eq(p.x + p.y)
    sent = [random.Random(3).randrange(256) for _ in range(50)]
    seen = []

    async def bench(ctx):
        for value in sent:
            ctx.set(source, value)
            seen.append(ctx.get(target))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    latency = len(registered)
    assert seen[latency:] == [(2 * value + 1) % 256 for value in sent[: len(sent) - latency]]


def test_misuse_of_a_pipeline():
    p = Pipeline(Module(), ())
    p.x = Signal(3)
    with pytest.raises(AttributeError, match=r"^x is assigned twice$"):
        p.x = Signal(3)
    with pytest.raises(AttributeError, match=r"^y is read before it is assigned$"):
        _ = p.y


def test_unread_values_cost_no_registers():
    m = Module()
    p = Pipeline(m, ("first", "second"))
    p.read, p.unread = Signal(3), Signal(3)
    p.end_step("first")
    p.end_step("second")
    _ = p.read
    text = rtlil.convert(m, ports=[])
    assert "s2_read" in text
    assert "s1_unread" not in text


@both
@pytest.mark.parametrize("subnormals", ["flush", "ieee"])
@pytest.mark.parametrize(
    "format", [BINARY32, BINARY16, BFLOAT16, E5M2, E4M3, FloatFormat(2, 2), FloatFormat(11, 52)]
)
def test_every_legal_combination_elaborates(operator, format, subnormals):
    for stages in STAGES[operator]:
        component = operator(format, subnormals=subnormals, stages=stages)
        assert component.latency == stages
        text = rtlil.convert(component, name=component.module_name, emit_src=False)
        assert f"module \\{component.module_name}\n" in text


def test_defaults():
    assert Adder().module_name == "adder_e8f23_flush_4"
    assert Multiplier().module_name == "multiplier_e8f23_flush_3"


@both
def test_names_tell_all_apart(operator):
    names = {
        operator(format, subnormals=subnormals, stages=stages).module_name
        for format in (BINARY32, BFLOAT16)
        for subnormals in ("flush", "ieee")
        for stages in STAGES[operator]
    }
    assert len(names) == 4 * len(STAGES[operator])
    assert all(name.isidentifier() for name in names)


@both
def test_steps_with_registers_exist(operator):
    for table in operator.REGISTERED.values():
        for stages, registered in table.items():
            assert len(registered) == stages
            assert registered == tuple(s for s in operator.STEPS if s in registered)
            assert registered[-1] == operator.STEPS[-1]


@both
def test_bad_parameters(operator):
    low, high = min(STAGES[operator]), max(STAGES[operator])
    for stages in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"^stages must be from {low} to {high}, not {stages}"):
            operator(stages=stages)
    with pytest.raises(TypeError, match=r"^stages must be an integer, not 3\.5$"):
        operator(stages=3.5)
    with pytest.raises(ValueError, match=r"^subnormals must be 'ieee' or 'flush', not 'keep'$"):
        operator(subnormals="keep")
    with pytest.raises(TypeError, match=r"^subnormals must be a string, not None$"):
        operator(subnormals=None)
    with pytest.raises(TypeError, match=r"^format must be a FloatFormat, not 32$"):
        operator(32)


def test_dsps_of_a_multiplier():
    assert Multiplier(dsps=4).module_name == Multiplier().module_name
    assert Multiplier(dsps=2).module_name == "multiplier_e8f23_flush_3_2dsp"
    assert Multiplier(dsps=1).module_name == "multiplier_e8f23_flush_3_1dsp"
    # A small product takes one, whatever is allowed.
    assert Multiplier(BFLOAT16, dsps=2).module_name == Multiplier(BFLOAT16).module_name
    with pytest.raises(ValueError, match=r"^dsps must be 1, 2 or 4, not 3$"):
        Multiplier(dsps=3)
    with pytest.raises(TypeError, match=r"^dsps must be an integer, not '2'$"):
        Multiplier(dsps="2")
