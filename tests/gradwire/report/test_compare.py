"""`gradwire compare`: what changed, and nothing else."""

import json

import pytest


@pytest.fixture
def files(content, folder):
    """Two reports: A as it is, B faster and larger."""
    (folder / "A.json").write_text(json.dumps(content))
    content["built"]["design"] |= {"processing_elements": 4, "more": [1, 2]}
    del content["built"]["design"]["batch"]
    content["clocks"] |= {"per_iteration": 30, "per_sample": 30.0}
    content["costs"][0]["resources"][0]["used"] = 1500
    content["power"] = []
    (folder / "B.json").write_text(json.dumps(content))


def test_what_changed(files, run_json):
    found = run_json("compare", "A.json", "B.json")
    assert found["design"] == [
        {"parameter": "processing_elements", "before": 2, "after": 4},
        {"parameter": "batch", "before": 1, "after": None},
        {"parameter": "more", "before": None, "after": [1, 2]},
    ]
    changed = {each["name"]: (each["before"], each["after"]) for each in found["figures"]}
    assert changed == {
        "clocks of an iteration": (60, 30),
        "LUT4 (ecp5-85k, placed and routed)": (1000, 1500),
        "samples a second (ecp5-85k)": (80e6 / 60, 80e6 / 30),
        "power (nangate45)": (12.0, None),
        "power by one activity for all nets (nangate45)": (20.0, None),
        "energy of a sample (nangate45)": (0.0035, None),
    }
    ratios = {each["name"]: each["ratio"] for each in found["figures"]}
    assert ratios["clocks of an iteration"] == 0.5
    assert ratios["power (nangate45)"] is None
    assert found["same"] > 5


def test_for_people(files, run):
    found = run("compare", "A.json", "B.json")
    assert found.exit_code == 0
    text = " ".join(found.stdout.split())
    for part in ("processing elements", "-50.0 %", "+50.0 %", "12.00 mW", "figures are the same"):
        assert part in text, part


def test_the_same_report_twice(files, run, run_json):
    found = run_json("compare", "A.json", "A.json")
    assert (found["design"], found["figures"]) == ([], [])
    assert "The design is the same." in run("compare", "A.json", "A.json").stdout


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"kind": "gradwire report", "version": 2}'])
def test_a_file_that_is_no_report(files, fails, folder, broken):
    (folder / "C.json").write_text(broken)
    for pair in (("A.json", "C.json"), ("C.json", "A.json")):
        assert "C.json is no report of gradwire: " in fails("compare", *pair)


def test_a_file_that_is_not_there(files, fails):
    said = fails("compare", "A.json", "none.json")
    assert said == "gradwire: report none.json cannot be read: No such file or directory\n"
