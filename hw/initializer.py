"""Random initial weights, made in the machine from a seed."""

import math

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.design import Design, Layer
from hw.fp.bits import leading_zeros
from hw.shape import below

# xor128 of G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003: its shifts,
# and the words that it starts from; the seed takes the place of the fourth. Period 2^128 - 1.
_SHIFTS = (11, 8, 19)
_START = (123456789, 362436069, 521288629)

# A change of one bit of the seed reaches half of the bits within 80 steps.
WARM_UP = 128

_RANDOM_BITS = 18  # of a weight, sign included; the widest factor of one DSP block
_SCALE_BITS = 6  # the product of the two fits FP32's significand: nothing is ever rounded
_PIPELINE = 2

# Deviation of the weights times the root of the layer's inputs.
_GAINS = {"relu": 1.4}
_GAIN = 2.0


def initial_scale(layer: Layer, activation: str) -> tuple[int, int]:
    """How large the layer's weights may be, as a whole number and a power of two: c * 2**s.

    Uniform numbers of up to sqrt(3) times the deviation have that deviation. c has 6 bits.
    """
    gain = _GAINS.get(activation, _GAIN)
    fraction, exponent = math.frexp(gain * math.sqrt(3 / layer.inputs))
    whole = round(fraction * (1 << _SCALE_BITS))
    if whole == 1 << _SCALE_BITS:
        return whole // 2, exponent + 1 - _SCALE_BITS
    return whole, exponent - _SCALE_BITS


def initialize_clocks(design: Design) -> int:
    """For how many clocks `initializing` stays: one for each weight and bias, and a constant."""
    words = sum(layer.outputs * (layer.inputs + 1) for layer in design.weight_layers)
    return WARM_UP + words + _PIPELINE


class WeightInitializer(wiring.Component):
    """Writes random weights and biases of zero through the weight port, one a clock.

    Neuron by neuron, from the first layer up, and for each the bias and then the weights of its
    inputs in their order: the same seed gives the same weights however they are spread over the
    PEs. The generator goes a step further for each of these words, biases too.

    A weight is uniform between -c * 2**s and c * 2**s, with c and s of `initial_scale`. The highest
    bit of the random word is its sign; the next 17 bits, u, make its size, (2u + 1) / 2**18 of the
    most. So weights are symmetric about zero, and none is zero. The product of 18 and of 6 bits is
    exact in FP32: it takes one multiplier block of the FPGA, and nothing that rounds.

    `initialize_clocks(design)` clocks, from the clock after `initialize`.

    Members
    -------
    initialize : begin; ignored while `initializing`.
    seed : read with `initialize`; every seed is good, 0 too.
    initializing : weights are being written, or will be.
    write, bank, word, data : write port of weights; bank P is the bias bank.
    """

    clocked = True

    def __init__(self, design: Design) -> None:
        self.design = design
        super().__init__(
            {
                "initialize": In(1),
                "seed": In(32),
                "initializing": Out(1),
                "write": Out(1),
                "bank": Out(range(design.processing_elements + 1)),
                "word": Out(below(max(design.bank_words, design.bias_words))),
                "data": Out(32),
            }
        )

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.design.name}_weight_initializer"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        begin, active, step, end = Signal(), Signal(), Signal(), Signal()
        warming = Signal(range(WARM_UP + 1))
        m.d.comb += [
            begin.eq(self.initialize & ~self.initializing),
            step.eq(active & (warming == 0)),
        ]
        with m.If(begin):
            m.d.sync += [active.eq(1), warming.eq(WARM_UP)]
        with m.Elif(warming != 0):
            m.d.sync += warming.eq(warming - 1)
        with m.Elif(end):
            m.d.sync += active.eq(0)
        random = self._random(m, begin)
        written = self._weights(m, random, step, end)
        m.d.comb += self.initializing.eq(active | written | self.write)
        return m

    def _random(self, m: Module, begin: Signal) -> Signal:
        """The generator's last word; a new one each clock."""
        left, right, last = _SHIFTS
        x, y, z, w = words = [Signal(32, name=f"random_{name}") for name in "xyzw"]
        shifted = Signal(32)
        m.d.comb += shifted.eq(x ^ (x << left))
        m.d.sync += [
            Cat(x, y, z).eq(Cat(y, z, w)),
            w.eq(w ^ (w >> last) ^ shifted ^ (shifted >> right)),
        ]
        with m.If(begin):
            m.d.sync += [
                word.eq(new) for word, new in zip(words, (*_START, self.seed), strict=True)
            ]
        return w

    def _weights(self, m: Module, random: Signal, step: Signal, end: Signal) -> Signal:
        """Two ranks of registers: the product, then the FP32 word; whether the first is full."""
        layer, zero, bank, word = self._walk(m, step, end)
        scales = [
            initial_scale(layer, name)
            for layer, name in zip(self.design.weight_layers, self.design.activations, strict=True)
        ]
        # Exponent field of a product without leading zeros.
        tops = [127 + _SCALE_BITS - 1 + s for _, s in scales]
        size = Cat(1, random[-_RANDOM_BITS:-1])
        product = Signal(_RANDOM_BITS + _SCALE_BITS)
        top, sign, is_zero, written = Signal(8), Signal(), Signal(), Signal()
        s1_bank, s1_word = Signal.like(self.bank), Signal.like(self.word)
        m.d.sync += [
            product.eq(size * Array(c for c, _ in scales)[layer]),
            top.eq(Array(tops)[layer]),
            sign.eq(random[-1]),
            is_zero.eq(zero),
            written.eq(step),
            s1_bank.eq(bank),
            s1_word.eq(word),
        ]
        zeros, _ = leading_zeros(m, "zeros", product)
        fraction = (product << zeros)[: len(product) - 1]
        m.d.sync += [
            self.data.eq(Mux(is_zero, 0, Cat(fraction, (top - zeros)[:8], sign))),
            self.write.eq(written),
            self.bank.eq(s1_bank),
            self.word.eq(s1_word),
        ]
        return written

    def _walk(self, m: Module, step: Signal, end: Signal) -> tuple[Value, Value, Value, Value]:
        """Layer (from 0), whether the word is a bias, its bank and word."""
        design, layers = self.design, self.design.weight_layers
        pes = design.processing_elements
        layer = Signal(below(len(layers)))
        neuron = Signal(below(max(each.outputs for each in layers)))
        # 0 is the bias.
        source = Signal(range(max(each.inputs for each in layers) + 1))
        bank = Signal(below(pes))
        # Of the weight, and of the first in the neuron's fold (row) or of the neuron (column).
        word, first = Signal.like(self.word), Signal.like(self.word)
        bias_word = Signal(below(design.bias_words))

        row = Array(each.mapping == "row" for each in layers)[layer]
        last_source = source == Array(each.inputs for each in layers)[layer]
        last_neuron = neuron == Array(each.outputs - 1 for each in layers)[layer]
        turn = bank == pes - 1
        bias = source == 0
        m.d.comb += end.eq(step & last_source & last_neuron & (layer == len(layers) - 1))
        with m.If(step):
            m.d.sync += source.eq(source + 1)
            with m.If(row):
                m.d.sync += word.eq(word + 1)
            with m.Elif(bias):
                m.d.sync += bias_word.eq(bias_word + 1)
            with m.Else():
                stride = Array(each.outputs for each in layers)[layer]
                m.d.sync += [
                    bank.eq(Mux(turn, 0, bank + 1)),
                    word.eq(word + Mux(turn, stride, 0)),
                ]
            with m.If(last_source):
                # A fold of a row-mapped layer ends where the next one begins.
                following = Mux(row, Mux(turn, word + 1, first), first + 1)
                m.d.sync += [
                    source.eq(0),
                    neuron.eq(neuron + 1),
                    bank.eq(Mux(row & ~turn, bank + 1, 0)),
                    word.eq(following),
                    first.eq(following),
                ]
                with m.If(last_neuron):
                    bases = [each.base for each in (*layers[1:], layers[0])]
                    m.d.sync += [
                        layer.eq(layer + 1),
                        neuron.eq(0),
                        bank.eq(0),
                        word.eq(Array(bases)[layer]),
                        first.eq(Array(bases)[layer]),
                    ]
            # Ready for another time.
            with m.If(end):
                m.d.sync += [layer.eq(0), bias_word.eq(0)]
        elsewhere = bias & ~row
        return layer, bias, Mux(elsewhere, pes, bank), Mux(elsewhere, bias_word, word)
