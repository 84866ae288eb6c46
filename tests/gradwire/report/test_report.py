"""`gradwire report`: what it writes, what it leaves out, and what a failing tool costs."""

import json

import pytest
from typer.testing import CliRunner

from fpga_flows import ecp5_estimate
from fpga_flows.sram import VARIABLE
from gradwire import machine, memory
from gradwire.cli import app
from gradwire.report import collect, model
from gradwire.report.figures import figures
from hw.errors import ToolError
from hw.schedule import design_for, make_schedule
from sim import software

SMALL = ("report", "3-3-3-1", "--train", "60")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of 3-3-3-1, by the tools that there are: the folder, and what was said."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        words = [*SMALL, "--tdp", "65", "-o", str(folder / "sub" / "r.html")]
        found = CliRunner().invoke(app, words, prog_name="gradwire")
    assert (found.exit_code, found.stderr) == (0, "")
    return folder / "sub", found.stdout


@pytest.fixture
def found(made):
    return model.read(made[0] / "r.json")


def test_files(made):
    folder, said = made
    assert sorted(file.name for file in folder.iterdir()) == ["r.html", "r.json"]
    assert "clocks a sample" in said


def test_clocks_are_the_cycle_model_s(found):
    schedule = make_schedule(design_for((3, 3, 3, 1)))
    assert found.clocks.per_iteration == schedule.clocks_per_iteration == 70
    assert found.built.design["layers"] == [3, 3, 3, 1]
    assert found.built.name == schedule.design.name


def test_area_is_the_estimate(found):
    (cost,) = found.costs
    assert sum(part.amount for part in cost.parts) == cost.total > 1000
    used = {each.name: each.used for each in cost.resources}
    assert used["LUTs"] == cost.total and used["multipliers"] == 4 * 5
    assert cost.fits and cost.fmax_mhz is None


def test_accuracy_is_the_golden_model_s(found, run_json):
    trained = run_json("train", "3-3-3-1", "--samples", "60")
    last = found.learning.points[-1]
    assert (last.samples, last.accuracy) == (60, trained["accuracy"])
    assert [point.samples for point in found.learning.points] == list(range(0, 61, 6))
    weights = [each["cross_entropy"] for each in trained["loss"]]
    assert min(weights) / 2 < last.loss < max(weights) * 2


def test_beside_the_paper(found):
    rows = {(row.network, row.what): row for row in found.paper.rows}
    small = rows["3-3-3-1", "training on 6,000 samples"]
    assert small.ours == pytest.approx(70 * 6000 * 4e-6) and small.paper == 10.6
    assert rows["3-3-3-1", "power"].ours is None
    assert rows["3-3-3-1", "energy of a sample"].paper == pytest.approx(0.0445, rel=1e-3)
    large = rows["784-100-100-10", "training on 100,000 samples"]
    assert large.ours == pytest.approx(2043 * 0.4 / 1e3) and large.ratio == pytest.approx(
        7.87, 1e-3
    )
    assert [row.inputs for row in found.paper.neurons] == [2, 4, 8, 16, 32, 64, 128]


def test_software_is_that_of_this_machine(found):
    assert [each.name for each in found.software] == list(software.contenders())
    for each in found.software:
        if each.energy_by.startswith("TDP"):
            assert each.energy_uj == pytest.approx(65e6 / each.samples_per_second, rel=1e-3)
        else:
            assert each.energy_by.startswith("RAPL")


def test_what_is_not_there_says_what_it_needs(found):
    missing = {each.what: each.needs for each in found.missing}
    assert "--target" in missing["clock frequency"]
    assert "OpenRAM" in missing["SRAM at 45 nm: area, time and energy of each memory"]
    assert found.power == () and "power and energy" in missing


def test_every_figure_has_a_name_of_its_own(found):
    names = [(figure.section, figure.name) for figure in figures(found)]
    assert len(set(names)) == len(names) > 15


# Reports whose tools are stand-ins.


@pytest.fixture
def quick(monkeypatch):
    """Nothing is measured."""
    part = ecp5_estimate.Part("", "", 1, 100, 50, 4, 1)
    monkeypatch.setattr(ecp5_estimate, "estimate", lambda *_, **__: [part])
    monkeypatch.setattr(collect, "to_verilog", lambda core: core.module_name)
    monkeypatch.setattr(collect, "software", lambda *_: [])
    monkeypatch.delenv(VARIABLE, raising=False)


def fail(*_, **__):
    raise ToolError("the tool failed; log: /tmp/its.log")


@pytest.mark.parametrize(
    "module, name, section",
    [
        (ecp5_estimate, "estimate", "area on an FPGA"),
        (collect, "software", "software on this machine"),
        (machine, "synthesize", "place and route for ecp5-25k"),
    ],
)
def test_a_tool_that_fails_costs_its_section(
    quick, run, folder, fresh_cache, monkeypatch, module, name, section
):
    monkeypatch.setattr(module, name, fail)
    more = ["--target", "ecp5-25k"] if module is machine else []
    found = run("report", "4-3-2", *more, "-o", "r.html")
    assert found.exit_code == 1
    said = f"gradwire: {section}: the tool failed; log: /tmp/its.log; r.html is there without\n"
    assert found.stderr == said
    told = model.read(folder / "r.json")
    assert told.clocks.per_iteration > 0
    assert any("/tmp/its.log" in each.needs for each in told.missing)
    assert "/tmp/its.log" in (folder / "r.html").read_text()


def test_several_failures_are_one_line(quick, run, folder, monkeypatch):
    monkeypatch.setattr(ecp5_estimate, "estimate", fail)
    monkeypatch.setattr(collect, "software", fail)
    found = run("report", "4-3-2", "-o", "r.html")
    assert found.exit_code == 1 and found.stderr.count("\n") == 1
    assert found.stderr.count("/tmp/its.log") == 2


def test_prices_that_fail_cost_themselves(quick, run, folder, monkeypatch):
    monkeypatch.setattr(collect, "OpenRAM", lambda: None)
    monkeypatch.setattr(memory, "price", fail)
    found = run("report", "4-3-2", "-o", "r.html")
    assert found.exit_code == 1 and "SRAM at 45 nm" in found.stderr
    assert model.read(folder / "r.json").memories.banks


def test_what_was_placed(quick, run, folder, monkeypatch):
    def synthesize(schedule, target, asked, *_):
        cells = {"luts": 1000, "ffs": 500, "dsps": 20, "brams": 5}
        parts = ("PE: adder", 2, 600), ("forward unit", 1, 400)
        return {
            **cells,
            "target": target,
            "speed": "6",
            "fmax_mhz": 60.0 + asked.seed,
            "available": {name: 2 * count for name, count in cells.items()},
            "placements": [{}],
            "components": [
                {"name": name, "instances": instances, "luts": luts}
                for name, instances, luts in parts
            ],
            "critical_path": [{"component": "PE 1 adder"}, {"component": "bias bank"}],
        }

    monkeypatch.setattr(machine, "synthesize", synthesize)
    words = ["report", "4-3-2", "--target", "ice40-hx8k", "--seed", "6", "-o", "r.html"]
    assert run(*words).exit_code == 0
    told = model.read(folder / "r.json")
    estimate, cost = told.costs
    assert (estimate.target, cost.target) == ("ecp5-85k", "ice40-hx8k")
    assert (cost.total, cost.fmax_mhz) == (1000, 66)
    assert [(p.within, p.name, p.amount) for p in cost.parts] == [
        ("PE", "adder", 600),
        ("", "forward unit", 400),
    ]
    assert (cost.resources[0].used, cost.resources[0].available) == (1000, 2000)
    # Times are stated for the clock that was measured.
    (row,) = [f for f in figures(told) if f.name == "samples a second (ice40-hx8k)"]
    assert row.value == pytest.approx(66e6 / told.clocks.per_sample)
    page = (folder / "r.html").read_text()
    assert "66 MHz, measured on ice40-hx8k" in page and "PE 1 adder → bias bank" in page


def test_json(quick, run_json, folder):
    found = run_json("report", "4-3-2", "--pes", "2", "--subnormals", "ieee", "-o", "r.html")
    assert found == json.loads((folder / "r.json").read_text())
    assert found["clocks"]["command"] == "gradwire clocks 4-3-2 --pes 2 --subnormals ieee"


def test_reports_can_be_compared(quick, run, run_json):
    for pes in "12":
        assert run("report", "4-3-2", "--pes", pes, "-o", f"{pes}.html").exit_code == 0
    found = run_json("compare", "1.json", "2.json")
    changed = {each["parameter"] for each in found["design"]}
    assert "processing_elements" in changed
    clocks = next(x for x in found["figures"] if x["name"] == "clocks of an iteration")
    assert clocks["after"] < clocks["before"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--target", "none"], "target must be one of "),
        (["-o", "r.json"], "output file must be a page, such as report.html, not 'r.json'"),
        (["--tdp", "0"], "tdp must be above 0 and at most 10000 W, not 0"),
        (["--tdp", "nan"], "tdp must be above 0"),
        (["--data", "red"], "data set 'red' needs 3 inputs and 1 output, not 4 and 2"),
        (["--data", "none"], "data must be one of red, digits, idx:FOLDER, not 'none'"),
        (["--train", "0", "--data", "digits"], "samples must be 1 to"),
        (["--seed", "-1"], "seed must be 0 to"),
        (["-o", "/dev/null/r.html"], "cannot be written"),
    ],
)
def test_bad_input(quick, fails, folder, words, said):
    assert said in fails("report", "4-3-2", *words)
    assert not list(folder.iterdir())


def test_hostile_names_are_escaped(quick, run, folder):
    name = "<img src=x onerror=alert(1)>"
    (folder / name).mkdir()
    found = run("report", "4-3-2", "-o", f"{name}.html")
    assert found.exit_code == 0
    assert "<img" not in (folder / f"{name}.html").read_text()
