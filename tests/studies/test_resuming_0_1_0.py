"""A study that foveate 0.1.0 made is read, resumed and reported: three of its four runs were finished."""

import json
import shutil
from pathlib import Path

import pytest

from foveate.records.cost import CostRecord
from foveate.records.file_names import COST, RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.run import RunRecord
from foveate.records.study import StudyRecord, read_study
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.making import make_study

KEPT = Path(__file__).with_name("study_0_1_0")
ASKED = {
    "data": "digits",
    "train_fraction": 0.3,
    "backbone": "cifar_resnet8",
    "attention": "none,se",
    "seeds": 2,
}
RECIPE = {"epochs": 1, "batch_size": 32}
FILES = {path.relative_to(KEPT): path for path in sorted(KEPT.rglob("*.json")) if path.name != "spec.json"}


@pytest.mark.parametrize("name", FILES, ids=str)
def test_its_records_are_read_and_written_to_the_byte(name: Path) -> None:
    kinds = {STUDY: StudyRecord, COST: CostRecord, RESULT: RunRecord}
    text = FILES[name].read_text(encoding="utf-8")
    record = read_record(FILES[name], kinds[name.name])
    assert json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n" == text


def test_it_is_resumed_under_its_own_ids(tmp_path: Path) -> None:
    out = shutil.copytree(KEPT, tmp_path / "study")
    before = {path: path.read_bytes() for path in out.rglob(RESULT)}
    assert len(before) == 3
    assert read_study(out).missing == ("The run of se with seed 1 has not finished.",)

    compare(make_study(ASKED, RECIPE), out, Machine("cpu"))

    assert {path: path.read_bytes() for path in before} == before
    study, old = read_record(out / STUDY, StudyRecord), read_record(KEPT / STUDY, StudyRecord)
    assert [run.id for run in study.runs] == [run.id for run in old.runs]
    records = read_study(out)
    assert records.missing == ()
    assert records.results["se"][1].foveate
    assert not list((out / RUNS).glob("*/*.part"))
    summary = build_report(out)
    assert [(row.attention, row.runs) for row in summary.rows] == [("none", 2), ("se", 2)]
    assert summary.report.is_file()
