import json
from pathlib import Path

import pytest

from foveate.errors import RequestError
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.trained import Trained
from foveate.records.base import Count, Number, Record, Text
from foveate.records.environment import Environment
from foveate.records.examination import ExaminationRecord, Key, Row
from foveate.storage.folder import FolderStorage
from foveate.storage.lease import take

ONE = Trained("one", "se", "resnet18", 0, "0123", ("a", "b"), (3, 8, 8), (0.5,), (0.2,))


class DarkKey(Key):
    name: Text = "one"
    digest: Text = "0123"
    severity: Count


class DarkRow(Row):
    key: DarkKey
    accuracy: Number


class DarkSettings(Record):
    severities: tuple[Count, ...] = ()


class DarkRecord(ExaminationRecord[DarkRow]):
    settings: DarkSettings


def row(severity: int, accuracy: float = 0.5) -> DarkRow:
    return DarkRow(key=DarkKey(name="one", digest="0123", severity=severity), accuracy=accuracy)


def open_record(folder: Path, severities: tuple[int, ...] = ()):
    begun = DarkRecord(
        format=1,
        foveate="0.1.0",
        kind="dark",
        command="foveate dark",
        environment=Environment(),
        settings=DarkSettings(severities=severities),
        data=Record(),
        networks=examined_networks([ONE]),
    )
    return assessment(folder / "dark.json", begun)


def read(folder: Path) -> dict:
    return json.loads((folder / "dark.json").read_text())


def accuracies(folder: Path, part: str) -> list[float]:
    return [one["accuracy"] for one in read(folder)[part]]


def test_rows_are_measured_once(tmp_path):
    with open_record(tmp_path) as record:
        assert record.find(row(1).key) is None
        record.add([row(1)])
    with open_record(tmp_path) as record:
        found = record.find(DarkKey(severity=1, digest="0123", name="one"))
        assert found == row(1)
        assert record.find(row(2).key) is None
    assert read(tmp_path)["rows"] == [
        {"key": {"name": "one", "digest": "0123", "severity": 1}, "accuracy": 0.5}
    ]


def test_each_addition_is_on_the_disk_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_record(tmp_path) as record:
        record.add([row(1)])
        raise KeyboardInterrupt
    assert accuracies(tmp_path, "rows") == [0.5]


def test_rows_of_earlier_requests_are_kept_apart(tmp_path):
    with open_record(tmp_path) as record:
        record.add([row(1, 0.1), row(2, 0.2)])
    with open_record(tmp_path) as record:
        record.find(row(2).key)
    assert accuracies(tmp_path, "rows") == [0.2]
    assert accuracies(tmp_path, "kept") == [0.1]


def test_the_record_says_what_was_asked_for_and_excluded(tmp_path):
    def report(record: Assessment[DarkRow]) -> None:
        record.exclude("image 3 is broken")
        record.warn("gradients may be masked")

    with open_record(tmp_path, severities=(1,)) as record:
        report(record)
        report(record)
        record.change(command="foveate dark --severities 1")
    kept = read(tmp_path)
    assert kept["settings"] == {"severities": [1]}
    assert kept["command"] == "foveate dark --severities 1"
    assert (kept["left_out"], kept["warnings"]) == (["image 3 is broken"], ["gradients may be masked"])
    assert kept["networks"] == [{"name": "one", "label": "se", "seed": 0, "backbone": "resnet18"}]


def test_another_process_at_work_is_named(tmp_path):
    with (
        take(FolderStorage(tmp_path)),
        pytest.raises(RequestError, match="another foveate is at work"),
        open_record(tmp_path),
    ):
        pass


def test_what_is_no_such_record_is_refused(tmp_path):
    with open_record(tmp_path) as record:
        record.add([row(1)])
    content = read(tmp_path)
    content["rows"][0]["accuracy"] = "high"
    (tmp_path / "dark.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match=r"dark\.json .* rows\.0\.accuracy"), open_record(tmp_path):
        pass
