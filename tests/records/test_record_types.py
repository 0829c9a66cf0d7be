"""A record with another type or without a key is refused by its file's name, never by a traceback."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic_transfer
from synthetic_study import run_record, write_study

from foveate.errors import RequestError, WorkError
from foveate.records.base import Record
from foveate.records.files import read_record
from foveate.records.study import read_study
from foveate.report.sections import read_examined
from foveate.report.study.build import build_report

REMOVED = object()
VALUES = (REMOVED, None, "x", [], {}, -1, float("inf"), True)


def mutations(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each key of a record (of lists, of the first item) with each of the values."""
    items = record.items() if isinstance(record, dict) else enumerate(record[:1])
    for key, value in items:
        for wrong in VALUES:
            yield (*path, key), wrong
        if isinstance(value, dict | list):
            yield from mutations(value, (*path, key))


def changed(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    record = copy.deepcopy(record)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


def refusals(file: Path, read: Callable[[], object], step: int = 1) -> dict[str, int]:
    """How often a changed record was refused and how often it was read; whatever else is raised comes out.

    Of all changes each `step`-th is tried.
    """
    good = json.loads(file.read_text())
    counted = {"refused": 0, "read": 0}
    for path, value in itertools.islice(mutations(good), 0, None, step):
        file.write_text(json.dumps(changed(good, path, value)))
        try:
            read()
        except (RequestError, WorkError):
            counted["refused"] += 1
        else:
            counted["read"] += 1
    file.write_text(json.dumps(good))
    return counted


@pytest.mark.parametrize("name", ["study.json", "cost.json", "result.json"])
def test_a_changed_record_of_a_study_is_read_or_refused(tmp_path: Path, name: str) -> None:
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=1, epochs=2, classes=["a", "b"])
    file = run_record(folder, "se", 0) if name == "result.json" else folder / name
    counted = refusals(file, lambda: read_study(folder))
    assert counted["refused"] > counted["read"]


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.full)])
def test_a_changed_record_of_an_examination_is_read_or_refused(tmp_path: Path, step: int) -> None:
    path = synthetic_transfer.write_record(tmp_path)
    counted = refusals(path, lambda: read_examined(path), step)
    assert counted["refused"] > 100 / step


@pytest.mark.parametrize("content", ["null", "[]", "3", "[" * 100_000, "9" * 5000, "\xff"])
def test_what_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    for name in ("study.json", "cost.json", "result.json", "explain.json"):
        (tmp_path / name).write_text(content, encoding="latin1")
        with pytest.raises(RequestError, match=name):
            read_record(tmp_path / name, Record)


def test_a_refusal_names_the_key_and_what_was_expected(tmp_path: Path) -> None:
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    path = run_record(folder, "none", 0)
    good = json.loads(path.read_text())
    path.write_text(json.dumps(changed(good, ("test", "accuracy"), "high")))
    with pytest.raises(RequestError, match=r"not a valid record: test\.accuracy: .*number"):
        build_report(folder)


@pytest.mark.parametrize("id_", ["..", "../x", "/a/b", "", "."])
def test_a_run_lies_in_the_studys_folder(tmp_path: Path, id_: str) -> None:
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    good = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(changed(good, ("runs", 0, "id"), id_)))
    with pytest.raises(RequestError, match=r"runs\.0\.id"):
        read_study(folder)
