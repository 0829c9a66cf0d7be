import json
import shutil

import pytest
from synthetic_study import edit_json, write_study

from foveate.errors import RequestError, WorkError
from foveate.report.records import read_records


def test_reads_finished_runs_and_names_what_is_missing(tmp_path):
    folder = write_study(tmp_path, seeds=3, failed=("cbam", 1), unfinished=("se", 2))
    edit_json(folder / "cost.json", rows={"none": {"parameters": 1}})
    records = read_records(folder)
    assert records.finished == ["none", "se", "cbam", "dmsca"]
    assert {label: sorted(runs) for label, runs in records.results.items()} == {
        "none": [0, 1, 2],
        "se": [0, 1],
        "cbam": [0, 2],
        "dmsca": [0, 1, 2],
    }
    assert records.missing == [
        "The run of se with seed 2 has not finished.",
        "The run of cbam with seed 1 failed: the loss is NaN at epoch 3 (learning rate 0.1)",
        "No cost was measured for se, cbam, dmsca.",
    ]
    assert records.cost_setting == {"batch_size": 1}


def test_plain_comes_first_wherever_it_was_asked_for(tmp_path):
    folder = write_study(tmp_path, gains={"se": 0.0, "none": 0.0}, seeds=1)
    assert read_records(folder).finished == ["none", "se"]


def test_a_study_without_cost_is_read(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    (folder / "cost.json").unlink()
    assert read_records(folder).missing == ["No cost was measured for none."]


def test_refuses_a_folder_without_study(tmp_path):
    with pytest.raises(RequestError, match=r"holds no study: study\.json is not there"):
        read_records(tmp_path)


def test_refuses_another_format_naming_both_versions(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    edit_json(folder / "study.json", format=2, foveate="0.9.0")
    with pytest.raises(
        RequestError, match=r"by foveate 0\.9\.0 in format 2, and foveate .* reads format 1\. Read it"
    ):
        read_records(folder)


def test_refuses_a_result_of_another_format(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    edit_json(folder / "runs" / "none-0" / "result.json", format=0)
    with pytest.raises(RequestError, match=r"none-0/result\.json was written in format 0"):
        read_records(folder)


def test_names_the_file_that_is_no_json(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    (folder / "runs" / "none-0" / "result.json").write_text('{"format": 1, "te')
    with pytest.raises(RequestError, match=r"none-0/result\.json is not readable as JSON"):
        read_records(folder)


def test_nothing_finished_is_failed_work_and_says_why(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1, failed=("none", 0))
    assert json.loads((folder / "study.json").read_text())["failed"]
    shutil.rmtree(folder / "runs", ignore_errors=True)
    with pytest.raises(WorkError, match=r"nothing to report\. none, seed 0: the loss is NaN"):
        read_records(folder)
