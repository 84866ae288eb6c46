"""Prices of SRAM banks: from OpenRAM where it is installed, else from a stand-in for it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpga_flows import sram
from fpga_flows.sram import LARGEST, SMALLEST, VARIABLE, OpenRAM, Price, split
from hw.errors import InputError, ToolError

PRICE = {"area_um2": 100.0, "access_ns": 0.5, "access_energy_pj": 2.0, "leakage_uw": 3.0}
ANSWER = f"echo '{json.dumps(PRICE)}'"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Lets a script be OpenRAM's Python; it notes what macros it is asked for."""
    monkeypatch.setenv("GRADWIRE_CACHE", str(tmp_path / "cache"))

    def install(answer=ANSWER, version="echo 1.2.3"):
        script = tmp_path / "python"
        asked = tmp_path / "asked"
        asked.touch()
        script.write_text(
            f'#!/bin/sh\nif [ "$1" = -c ]; then {version}; exit; fi\n'
            f'shift; echo "$@" >> {asked}\necho noise\n{answer}\n'
        )
        script.chmod(0o755)
        monkeypatch.setenv(VARIABLE, str(script))
        return lambda: asked.read_text().splitlines()

    return install


@pytest.fixture
def openram(tmp_path, monkeypatch):
    """OpenRAM itself, with an empty cache."""
    try:
        found = OpenRAM()
    except ToolError:
        pytest.skip(f"no Python package openram (PyPI) here, and none by ${VARIABLE}")
    monkeypatch.setenv("GRADWIRE_CACHE", str(tmp_path / "cache"))
    return found


@given(st.integers(1, 50_000))
def test_macros_hold_the_words(words):
    macros = split(words)
    assert sum(macros) >= words
    assert all(SMALLEST <= size <= LARGEST and size.bit_count() == 1 for size in macros)
    # All but the last are full, and of the last one half would not do.
    assert macros[:-1] == (LARGEST,) * (len(macros) - 1)
    assert sum(macros[:-1]) < words
    assert macros[-1] == SMALLEST or sum(macros[:-1]) + macros[-1] // 2 < words


@pytest.mark.parametrize(
    ("words", "macros"),
    [(1, (16,)), (16, (16,)), (17, (32,)), (910, (1024,)), (1024, (1024,)), (1025, (1024, 16))],
)
def test_split(words, macros):
    assert split(words) == macros


def test_price_of_several_macros(stand_in):
    """They add up, but for an access, which uses one of them."""
    asked = stand_in()
    bank = OpenRAM().price(2530, 32)
    assert bank.macros == (1024, 1024, 512)
    assert bank.price == Price(area_um2=300.0, access_ns=0.5, access_energy_pj=2.0, leakage_uw=9.0)
    assert sorted(asked()) == ["1024 32 0 1 1", "512 32 0 1 1"]


def test_the_slowest_macro_counts(stand_in):
    stand_in(
        'if [ "$1" = 1024 ]; then t=0.9; e=7.0; else t=0.2; e=1.0; fi\n'
        'echo "{\\"area_um2\\": 1, \\"access_ns\\": $t, \\"access_energy_pj\\": $e, '
        '\\"leakage_uw\\": 1}"'
    )
    price = OpenRAM().price(1500).price
    assert (price.access_ns, price.access_energy_pj) == (0.9, 7.0)


def test_prices_are_kept(stand_in):
    asked, stages = stand_in(), []
    for _ in range(2):
        OpenRAM().price(7, progress=stages.append)
    assert asked() == ["16 32 0 1 1"]
    assert stages == ["16 words of 32 bits"]
    # Of another version, ports or bits, they are others.
    OpenRAM().price(7, ports="1rw")
    OpenRAM().price(7, 16)
    stand_in(version="echo 1.2.4")
    OpenRAM().price(7)
    assert asked()[1:] == ["16 32 1 0 0", "16 16 0 1 1", "16 32 0 1 1"]


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"area_um2": "x"}', "\xff"])
def test_a_broken_price_is_made_again(stand_in, broken):
    asked = stand_in()
    whole = OpenRAM().price(16)
    (file,) = (sram.tool.cache_dir() / "sram").glob("*.json")
    file.write_text(broken, encoding="latin-1")
    assert OpenRAM().price(16) == whole
    assert len(asked()) == 2


def test_missing(stand_in, monkeypatch):
    stand_in(version="exit 1")
    with pytest.raises(ToolError, match="package openram of PyPI") as error:
        OpenRAM()
    assert "\n" not in str(error.value) and VARIABLE in str(error.value)
    monkeypatch.setenv(VARIABLE, "/nowhere/python")
    with pytest.raises(ToolError, match="/nowhere/python does not have"):
        OpenRAM()


@pytest.mark.parametrize(
    ("answer", "says"),
    [("echo 'ERROR: file x.py: no such cell'; exit 3", "no such cell"), ("true", "no price")],
)
def test_failures(stand_in, answer, says):
    stand_in(answer)
    with pytest.raises(ToolError, match=says) as error:
        OpenRAM().price(20)
    log = Path(str(error.value).rpartition("log: ")[2])
    assert "noise" in log.read_text()
    assert not list((sram.tool.cache_dir() / "sram").glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0,), "words of a bank must be at least 1, not 0"),
        ((16, 0), "bits of a bank must be 1 to 128, not 0"),
        ((16, 129), "bits of a bank must be 1 to 128, not 129"),
        ((16, 32, "2r"), "ports of a bank must be one of 1r1w, 1rw, not '2r'"),
    ],
)
def test_bad_input(stand_in, arguments, says):
    stand_in()
    with pytest.raises(InputError, match=says):
        OpenRAM().price(*arguments)


def test_openram_itself(openram):
    """Prices grow with the bank, and are of the size that SRAM of 45 nm has."""
    small, large = openram.price(16).price, openram.price(64).price
    # Cells of 1.175 x 1.495 um, of which no macro has less.
    assert large.area_um2 > 64 * 32 * 1.175 * 1.495
    assert 0.05 < small.access_ns < large.access_ns < 2
    assert 0.1 < small.access_energy_pj < large.access_energy_pj < 100
    # 1 nW a cell, by OpenRAM's assumption.
    assert 64 * 32 / 1000 < large.leakage_uw < 2 * 64 * 32 / 1000
    assert small.leakage_uw < large.leakage_uw
    if openram.version == "1.2.48":
        assert small == Price(
            area_um2=7006.1, access_ns=0.2393, access_energy_pj=1.79, leakage_uw=0.861
        )


def test_one_port_is_cheaper(openram):
    one, two = openram.price(16, ports="1rw").price, openram.price(16).price
    assert one.area_um2 < two.area_um2
