"""Machines of several groups on the command line."""

import json
import re
import signal

import numpy as np
import pytest

from gradwire.describe import grouped_description, ports
from gradwire.grouped import clocks, groups_text, parameters
from gradwire.saved import archive, load
from gradwire.training import Task, plan, train
from hw.design import Design
from hw.errors import InputError
from hw.grouping import grouped_design_for
from hw.groups import parse_groups
from hw.pipeline import GroupedWeightAddress, Pipeline, make_grouped_schedule
from hw.schedule import design_for
from hw.verilog import port_list
from sim.golden import LearningRate, initial_weights
from sim.grouped import GroupedGolden
from sim.grouped_cycles import GroupedCycleModel
from tests.gradwire.test_cli import Interrupted

GROUPS = "3-4/4-3-1:2,3"
OTHER = "3-4-3/3-1:2,3"
SMALL = "3-2/2-1:1,1"


def machine(schedule="delayed", groups=GROUPS, **more):
    return grouped_design_for(None, groups, schedule, **more)


def weights_of(file):
    with np.load(file) as found:
        return {name: found[name].tobytes() for name in found if name != "state"}


def test_clocks_json(run_json):
    found = run_json("clocks", "3-4-3-1", "--groups", GROUPS, "--schedule", "delayed")
    schedule = make_grouped_schedule(machine())
    assert found == clocks(schedule)
    assert (found["topology"], found["pes"], found["schedule"]) == ("3-4-3-1", 5, "delayed")
    assert [each["layers"] for each in found["groups"]] == ["3-4", "4-3-1"]
    assert [each["pes"] for each in found["groups"]] == [2, 3]
    model, run = GroupedCycleModel(schedule), found["run"]
    assert found["clocks_per_sample"] == model.clocks_per_sample()
    assert run["clocks"] == model.run_clocks(model.starts(1000))
    assert (run["slots"], run["dapp_slots"], run["sequential_slots"]) == (1002, 1003, 3000)
    shares = [each["multiply_add_busy"] * each["pes"] for each in found["groups"]]
    assert sum(shares) == pytest.approx(5 * found["multiply_add_busy"], abs=1e-5)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--schedule", "delayed"), ["m + n = 23", "│ slots, delayed"]),
        (("--schedule", "ping-pong"), ["m + n / 2 = 13", "│ slots, ping-pong"]),
        (("--schedule", "fill-drain", "--batch", "4"), ["│ slots, fill-drain"]),
        ((), []),
    ],
)
def test_clocks_for_people(run, words, said):
    shown = run("clocks", "3-4-3-1", "--groups", GROUPS, "--samples", "20", *words).stdout
    for text in (*said, "A run of n = 20 samples; m = 3", "slots, sequential (DAPP: n m) │ 60"):
        assert text in shown, shown
    assert re.search(r"│ +1 │ +4-3-1 │ +3 │ +1 │ \w+, \w+ │", shown)


def test_groups_are_chosen_for_all_schedules_but_one(run_json):
    assert "phases" in run_json("clocks", "3-4-1")
    assert "phases" in run_json("clocks", "3-4-1", "--schedule", "sequential")
    assert "groups" in run_json("clocks", "3-4-1", "--groups", "auto")
    assert "groups" in run_json("clocks", "3-4-1", "--schedule", "delayed", "--pes", "3")


def test_the_paper_s_network(run, run_json):
    words = ("clocks", "784-100-100-10", "--groups", "auto", "--schedule", "delayed")
    found = run_json(*words, "--pes", "100", "--samples", "5")
    assert found["clocks_per_sample"] <= 2100 and found["pes"] <= 100
    shown = run(*words, "--pes", "100", "--samples", "5").stdout
    assert f"16,075 clocks: {16075 / found['clocks_per_sample']:.2f} times ours" in shown


def test_the_text_of_groups():
    design = machine()
    assert groups_text(design) == GROUPS
    assert parse_groups(GROUPS)[1] == tuple(each.processing_elements for each in design.designs)


@pytest.mark.parametrize("schedule, batch", [("ping-pong", None), ("fill-drain", 4)])
def test_training_is_the_golden_model_s(run_json, folder, schedule, batch):
    words = ("--schedule", schedule, *(("--batch", str(batch)) if batch else ()))
    words += ("--samples", "150", "--tests", "50", "--rate", "0.5", "-o", "W.npz")
    found = run_json("train", "3-4-3-1", "--groups", GROUPS, *words)
    assert (found["groups"], found["schedule"], found["pes"]) == (GROUPS, schedule, 5)
    assert (found["batch"], found["samples"], found["interrupted"]) == (batch or 1, 150, False)
    design = machine(schedule, batch=batch)
    task = Task(samples=150, tests=50, rate=0.5)
    data = task.load(design)
    golden = GroupedGolden(
        design, initial_weights(design.layers, 1), LearningRate(rate=0.5), design.batch
    )
    for _ in golden.train(data.train_inputs, data.train_labels):
        pass
    trained = load(folder / "W.npz", design).weights
    for mine, theirs in zip(trained.weights, golden.weights.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "schedule, batch, rate",
    [("delayed", None, 0.3), ("ping-pong", None, 0.3), ("fill-drain", 4, 1.2)],
)
def test_usual_rates(schedule, batch, rate):
    """Only what is one batch shares a rate."""
    assert plan(machine(schedule, batch=batch), {}).rate == rate


@pytest.mark.parametrize("schedule, batch", [("delayed", 1), ("ping-pong", 2), ("fill-drain", 4)])
def test_ctrl_c(schedule, batch):
    """What has entered is trained on to the end, and nothing else."""
    design = machine(schedule, batch=batch if schedule == "fill-drain" else None)
    began = []

    def progress(what, done, total, note=""):
        if not began:
            began.append(done)
            signal.raise_signal(signal.SIGINT)

    found = train(design, Task(samples=400, tests=10), progress)
    assert found.interrupted and found.accuracy is None
    assert 100 <= found.samples < 120 and found.samples % batch == 0
    data = Task(samples=400, tests=10).load(design)
    learning = Task().learning(design.batch)
    golden = GroupedGolden(design, initial_weights(design.layers, 1), learning, design.batch)
    part = slice(found.samples)
    for _ in golden.train(data.train_inputs[part], data.train_labels[part]):
        pass
    for mine, theirs in zip(found.weights.weights, golden.weights.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_batches_that_drain_go_on_where_they_stopped(run_json, folder):
    words = ("train", "3-4-3-1", "--groups", GROUPS, "--schedule", "fill-drain", "--batch", "4")
    words += ("--tests", "20")
    run_json(*words, "--samples", "200", "-o", "whole.npz")
    run_json(*words, "--samples", "120", "-o", "W.npz")
    rest = run_json(*words, "--resume", "W.npz", "--samples", "200", "-o", "W.npz")
    assert (rest["samples"], rest["samples_before"]) == (80, 120)
    assert weights_of("whole.npz") == weights_of("W.npz")


def test_one_array_tests_what_groups_have_learned(run_json, folder):
    words = ("--samples", "300", "--tests", "50")
    run_json("train", "3-4-3-1", "--schedule", "delayed", "--pes", "5", *words, "-o", "W.npz")
    one = run_json("train", "3-4-3-1", "--resume", "W.npz", "--samples", "0", "--tests", "50")
    assert (one["samples"], one["tests"]) == (0, 50)


def test_an_interrupted_training_wants_its_own_groups(tmp_path):
    file = tmp_path / "W.npz"
    mapping = ("column", "column", "row")
    same = {"mapping": mapping, "multiplier_stages": 2, "adder_stages": 3}
    design = machine(**same)
    file.write_bytes(archive(initial_weights(design.layers, 1), design, {"samples": 300}, 120))
    load(file, design).check(design, goes_on=True)
    one = Design(layers=design.layers, processing_elements=5, mapping=mapping)
    for other, was in (
        (machine("ping-pong", **same), "batch 1, not 2"),
        (machine("sequential", **same), "schedule delayed, not sequential"),
        (machine(groups=OTHER, **same), f"groups {GROUPS}, not {OTHER}"),
        (one, f"groups {GROUPS}, not one"),
    ):
        with pytest.raises(InputError, match=f"W.npz was trained with .*{was}"):
            load(file, other).check(other, goes_on=True)
    load(file, one).check(one, goes_on=False)


def test_parameters_are_json():
    found = parameters(machine(activation="relu,tanh,sigmoid"))
    assert json.loads(json.dumps(found)) == found
    assert (found["layers"], found["activation"]) == ([3, 4, 3, 1], "relu,tanh,sigmoid")
    assert (found["groups"], found["schedule"]) == (GROUPS, "delayed")
    assert parameters(design_for((3, 1)))["groups"] == "one"


def test_simulate(run_json, folder):
    """The RTL learns what the model learns; then it tests it, and then it learns on."""
    words = ("3-2-1", "--groups", SMALL, "--schedule", "delayed", "--tests", "30")
    found = run_json("simulate", *words, "--samples", "60", "-o", "W.npz")
    assert (found["bit_exact"], found["mismatches"], found["samples"]) == (True, 0, 60)
    assert (found["groups"], found["schedule"]) == (SMALL, "delayed")
    predicted = clocks(make_grouped_schedule(machine(groups=SMALL)))["clocks_per_sample"]
    assert found["clocks_per_iteration_measured"] == predicted
    assert found["clocks_per_iteration_predicted"] == predicted
    model = run_json("train", *words, "--samples", "60", "-o", "model.npz")
    assert found["accuracy"] == model["accuracy"]
    assert weights_of("W.npz") == weights_of("model.npz")
    tested = run_json("simulate", *words, "--resume", "W.npz", "--samples", "0")
    assert (tested["bit_exact"], tested["accuracy"]) == (True, found["accuracy"])
    rest = run_json("simulate", *words, "--resume", "W.npz", "--samples", "90")
    assert (rest["bit_exact"], rest["samples"], rest["samples_before"]) == (True, 30, 60)


def test_simulate_interrupted(run, folder, monkeypatch):
    words = ("3-2-1", "--groups", SMALL, "--schedule", "delayed", "--tests", "30")
    with monkeypatch.context() as patch:
        Interrupted(patch)
        result = run("simulate", *words, "--samples", "20000", "-o", "W.npz", "--json")
    assert result.exit_code == 130, result.stderr
    found = json.loads(result.stdout)
    assert 0 < found["samples"] < 20000
    assert (found["interrupted"], found["bit_exact"], found["accuracy"]) == (True, True, None)
    assert f"interrupted after {found['samples']:,} of 20,000 samples; " in result.stderr
    assert load(folder / "W.npz", machine(groups=SMALL)).trained == found["samples"]


def test_generate(run_json, run, folder):
    words = ("generate", "3-4-3-1", "--groups", GROUPS, "--schedule", "delayed", "-o", "rtl")
    found = run_json(*words)
    name = machine().name
    assert found["files"][0] == f"rtl/{name}.v" and found["files"][-1] == f"rtl/{name}.json"
    assert sorted(folder / file for file in found["files"]) == sorted((folder / "rtl").iterdir())
    assert (found["groups"], found["pes"]) == (GROUPS, 5)
    about = json.loads((folder / found["files"][-1]).read_text())
    assert about["verilog"]["sha256"] == found["sha256"]
    assert about["schedule"]["clocks_per_sample"] == found["clocks_per_sample"]
    shown = run(*words).stdout
    assert GROUPS in shown and found["sha256"][:40] in shown


@pytest.mark.parametrize("groups", [GROUPS, "12-8/8-2:8,3"])
def test_the_description_is_of_all_groups(groups):
    core = Pipeline(make_grouped_schedule(machine(groups=groups)))
    assert (core.design.designs[0].lanes > 1) == (groups != GROUPS)
    about = grouped_description(core, "")
    assert about["design"] == parameters(core.design)
    address = GroupedWeightAddress(core.design)
    for number, (each, design) in enumerate(zip(about["groups"], core.design.designs, strict=True)):
        port = each["weight_port"]
        for layer, said in zip(design.weight_layers, port["layers"], strict=True):
            for n in range(layer.outputs):
                for k in range(layer.inputs):
                    bank, word = (
                        eval(said["weight"][x], {"n": n, "k": k}) for x in ("bank", "word")
                    )
                    whole = eval(port["address"], {"bank": bank, "word": word})
                    assert whole == address.encode(number, *layer.weight_address(n, k))


def test_every_port_is_told():
    core = Pipeline(make_grouped_schedule(machine("fill-drain", batch=2)))
    told = ports(core)
    assert [port["name"] for port in told] == [port["name"] for port in port_list(core)]
    assert [port["name"] for port in told if not port["is"] or "see" in port["is"].split()] == []
