"""What `gradwire board build` decides before the tools begin, and what it leaves behind."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from fpga_flows import ulx3s
from gradwire import bitstream
from gradwire.cli import app
from hw.design import Design
from hw.errors import InputError, ToolError
from hw.schedule import design_for, make_schedule


def test_the_most_processing_elements_that_fit_are_taken():
    """Six folds of 12 inputs on 25F's 28 multiplier blocks: 5 PEs; 4 would be slower."""
    schedule = bitstream.make_largest((12, 12, 4), "ulx3s-25f", **bitstream.DEFAULTS)
    pes = schedule.design.processing_elements
    assert 4 * (pes + 2) <= 28
    for other in range(1, 6):
        design = design_for((12, 12, 4), other, **bitstream.DEFAULTS)
        assert make_schedule(design).clocks_per_sample >= schedule.clocks_per_sample


def test_many_processing_elements_have_long_pipelines():
    few, many = (bitstream.make((16, 16, 4), pes).design for pes in (4, 16))
    assert few.adder_stages < many.adder_stages == 7
    assert bitstream.make((16, 16, 4), 16, adder_stages=3).design.adder_stages == 3


def test_too_much_is_said_at_once():
    with pytest.raises(InputError, match="no machine for 784-100-100-10 fits the block"):
        bitstream.make_largest((784, 100, 100, 10), "ulx3s-25f")
    schedule = make_schedule(design_for((8, 8, 4), 8))
    with pytest.raises(
        InputError, match="8 processing elements need 40 dsps, and ulx3s-12f has 28"
    ):
        bitstream.check_fit(schedule, "ulx3s-12f")


@pytest.mark.parametrize(
    "parameters",
    [
        bitstream.DEFAULTS,
        {"activation": "relu,sigmoid", "batch": 4, "seeded_weights": True, "multiplier_stages": 4},
    ],
)
def test_the_command_that_trains_names_the_same_machine(parameters, monkeypatch):
    design = design_for((3, 4, 1), 2, **parameters)
    found = []

    def train(schedule, task, epochs, port, baud, reporter):
        found.append((schedule.design, port, baud))
        raise ToolError("there is no board")

    monkeypatch.setattr("gradwire.board.train", train)
    command = shlex.split(bitstream.train_command(design, 115200))
    CliRunner().invoke(app, [*command[1:], "--data", "red"])
    assert found == [(design, "DEV", 115200)]


def test_files(tmp_path, monkeypatch):
    built = ulx3s.Built(
        bitstream=b"bits",
        clock_mhz=50.0,
        fmax_mhz=51.5,
        memories={"a.bank": "block"},
        used=dict.fromkeys(("luts", "ffs", "dsps", "brams"), (1, 2)),
        log=tmp_path / "nextpnr.log",
    )
    monkeypatch.setattr(ulx3s, "build", lambda *_, **__: built)
    arguments = ["board", "build", "3-3-1", "--board", "ulx3s-12f", "-o", str(tmp_path), "--json"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    bits, about = (tmp_path / name.rsplit("/", 1)[-1] for name in found["files"])
    assert bits.read_bytes() == b"bits"
    written = json.loads(about.read_text(encoding="utf-8"))
    lists = ("layers", "mapping")
    made = {k: tuple(v) if k in lists else v for k, v in written["design"].items()}
    clocks = make_schedule(Design(**made)).clocks_per_iteration
    assert clocks == written["clocks_per_iteration"]
    assert written["samples_per_second"] == round(50e6 / written["clocks_per_iteration"])
