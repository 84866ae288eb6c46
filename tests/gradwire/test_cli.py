"""The command line: what it prints for people and for machines."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest

import gradwire
from fpga_flows import fpga
from fpga_flows.critical_path import Step
from fpga_flows.utilization import ComponentCost
from gradwire.console import Reporter
from gradwire.paper import NEURON_CLOCKS
from hw import tool
from hw.schedule import design_for, make_schedule
from sim.cycles import CycleModel
from sim.golden import Golden

COMMANDS = ("generate", "clocks", "train", "simulate", "synth", "board train", "demo")
PATH = (Step("vector memory", 5.5, 0.0), Step("PE 2 multiplier, stage 1", 3.0, 4.0))
RESULT = fpga.Result(
    "ecp5-85k",
    "6",
    7000,
    3000,
    20,
    5,
    {"luts": 83640, "ffs": 83640, "dsps": 156, "brams": 208},
    (ComponentCost("PE: adder", 3, 1944, 386, 0, 0),),
    (fpga.Placement(1, 100.0, 80.0, PATH, "nextpnr.log"),),
)


def test_version_is_the_package_s(run, request):
    project = (request.config.rootpath / "pyproject.toml").read_text()
    assert f'version = "{gradwire.__version__}"' in project
    assert run("--version").stdout == f"gradwire {gradwire.__version__}\n"


def test_nothing_asked_for_prints_help(run):
    result = run()
    assert result.exit_code == 0
    assert all(name.split()[0] in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_option_is(run, name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    if name != "demo":
        assert "Layer sizes joined by dashes" in result.stdout


def test_clocks_json(run_json):
    found = run_json("clocks", "3-3-3-1", "--pes", "2")
    model = CycleModel(make_schedule(design_for((3, 3, 3, 1), 2)))
    assert list(found) == [
        "topology",
        "pes",
        "batch",
        "clocks_per_iteration",
        "clocks_per_sample",
        "inference_clocks",
        "useful_multiply_adds",
        "limit_clocks",
        "multiply_add_busy",
        "phases",
    ]
    assert (found["topology"], found["pes"]) == ("3-3-3-1", 2)
    # Forward and update 9 + 9 + 3 each, deltas 9 + 3.
    assert (found["useful_multiply_adds"], found["limit_clocks"]) == (54, 27)
    assert found["clocks_per_iteration"] == model.clocks_per_iteration
    assert found["multiply_add_busy"] == pytest.approx(27 / found["clocks_per_iteration"], abs=1e-6)
    assert [list(phase) for phase in found["phases"]] == [["name", "layer", "start", "clocks"]] * 8
    assert [phase["start"] for phase in found["phases"]] == [p.start for p in model.phases()]


def test_clocks_of_3_3_3_1_are_few(run_json):
    assert run_json("clocks", "3-3-3-1")["clocks_per_iteration"] <= 150


@pytest.mark.parametrize("topology, theirs", [("3-3-3-1", "442"), ("784-100-100-10", "16,075")])
def test_clocks_beside_the_paper_s(run, topology, theirs):
    result = run("clocks", topology)
    assert result.exit_code == 0
    assert re.search(rf"paper's machine .* {theirs} clocks: \d+\.\d\d times ours", result.stdout)


def test_clocks_of_batches(run, run_json):
    found = run_json("clocks", "784-100-100-10", "--batch", "16")
    assert found["batch"] == 16
    shown = " ".join(run("clocks", "784-100-100-10", "--batch", "16").stdout.split())
    each = found["clocks_per_sample"]
    assert f"clocks per sample, batches of 16 │ {each:,.1f} " in shown
    assert f"16,075 clocks: {16075 / each:.2f} times ours" in shown
    assert "batches" not in run("clocks", "784-100-100-10").stdout


def test_clocks_of_a_network_the_paper_does_not_have(run):
    assert "paper" not in run("clocks", "4-2").stdout


def test_neuron_table(run, run_json):
    rows = run_json("clocks", "--neuron-table")["neurons"]
    assert [row["inputs"] for row in rows] == list(NEURON_CLOCKS)
    assert [row["paper_clocks"] for row in rows] == [152, 225, 368, 661, 1192, 2325, 4647]
    assert rows[0]["clocks_per_iteration"] <= 90
    assert rows[-1]["clocks_per_iteration"] <= 520
    shown = run("clocks", "--neuron-table").stdout
    for row in rows:
        assert row["ratio"] == round(row["paper_clocks"] / row["clocks_per_iteration"], 3)
        assert f"{row['clocks_per_iteration']} │" in shown


def test_train_learns_and_saves_its_weights(run_json, folder):
    found = run_json("train", "3-3-3-1", "--data", "red", "-o", "weights/W.npz")
    assert set(found) >= {"topology", "pes", "data", "samples", "rate", "seed", "accuracy", "loss"}
    assert (found["samples"], found["tests"], found["rate"], found["seed"]) == (6000, 1000, 0.3, 1)
    assert found["accuracy"] >= 0.97
    assert found["loss"][-1]["samples"] == 6000
    assert found["loss"][-1]["cross_entropy"] < found["loss"][0]["cross_entropy"] / 2
    with np.load(folder / found["weights"]) as saved:
        assert {name: saved[name].shape for name in saved} == {
            "weights1": (3, 3),
            "biases1": (3,),
            "weights2": (3, 3),
            "biases2": (3,),
            "weights3": (1, 3),
            "biases3": (1,),
            "state": (),
        }


def test_train_for_people(run):
    words = ("train", "3-3-3-1", "--tests", "100")
    result = run(*words, "--samples", "300", "-o", "W.npz")
    assert result.exit_code == 0
    assert "Cross-entropy" in result.stdout and "Weights: W.npz" in result.stdout
    tested = run(*words, "--resume", "W.npz", "--samples", "0").stdout
    assert "after training on 300 (rate 0.3, seed 1)" in tested and "Cross" not in tested
    slower = run(*words, "--samples", "300", "--halve-every", "100", "--rate-floor", "0.1").stdout
    assert "(rate 0.3, halved every 100 down to 0.1, seed 1)" in slower
    assert re.search(
        r"\d+\.\d\d% of 100 test samples are right after training on 300", result.stdout
    )


def test_weights_are_trained_on_where_they_were_left(run_json, folder):
    words = ("train", "3-3-3-1", "--tests", "100", "--halve-every", "90", "--rate-floor", "0.1")
    whole = run_json(*words, "--samples", "300", "-o", "whole.npz")
    run_json(*words, "--samples", "120", "-o", "W.npz")
    rest = run_json("train", "3-3-3-1", "--resume", "W.npz", "--samples", "300", "-o", "W.npz")
    assert (rest["samples"], rest["samples_before"], rest["halve_every"]) == (180, 120, 90)
    assert (rest["accuracy"], rest["interrupted"]) == (whole["accuracy"], False)
    with np.load("whole.npz") as one, np.load("W.npz") as other:
        for name in one:
            assert one[name].tobytes() == other[name].tobytes(), name


def test_weights_are_only_tested(run_json, folder):
    trained = run_json("train", "3-3-3-1", "--samples", "300", "-o", "W.npz")
    words = ("train", "3-3-3-1", "--resume", "W.npz", "--samples", "0", "--pes", "2")
    tested = run_json(*words)
    assert (tested["samples"], tested["loss"], tested["weights"]) == (0, [], None)
    assert tested["accuracy"] == pytest.approx(trained["accuracy"], abs=0.01)


class StoppedGolden(Golden):
    """A model during whose 120th sample Ctrl-C is pressed."""

    samples = 0

    def train(self, *sample, **more):
        StoppedGolden.samples += 1
        if StoppedGolden.samples == 120:
            signal.raise_signal(signal.SIGINT)
        return super().train(*sample, **more)


@pytest.mark.parametrize(
    "output, file", [(["-o", "W.npz"], "W.npz"), ([], "build/gradwire_3_3_3_1_p3-interrupted.npz")]
)
def test_train_interrupted_and_resumed(run, run_json, monkeypatch, output, file):
    words = ("train", "3-3-3-1", "--samples", "300", "--tests", "50", *output)
    with monkeypatch.context() as patch:
        patch.setattr(StoppedGolden, "samples", 0)
        patch.setattr("gradwire.training.Golden", StoppedGolden)
        result = run(*words, "--json")
    assert result.exit_code == 130
    assert result.stderr == (
        f"gradwire: interrupted after 120 of 300 samples; the weights are in {file}: "
        f"the same command with --resume {file} goes on\n"
    )
    found = json.loads(result.stdout)
    assert (found["interrupted"], found["samples"], found["weights"]) == (True, 120, file)
    assert found["accuracy"] is None
    run_json(*words, "--resume", file, "-o", "rest.npz")
    run_json(*words, "-o", "whole.npz")
    with np.load("whole.npz") as one, np.load("rest.npz") as other:
        for name in one:
            assert one[name].tobytes() == other[name].tobytes(), name


def test_train_interrupted_at_once(run, folder, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gradwire.training.Golden", stopped)
    result = run("train", "3-3-3-1", "-o", "W.npz")
    assert (result.exit_code, result.stderr) == (130, "gradwire: interrupted\n")
    assert list(folder.iterdir()) == []


def test_batches(run_json):
    found = run_json("train", "3-3-3-1", "--samples", "3000", "--batch", "4", "--gain", "1.5")
    assert (found["batch"], found["rate"], found["gain"]) == (4, 1.2, 1.5)
    assert found["accuracy"] > 0.8


def test_losses_that_are_no_number_are_null(run, run_json):
    words = ("train", "3-3-3-1", "--rate", "1e30", "--samples", "20", "--tests", "5")
    assert run_json(*words)["loss"][-1]["cross_entropy"] is None
    assert run(*words).exit_code == 0


def test_generate(run, run_json, folder):
    found = run_json("generate", "3-2", "--pes", "2", "--mapping", "column", "-o", "new/rtl")
    assert found["files"][0] == "new/rtl/gradwire_3_2_p2.v"
    assert found["files"][-1] == "new/rtl/gradwire_3_2_p2.json"
    assert (found["topology"], found["pes"], found["mapping"]) == ("3-2", 2, ["column"])
    assert sorted(folder / name for name in found["files"]) == sorted(
        (folder / "new/rtl").iterdir()
    )
    about = json.loads((folder / found["files"][-1]).read_text())
    assert about["verilog"]["sha256"] == found["sha256"]
    shown = run("generate", "3-2", "--mapping", "column")
    assert shown.exit_code == 0 and found["sha256"][:40] in shown.stdout
    assert (folder / "rtl_out/gradwire_3_2_p2.v").exists()


def test_simulate_json(run_json, simulator_3_3_3_1):
    found = run_json("simulate", "3-3-3-1", "--data", "red", "--samples", "60", "--tests", "40")
    assert set(found) >= {
        "samples",
        "bit_exact",
        "mismatches",
        "clocks_per_iteration_measured",
        "clocks_per_iteration_predicted",
        "accuracy",
        "simulated_clocks_per_second",
    }
    assert (found["samples"], found["bit_exact"], found["mismatches"]) == (60, True, 0)
    assert found["clocks_per_iteration_measured"] == found["clocks_per_iteration_predicted"]
    assert found["simulated_clocks_per_second"] > 0
    trained = run_json("train", "3-3-3-1", "--samples", "60", "--tests", "40")
    assert found["accuracy"] == trained["accuracy"]


def test_simulate_one_memory_for_all_weights(run_json):
    words = ("3-3-1", "--memory", "unified")
    found = run_json("simulate", *words, "--samples", "20", "--tests", "10")
    assert (found["bit_exact"], found["mismatches"]) == (True, 0)
    clocks = run_json("clocks", *words)["clocks_per_iteration"]
    assert found["clocks_per_iteration_measured"] == clocks
    assert clocks > run_json("clocks", "3-3-1")["clocks_per_iteration"]


def test_simulate_saves_and_resumes_what_train_trains(run_json, simulator_3_3_3_1):
    words = ("--samples", "60", "--tests", "40", "--halve-every", "17", "--rate-floor", "0.1")
    run_json("train", "3-3-3-1", *words, "-o", "whole.npz")
    run_json("simulate", "3-3-3-1", *words, "--samples", "25", "-o", "W.npz")
    found = run_json("simulate", "3-3-3-1", "--resume", "W.npz", "--samples", "60", "-o", "W.npz")
    assert (found["bit_exact"], found["samples"], found["samples_before"]) == (True, 35, 25)
    with np.load("whole.npz") as one, np.load("W.npz") as other:
        for name in one:
            assert one[name].tobytes() == other[name].tobytes(), name


class Interrupted:
    """Progress that is Ctrl-C's when the RTL has begun."""

    def __init__(self, monkeypatch):
        self.pressed = False
        monkeypatch.setattr(Reporter, "__call__", self)

    def __call__(self, what, done, total, note=""):
        if what == "simulating the RTL" and done and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "batch",
    ["1", pytest.param("4", marks=pytest.mark.slow)],  # another simulator to build
)
def test_simulate_interrupted_and_resumed(run, run_json, monkeypatch, simulator_3_3_3_1, batch):
    words = ("simulate", "3-3-3-1", "--samples", "3000", "--tests", "40", "--batch", batch)
    words += ("--halve-every", "700", "--rate-floor", "0.1")
    with monkeypatch.context() as patch:
        Interrupted(patch)
        result = run(*words, "-o", "W.npz", "--json")
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    trained = found["samples"]
    assert 0 < trained < 3000 and trained % int(batch) == 0
    assert (found["interrupted"], found["bit_exact"], found["accuracy"]) == (True, True, None)
    assert f"interrupted after {trained:,} of 3,000 samples; " in result.stderr
    rest = run_json(*words, "--resume", "W.npz", "-o", "W.npz")
    assert (rest["bit_exact"], rest["samples"]) == (True, 3000 - trained)
    run_json("train", *words[1:], "-o", "whole.npz")
    with np.load("whole.npz") as one, np.load("W.npz") as other:
        for name in one:
            assert one[name].tobytes() == other[name].tobytes(), name


def test_simulate_only_tests(run_json, simulator_3_3_3_1):
    trained = run_json("train", "3-3-3-1", "--samples", "60", "--tests", "40", "-o", "W.npz")
    found = run_json("simulate", "3-3-3-1", "--resume", "W.npz", "--samples", "0")
    assert (found["bit_exact"], found["samples"], found["tests"]) == (True, 0, 40)
    assert found["accuracy"] == trained["accuracy"]


class WrongGolden(Golden):
    """A model that is one bit off from the third sample on."""

    samples = 0

    def train(self, *sample, **more):
        found = super().train(*sample, **more)
        WrongGolden.samples += 1
        if WrongGolden.samples == 3:
            weight = self.weights.weights[1]
            weight[2, 1] = np.nextafter(weight[2, 1], np.float32(9))
        return found


def test_simulate_names_the_first_mismatch(run, simulator_3_3_3_1, monkeypatch):
    monkeypatch.setattr(WrongGolden, "samples", 0)
    monkeypatch.setattr("sim.bench.run.Golden", WrongGolden)
    result = run("simulate", "3-3-3-1", "--samples", "9", "--tests", "2", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["bit_exact"] is False and found["mismatches"] > 0
    place = r"gradwire: not exact: sample 2, layer 2, weight\[2\]\[1\]: "
    line = place + r"expected (\w{8}), found (\w{8})\n"
    expected, seen = re.fullmatch(line, result.stderr).groups()
    assert abs(int(expected, 16) - int(seen, 16)) == 1


def test_synth_json(run, run_json, folder, monkeypatch):
    asked = {}

    def synthesize(verilog, top, **more):
        asked.update(more, top=top)
        assert f"module {top}(" in verilog
        return RESULT

    monkeypatch.setattr(fpga, "synthesize", synthesize)
    found = run_json("synth", "3-3-3-1", "--target", "ecp5-85k", "--seed", "7")
    assert (asked["top"], asked["target"]) == ("gradwire_3_3_3_1_p3", "ecp5-85k")
    assert (list(asked["seeds"]), asked["array"]) == ([7], False)
    expected = {"fmax_mhz": 80.0, "luts": 7000, "ffs": 3000, "dsps": 20, "brams": 5}
    assert found.items() >= expected.items()
    assert (found["target"], found["log"]) == ("ecp5-85k", "nextpnr.log")
    assert found["ns_per_iteration"] == pytest.approx(found["clocks_per_iteration"] * 12.5)
    shown = run("synth", "3-3-3-1")
    assert shown.exit_code == 0 and "80 MHz" in shown.stdout
    assert found["components"][0]["name"] == "PE: adder" in shown.stdout
    assert found["critical_path"][1]["component"] == "PE 2 multiplier, stage 1" in shown.stdout
    assert "Longest path, 12.50 ns" in shown.stdout
    run("synth", "3-3-3-1", "--seeds", "4", "--speed", "8", "--frequency", "60,80")
    assert (list(asked["seeds"]), asked["speed"]) == ([1, 2, 3, 4], "8")
    assert asked["frequencies_mhz"] == (60.0, 80.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "0"], "seeds must be at least 1, not 0"),
        (["--speed", "5"], "speed of ecp5-85k must be one of 6, 7, 8, not '5'"),
        (["--frequency", "50,-1"], "frequency must be above 0 MHz, not -1"),
        (["--frequency", "fast"], "frequency must be numbers joined by commas, not 'fast'"),
        (["--time-limit", "0"], "time limit must be above 0 minutes, not 0"),
    ],
)
def test_bad_placements(fails, words, said):
    assert fails("synth", "3-3-3-1", *words) == f"gradwire: {said}\n"


def test_interrupted_placements(fails, monkeypatch):
    def synthesize(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fpga, "synthesize", synthesize)
    line = fails("synth", "3-1", "--seeds", "2", code=130)
    assert (
        line == "gradwire: interrupted: placements that were finished are kept for the next call\n"
    )


def test_demo_with_a_quick_synthesis(run, folder, simulator_3_3_3_1, monkeypatch):
    monkeypatch.setattr(fpga, "synthesize", lambda *_, **__: RESULT)
    result = run("demo", "--samples", "50", "--tests", "20")
    assert result.exit_code == 0, result.stderr
    for text in ("exact", "442", "10.6 ms", "80 MHz", "measured", "Files: build/demo"):
        assert text in result.stdout
    assert "simulating the RTL" in result.stderr
    assert {p.name for p in (folder / "build/demo").iterdir()} >= {
        "gradwire_3_3_3_1_p3.v",
        "gradwire_3_3_3_1_p3.json",
        "weights.npz",
    }


def test_demo_tells_at_once_that_synthesis_failed(fails, monkeypatch):
    def synthesize(*_, **__):
        raise tool.ToolError("Yosys failed")

    monkeypatch.setattr(fpga, "synthesize", synthesize)
    line = fails("demo", "--samples", "1000000", "--json", code=1)
    assert line == "gradwire: Yosys failed\n"


@pytest.mark.slow
def test_demo_whole(command):
    child = command("demo", "--json")
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    found = json.loads(out)
    assert (found["simulate"]["samples"], found["simulate"]["tests"]) == (6000, 1000)
    assert found["simulate"]["bit_exact"] and found["simulate"]["accuracy"] >= 0.97
    assert found["synth"]["fmax_mhz"] > 40


def test_as_a_process(command):
    child = command("clocks", "2-1", "--json")
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert json.loads(out)["topology"] == "2-1"


def test_a_reader_that_leaves_is_no_failure_of_ours(command):
    child = command("clocks", "--neuron-table")
    child.stdout.close()
    assert child.wait() != 0
    assert child.stderr.read() == ""


def children(pid):
    """Processes below process `pid`, by id."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += [int(word) for word in file.read().split()]
    return found + [below for child in found for below in children(child)]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
@pytest.mark.parametrize(
    "number, code, said",
    [(signal.SIGINT, 130, "gradwire: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_interrupted(command, number, code, said):
    child = command("demo", "--json", "--samples", "200000")
    folder = os.path.join(os.getcwd(), "build/demo/ecp5-85k")
    until = time.monotonic() + 60
    while not os.path.exists(folder) or not (below := children(child.pid)):
        assert child.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(number)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (code, "", said)
    assert not [pid for pid in below if alive(pid)]
