"""`gradwire generate --bus axi`: header and JSON."""

import json
import re
import subprocess

import pytest

from gradwire.describe import axi_description
from gradwire.header import c_header
from hw import tool
from hw.axi.core import AxiCore
from hw.axi.registers import AddressMap
from hw.schedule import design_for, make_schedule
from hw.verilog import port_list

NAME = "gradwire_3_3_3_1_p3_axi"
DESIGNS = [
    design_for((3, 3, 3, 1)),
    design_for((5, 7, 2), 4, batch=3, seeded_weights=True),
]
designs = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


def test_generate(run_json, folder):
    found = run_json("generate", "3-3-3-1", "--bus", "axi", "-o", "rtl")
    assert found["name"] == NAME
    names = [f"{NAME}.v", f"{NAME}_template.v", f"{NAME}_tb.sv", f"{NAME}.core"]
    names += [f"{NAME}_filelist.f", f"{NAME}.sdc", f"{NAME}.vlt", f"{NAME}.h", f"{NAME}.json"]
    assert found["files"] == [f"rtl/{name}" for name in names]
    about = json.loads((folder / f"rtl/{NAME}.json").read_text())
    assert about["verilog"] == {"file": f"{NAME}.v", "top": NAME, "sha256": found["sha256"]}


def test_unknown_bus(fails):
    assert "bus must be one of axi, not 'ahb'" in fails("generate", "1-1", "--bus", "ahb")


def test_the_plain_core_is_the_default(run_json, folder):
    assert "axi" not in run_json("generate", "1-1")["name"]


@designs
def test_header_is_the_register_map(design, tmp_path):
    """Compiled: a C program prints what the header says."""
    table, core = AddressMap(design), AxiCore(make_schedule(design))
    text = c_header(core)
    expected = {f"GRADWIRE_{r.name.upper()}": r.offset for r in table.registers}
    expected |= {
        f"GRADWIRE_{register.name.upper()}_{field.name.upper()}": 1 << field.bit
        for register in table.registers
        for field in register.fields
    }
    prefix = core.module_name.upper()
    expected |= {
        f"{prefix}_{r.name.upper()}": r.reset for r in table.registers if r.access == "constant"
    }
    named = set(re.findall(r"^#define (\w+)(?= )", text, re.M)) - {f"{prefix}_H"}
    assert named == set(expected)
    expected |= {f"{prefix}_WEIGHT({b}, {w})": table.weight(b, w) for b in range(3) for w in (0, 5)}
    printed = "".join(f'printf("%lu\\n", (unsigned long)({name}));' for name in expected)
    source = f'#include <stdio.h>\n#include "core.h"\nint main(void) {{{printed} return 0;}}\n'
    (tmp_path / "core.h").write_text(text, encoding="utf-8")
    (tmp_path / "main.cpp").write_text(source, encoding="utf-8")
    log = tmp_path / "compiler.log"
    command = [tool.compiler(), "-Wall", "-Werror", "main.cpp", "-o", "main"]
    tool.run(command, tool="the compiler", log=log, cwd=tmp_path)
    found = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert list(map(int, found.stdout.split())) == list(expected.values())


@designs
def test_json_is_the_register_map(design):
    core = AxiCore(make_schedule(design))
    about = json.loads(json.dumps(axi_description(core, "")))
    found = {r["name"]: (r["offset"], r["reset"]) for r in about["bus"]["registers"]}
    assert found == {r.name: (r.offset, r.reset) for r in core.map.registers}
    assert [p["name"] for p in about["ports"]] == [p["name"] for p in port_list(core)]
    assert [p["name"] for p in about["ports"] if not p["is"]] == []
    for bank, word in ((0, 0), (2, 1)):
        place = eval(about["weight_port"]["address"], {"bank": bank, "word": word})
        assert place == core.map.weight(bank, word)
