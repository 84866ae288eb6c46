"""`gradwire generate --bus axi`: header and JSON, and the template of docs/integration.md."""

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
from sim.simulator import lint

NAME = "gradwire_3_3_3_1_p3_axi"
DESIGNS = [
    design_for((3, 3, 3, 1)),
    design_for((5, 7, 2), 4, batch=3, seeded_weights=True),
]
designs = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


def test_generate(run_json, folder, request):
    """The files, and that hand-written Verilog around the core passes the lint."""
    found = run_json("generate", "3-3-3-1", "--bus", "axi", "-o", "rtl")
    assert found["name"] == NAME
    assert found["files"] == [f"rtl/{NAME}.{kind}" for kind in ("v", "h", "json")]
    about = json.loads((folder / f"rtl/{NAME}.json").read_text())
    assert about["verilog"] == {"file": f"{NAME}.v", "top": NAME, "sha256": found["sha256"]}
    page = (request.config.rootpath / "docs/integration.md").read_text(encoding="utf-8")
    (template,) = re.findall(r"^```verilog\n(.*?)^```", page, re.M | re.S)
    (folder / "soc.v").write_text(template, encoding="utf-8")
    lint([folder / "soc.v", folder / f"rtl/{NAME}.v"], "soc_accelerator")
    bits = {port["name"]: port["width"] for port in about["ports"]}["s_axi_awaddr"]
    assert f"[{bits - 1}:0] s_axi_awaddr" in template and bits == about["bus"]["address_bits"]


def test_unknown_bus(fails):
    assert "bus must be one of axi, not 'ahb'" in fails("generate", "1-1", "--bus", "ahb")


def test_the_plain_core_is_the_default(run_json, folder):
    assert len(run_json("generate", "1-1")["files"]) == 2


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
