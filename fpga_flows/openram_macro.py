"""Prices one SRAM macro; run by the Python that has OpenRAM, in a folder of its own.

Standard library and OpenRAM only: the rest of this project need not be there.
"""

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

# Millions of events a second that OpenRAM's power stands for; pJ are mW / GHz.
_MHZ_PER_GHZ = 1000

_CONFIG = """tech_name = "freepdk45"
word_size = {bits}
num_words = {words}
num_rw_ports = {both}
num_r_ports = {reads}
num_w_ports = {writes}
nominal_corner_only = True
analytical_delay = True
check_lvsdrc = False
route_supplies = False
perimeter_pins = False
use_conda = False
output_name = "macro"
"""


def _connect_pin(net: object, pin: object) -> None:
    """In place of OpenRAM's own, which looks through all pins of the net before it adds one."""
    known = net.__dict__.setdefault("known_pins", set())
    if id(pin) not in known:
        known.add(id(pin))
        net.pins.append(pin)


def main(words: int, bits: int, both: int, reads: int, writes: int) -> dict[str, float]:
    """Area in um2, access time in ns, energy of an access in pJ, leakage in uW.

    The macro has `both` ports that read and write, `reads` that read and `writes` that write. It is
    placed, not routed: wires along the cells are priced, the edge with its pins and the supply ring
    are not.
    """
    # This folder has modules of its own, which OpenRAM might take for its.
    del sys.path[0]
    package = Path(importlib.util.find_spec("openram").origin).parent
    os.environ["OPENRAM_HOME"] = str(package / "compiler")
    os.environ["OPENRAM_TECH"] = str(package / "technology")
    # It deletes all that it finds in there.
    os.environ["OPENRAM_TMP"] = tempfile.mkdtemp(dir=os.getcwd())
    config = Path("config.py").absolute()
    config.write_text(
        _CONFIG.format(words=words, bits=bits, both=both, reads=reads, writes=writes),
        encoding="utf-8",
    )
    # It reads its options from there as soon as it is imported.
    sys.argv = ["openram"]
    import openram

    openram.init_openram(config_file=str(config))
    openram.setup_bitcell()

    from openram import sram_config, tech
    from openram.base.hierarchy_spice import net_spice
    from openram.characterizer.elmore import elmore
    from openram.modules.sram_1bank import sram_1bank

    net_spice.connect_pin = _connect_pin
    sram = sram_1bank("macro", sram_config(word_size=bits, num_words=words))
    sram.create_netlist()
    sram.place_instances()
    low, high = sram.find_lowest_coords(), sram.find_highest_coords()

    spice = tech.spice
    corner = ("TT", spice["nom_supply_voltage"], spice["nom_temperature"])
    load_slew = [(spice["dff_in_cap"], spice["rise_time"])]
    whole, ports = elmore(sram, "macro.sp", corner).get_lib_values(load_slew)
    read = ports[sram.read_ports[0]]
    # All ports work in every event: each of them has its share.
    energy = read["read0_power"][0] / spice["default_event_frequency"] * _MHZ_PER_GHZ
    return {
        "area_um2": round(float((high[0] - low[0]) * (high[1] - low[1])), 1),
        "access_ns": round(float(read["delay_lh"][0]), 4),
        "access_energy_pj": round(float(energy) / len(ports), 3),
        "leakage_uw": round(float(whole["leakage_power"]) * 1000, 3),
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
