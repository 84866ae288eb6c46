"""Reports as files: what was written is read again, and nothing else is."""

import json

import pytest

from gradwire.report import model
from hw.errors import InputError


def test_round_trip(report, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(report.to_json())
    assert model.read(file) == report


def test_json_holds_what_it_was_made_of(report, content):
    assert json.loads(report.to_json()) == content


def _without(name):
    return lambda content: content.pop(name)


@pytest.mark.parametrize(
    "change, said",
    [
        (_without("clocks"), "clocks: Field required"),
        (_without("version"), "version: Field required"),
        (lambda c: c.update(version=2), "version: Input should be 1"),
        (lambda c: c.update(kind="report"), "kind: Input should be 'gradwire report'"),
        (lambda c: c.update(more=1), "more: Extra inputs are not permitted"),
        (lambda c: c["clocks"].update(limit=-1), "clocks.limit: Input should be greater than"),
        (lambda c: c["clocks"].update(limit="24"), "clocks.limit: Input should be a valid integer"),
        (lambda c: c["clocks"].update(per_sample=0.0), "clocks.per_sample: Input should be great"),
        (lambda c: c["costs"][0].update(fmax_mhz=float("nan")), "costs.0.fmax_mhz: Input should"),
        (lambda c: c["built"].update(layers={}), "built.layers: Input should be a valid array"),
    ],
)
def test_what_is_no_report_is_refused(content, tmp_path, change, said):
    change(content)
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        model.read(file)
    assert f"{file} is no report of gradwire: {said}" in str(error.value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"kind": "gradwire report"}', b"1" * 99]
)
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_bytes(text)
    with pytest.raises(InputError, match="is no report of gradwire") as error:
        model.read(file)
    assert "\n" not in str(error.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"report .*none\.json cannot be read: No such file"):
        model.read(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        model.read(tmp_path)


def test_enormous_files_are_not_read(tmp_path):
    file = tmp_path / "a.json"
    with file.open("wb") as out:
        out.truncate((64 << 20) + 1)
    with pytest.raises(InputError, match="more than 64 MB"):
        model.read(file)
