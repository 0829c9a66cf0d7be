"""Values that a record can hold as JSON and no study can have: they are refused where the record is read."""

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_study import edit_json, run_record, write_study

from foveate.errors import RequestError
from foveate.records.study import read_study

METRIC = {"name": "accuracy", "title": "Accuracy"}
SEARCH = {"engine": "optuna", "seed": 0, "best": "se", "trials": []}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2, epochs=2)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"task": {"name": "t", "metrics": []}}, "task.metrics"),
        ({"task": {"name": "t", "metrics": [METRIC | {"title": ""}]}}, r"metrics\.0\.title"),
        ({"task": {"name": "t", "metrics": [METRIC | {"digits": -3}]}}, r"metrics\.0\.digits"),
        ({"design": {"kind": "sweep", "search": SEARCH}}, r"design\.search\.trials"),
        ({"format": "1"}, "in format '1'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_a_study(folder: Path, change: dict[str, Any], place: str) -> None:
    edit_json(folder / "study.json", **change)
    with pytest.raises(RequestError, match=place):
        read_study(folder)


def test_of_its_costs(folder: Path) -> None:
    timing = {"reference": "eca", "rounds": 3, "cpu_share": None}
    edit_json(folder / "cost.json", timing=timing)
    with pytest.raises(RequestError, match="timing.reference is 'eca'"):
        read_study(folder)
    edit_json(folder / "cost.json", timing=timing | {"reference": "none"})
    rows = read_study(folder).cost.to_json()["rows"]
    edit_json(folder / "cost.json", rows=rows | {"se": rows["se"] | {"macs": 10**310}})
    with pytest.raises(RequestError, match="macs"):
        read_study(folder)


def test_of_a_run_with_other_classes_than_its_study(folder: Path) -> None:
    path = run_record(folder, "se", 0)
    test = json.loads(path.read_text())["test"]
    edit_json(path, test=test | {"per_class": [], "confusion": []})
    with pytest.raises(RequestError, match="per_class has 0 of the study.s 10 classes"):
        read_study(folder)


def test_of_a_file_that_is_nested_too_deep(folder: Path) -> None:
    (folder / "study.json").write_text('{"format": 1, "x": ' + "[" * 600 + "]" * 600 + "}")
    with pytest.raises(RequestError, match="nested more than 50 levels"):
        read_study(folder)
    assert json.loads((folder / "study.json").read_text())
