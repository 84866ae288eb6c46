"""Activation functions, and how backpropagation gets their derivatives from the activations.

| function | of z | derivative from a |
|---|---|---|
| sigmoid | table or interpolation of 1 / (1 + exp(-z)) | a (1 - a) |
| sigmoid-exact | the same to 1e-7 | a (1 - a) |
| tanh | table or interpolation of tanh z | 1 - a a |
| relu | max(0, z) | 1 if a is not zero, else 0 |
| identity | z | 1 |
"""

from amaranth.lib import wiring

from hw.activation.interpolation import Interpolation
from hw.activation.linear import Identity, Rectifier
from hw.activation.table import FunctionTable
from hw.design import Design

#: Kinds of derivative, by name of the function.
A_TIMES_COMPLEMENT = "a (1 - a)"
COMPLEMENT_OF_SQUARE = "1 - a a"
STEP = "1 if a is not zero, else 0"
ONE = "1"
DERIVATIVES = {
    "sigmoid": A_TIMES_COMPLEMENT,
    "sigmoid-exact": A_TIMES_COMPLEMENT,
    "tanh": COMPLEMENT_OF_SQUARE,
    "relu": STEP,
    "identity": ONE,
}

# Entries of 0 to 16 with which the quadratic interpolation errs by less than 1e-7.
EXACT_ENTRIES = 512


def make_function(name: str, design: Design) -> wiring.Component:
    """The unit of activation function `name`: ports i and o, and its latency in clocks."""
    if name == "relu":
        return Rectifier()
    if name == "identity":
        return Identity()
    if name == "sigmoid-exact":
        return Interpolation("sigmoid", EXACT_ENTRIES, 2)
    if design.table_degree:
        return Interpolation(name, design.table_entries, design.table_degree)
    return FunctionTable(name, design.table_entries)
