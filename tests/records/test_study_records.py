import json
import math
import shutil

import pytest
from synthetic_study import edit_json, run_record, write_study

from foveate.errors import RequestError, WorkError
from foveate.records.study import read_study


def test_reads_finished_runs_and_names_what_is_missing(tmp_path):
    folder = write_study(tmp_path, seeds=3, failed=("cbam", 1), unfinished=("se", 2))
    edit_json(folder / "cost.json", rows={"none": {"parameters": 1}})
    records = read_study(folder)
    assert records.finished == ["none", "se", "cbam", "dmsca"]
    assert {label: sorted(runs) for label, runs in records.results.items()} == {
        "none": [0, 1, 2],
        "se": [0, 1],
        "cbam": [0, 2],
        "dmsca": [0, 1, 2],
    }
    assert records.missing == (
        "The run of se with seed 2 has not finished.",
        "The run of cbam with seed 1 failed: the loss is NaN at epoch 3 (learning rate 0.1)",
        "No cost was measured for se, cbam, dmsca.",
    )
    assert records.cost.batch_size == 1


def test_the_baseline_comes_first_wherever_it_was_asked_for(tmp_path):
    folder = write_study(tmp_path, gains={"se": 0.0, "none": 0.0}, seeds=1)
    assert read_study(folder).finished == ["none", "se"]


def test_a_study_without_cost_is_read(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    (folder / "cost.json").unlink()
    assert read_study(folder).missing == ("No cost was measured for the baseline.",)


def test_refuses_a_folder_without_study(tmp_path):
    with pytest.raises(RequestError, match=r"holds no study: study\.json is not there"):
        read_study(tmp_path)


def test_refuses_another_format_naming_both_versions(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    edit_json(folder / "study.json", format=2, foveate="0.9.0")
    with pytest.raises(
        RequestError, match=r"by foveate 0\.9\.0 in format 2, and foveate .* reads format 1\. Read it"
    ):
        read_study(folder)


def test_refuses_a_result_of_another_format(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    edit_json(run_record(folder, "none", 0), format=0)
    with pytest.raises(RequestError, match=r"runs/\w+/result\.json was written by .* in format 0"):
        read_study(folder)


def test_names_the_file_that_is_no_json(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    run_record(folder, "none", 0).write_text('{"format": 1, "te')
    with pytest.raises(RequestError, match=r"runs/\w+/result\.json is not readable as JSON"):
        read_study(folder)


def test_the_record_of_another_run_is_refused_by_name(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2)
    shutil.copy(run_record(folder, "se", 1), run_record(folder, "none", 0))
    with pytest.raises(RequestError, match=r"is the record of another run: of se, seed 1 .*Delete the file"):
        read_study(folder)


def test_a_record_whose_spec_was_changed_is_refused(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=2)
    path = run_record(folder, "none", 0)
    edit_json(path, spec=json.loads(path.read_text())["spec"] | {"seed": 5})
    with pytest.raises(RequestError, match="was changed: it names run"):
        read_study(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("test", "accuracy"), math.nan),
        (("test", "accuracy"), math.inf),
        (("test", "accuracy"), 1e300),
        (("test", "accuracy"), 7.0),
        (("test", "accuracy"), -0.1),
        (("test", "accuracy"), True),
        (("test", "accuracy"), "0.9"),
        (("test", "accuracy"), None),
        (("test", "loss"), -1.0),
        (("test", "loss"), 10**400),
        (("test", "ece"), 1.5),
        (("test", "per_class", 3, "accuracy"), 1.01),
        (("test", "per_class", 3, "support"), -1),
        (("test", "confusion", 2, 2), -36),
        (("epochs", 1, "validation_accuracy"), 2.0),
        (("epochs", 1, "train_accuracy"), None),
        (("epochs", 1, "epoch"), 7),
        (("epochs", 1, "train_loss"), math.nan),
        (("best_epoch",), 99),
        (("seconds",), -1.0),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_name(tmp_path, place, value):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    path = run_record(folder, "none", 0)
    record = json.loads(path.read_text())
    part = record
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(record))
    with pytest.raises(RequestError, match=r"result\.json"):
        read_study(folder)


@pytest.mark.parametrize("key", ["spec", "id", "test", "epochs", "seconds", "best_epoch"])
@pytest.mark.parametrize("change", ["gone", "a word"])
def test_a_record_without_a_part_or_with_one_of_another_type_is_refused(tmp_path, key, change):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    path = run_record(folder, "none", 0)
    record = json.loads(path.read_text())
    if change == "gone":
        del record[key]
    else:
        record[key] = change
    path.write_text(json.dumps(record))
    with pytest.raises(RequestError, match=r"result\.json"):
        read_study(folder)


def test_a_class_without_test_images_has_no_score(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    path = run_record(folder, "none", 0)
    record = json.loads(path.read_text())
    for score in ("accuracy", "precision", "recall", "f1"):
        record["test"]["per_class"][0][score] = None
    path.write_text(json.dumps(record))
    assert read_study(folder).finished == ["none"]


def test_nothing_finished_is_failed_work_and_says_why(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1, failed=("none", 0))
    assert json.loads((folder / "study.json").read_text())["failed"]
    shutil.rmtree(folder / "runs", ignore_errors=True)
    with pytest.raises(WorkError, match=r"nothing to report\. baseline, seed 0: the loss is NaN"):
        read_study(folder)
