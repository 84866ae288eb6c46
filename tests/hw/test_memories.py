"""The list of memories is that of the generated Verilog: none forgotten, none made up."""

import re
from collections import Counter

import pytest

from hw.core import Core
from hw.memories import memories
from hw.schedule import design_for, make_schedule
from hw.verilog import to_verilog

MEMORY = re.compile(r"^  reg (?:\[(\d+):0\] )?\S+ +\[(\d+):0\];$", re.M)

DESIGNS = {
    "3-3-3-1": ((3, 3, 3, 1), None, {}),
    "row-mapped": ((3, 4, 2), 3, {"mapping": ("row", "row")}),
    "column-mapped, folded": ((5, 4, 3), 2, {"mapping": ("column", "column")}),
    "one layer": ((4, 1), 1, {}),
    "batches": ((4, 5, 3), 2, {"batch": 4}),
    "samples as bytes": ((7, 3), 2, {"sample_format": "bytes"}),
    "unified": ((3, 4, 2), 3, {"memory": "unified"}),
    "unified, batches": ((4, 5, 3), 2, {"memory": "unified", "batch": 4}),
    "deltas of the inputs": ((4, 3), 3, {"input_deltas": True}),
    "several functions": (
        (3, 4, 4, 2),
        4,
        {"activation": "relu,tanh,sigmoid-exact", "table_entries": 64},
    ),
    "interpolated": (
        (3, 3, 2),
        2,
        {"table_degree": 1, "table_entries": 128, "buffer_vectors": 4, "seeded_weights": True},
    ),
}


def in_verilog(text: str, top: str) -> Counter:
    """Words and bits of the memories below module `top`, and how many there are of each."""
    bodies = dict(re.findall(r"^module (\S+) ?\(.*?\);\n(.*?)^endmodule", text, re.M | re.S))

    def count(module: str) -> Counter:
        body = bodies[module]
        found = Counter((int(last) + 1, int(msb or 0) + 1) for msb, last in MEMORY.findall(body))
        for name in re.findall(r"^  (\S+) +\S+ \($", body, re.M):
            if name in bodies:
                found += count(name)
        return found

    return count(top)


@pytest.mark.parametrize("name", DESIGNS)
def test_all_memories_of_the_verilog_are_listed(name):
    layers, pes, parameters = DESIGNS[name]
    schedule = make_schedule(design_for(layers, pes, **parameters))
    found = memories(schedule)
    listed = Counter()
    for each in found:
        listed[each.words, each.bits] += each.instances
    assert listed == in_verilog(to_verilog(Core(schedule)), schedule.design.name)
    assert len({each.name for each in found}) == len(found)


def test_ports():
    """Only what is fixed is never written; nothing has more than one port of a kind."""
    found = memories(make_schedule(design_for((3, 3, 3, 1))))
    assert {each.name for each in found if not each.writes} == {"program", "table of sigmoid"}
    assert all(each.reads == 1 and each.writes <= 1 for each in found)


def test_banks_of_mnist():
    schedule = make_schedule(design_for((784, 100, 100, 10), 100))
    bank = memories(schedule)[0]
    assert (bank.name, bank.words, bank.bits, bank.instances) == ("weight bank", 910, 32, 100)
    # Column-mapped: eight folds of 100 neurons, then one fold of 100 and one of 10.
    assert schedule.design.mapping == ("column",) * 3
    assert bank.total_bits == (8 * 100 + 100 + 10) * 32 * 100
