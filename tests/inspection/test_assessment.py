import json
from pathlib import Path

import pytest
from filelock import FileLock

from foveate.errors import RequestError
from foveate.inspection.assessment import assessment
from foveate.inspection.trained import Trained

ONE = Trained("one", "se", "resnet18", 0, "0123", ("a", "b"), (3, 8, 8), (0.5,), (0.2,))


def open_record(folder: Path, **settings: object):
    about = {"command": "foveate robustness", "environment": {}, "data": {}, "settings": settings}
    return assessment(folder, "robustness", [ONE], about)


def read(folder: Path) -> dict:
    return json.loads((folder / "robustness.json").read_text())


def test_rows_are_measured_once(tmp_path):
    key = {"network": "0123", "severity": 1}
    with open_record(tmp_path) as record:
        assert record.find(key) is None
        record.add([(key, {"accuracy": 0.5})])
    with open_record(tmp_path) as record:
        assert record.find({"severity": 1, "network": "0123"})["accuracy"] == 0.5
        assert record.find(key | {"severity": 2}) is None
    assert read(tmp_path)["rows"] == [{"key": key, "accuracy": 0.5}]


def test_each_addition_is_on_the_disk_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_record(tmp_path) as record:
        record.add([({"severity": 1}, {"accuracy": 0.5})])
        raise KeyboardInterrupt
    assert [row["accuracy"] for row in read(tmp_path)["rows"]] == [0.5]


def test_rows_of_earlier_requests_are_kept_apart(tmp_path):
    with open_record(tmp_path) as record:
        record.add([({"severity": s}, {"accuracy": s / 10}) for s in (1, 2)])
    with open_record(tmp_path) as record:
        record.find({"severity": 2})
    kept = read(tmp_path)
    assert [row["accuracy"] for row in kept["rows"]] == [0.2]
    assert [row["accuracy"] for row in kept["kept"]] == [0.1]


def test_the_record_says_what_was_asked_and_left_out(tmp_path):
    with open_record(tmp_path, severities=[1]) as record:
        record.say(left_out="image 3 is broken")
        record.say(left_out="image 3 is broken", warning="gradients may be masked")
    kept = read(tmp_path)
    assert kept["settings"] == {"severities": [1]}
    assert (kept["left_out"], kept["warnings"]) == (["image 3 is broken"], ["gradients may be masked"])
    assert kept["networks"] == [{"name": "one", "label": "se", "seed": 0, "backbone": "resnet18"}]


def test_another_at_work_is_named(tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(RequestError, match="another foveate is at work"),
        open_record(tmp_path),
    ):
        pass
