"""The floor plan of arrays that fill an ECP5."""

import itertools

import pytest

from fpga_flows import ulx3s
from fpga_flows.floorplan import MEMORY, MULTIPLIER, blocks, constrain, needed, sites


@pytest.fixture(scope="module", params=["ulx3s-25f", "ulx3s-85f"])
def there(request, tmp_path_factory):
    board = request.param
    folder = tmp_path_factory.mktemp("sites")
    return sites(ulx3s.BOARDS[board][0].options[0], ulx3s.RESOURCES[board], folder)


def netlist(pes: int, memories: int) -> dict:
    """As Yosys writes it, what matters: PEs of four multipliers, and two blocks of others."""
    names = [
        (f"core.neurons.pe_{pe}.product_{k}", MULTIPLIER) for pe in range(pes) for k in range(4)
    ]
    names += [
        (f"core.neurons.pe_{pe}.bank_{k}", MEMORY) for pe in range(pes) for k in range(memories)
    ]
    names += [("core.vectors.memory", MEMORY), ("core.forward.multiplier", MULTIPLIER)]
    cells = {name: {"type": kind, "attributes": {}} for name, kind in names}
    return {"modules": {"top": {"cells": cells}}}


def test_every_site_is_found_once(there):
    for kind in (MULTIPLIER, MEMORY):
        assert len(there[kind]) == len({site.name for site in there[kind]})
    assert (len(there[MULTIPLIER]), len(there[MEMORY])) in ((28, 56), (156, 208))


def test_blocks_of_a_pe_lie_together_and_neighbours_side_by_side(there):
    pes = len(there[MULTIPLIER]) // 4 - 1
    made = netlist(pes, memories=len(there[MEMORY]) // (pes + 1))
    constrain(made, there)
    cells = made["modules"]["top"]["cells"]
    places = {site.name: site for kind in (MULTIPLIER, MEMORY) for site in there[kind]}
    used = [cell["attributes"]["BEL"] for cell in cells.values() if "BEL" in cell["attributes"]]
    assert len(used) == len(set(used)) == len(cells) - 2
    centres = []
    for pe in range(pes):
        mine = {
            kind: [places[cells[name]["attributes"]["BEL"]] for name in of_pes[pe]]
            for kind, of_pes in blocks(made).items()
        }
        for kind, found in mine.items():
            assert set(found) <= set(there[kind])
        multipliers = mine[MULTIPLIER]
        assert len({site.y for site in multipliers}) == 1
        assert max(site.x for site in multipliers) - min(site.x for site in multipliers) < 9
        x = [sum(site.x for site in found) / len(found) for found in mine.values()]
        assert abs(x[0] - x[1]) < 12
        centres.append(sum(x) / 2)
    assert all(abs(a - b) < 15 for a, b in itertools.pairwise(centres))


def test_only_arrays_that_fill_the_chip_need_it(there):
    half = len(there[MULTIPLIER]) // 8
    assert not needed(netlist(half, 1), there)
    assert needed(netlist(half + 1, 1), there)
    assert needed(netlist(1, len(there[MEMORY]) // 2 + 1), there)
