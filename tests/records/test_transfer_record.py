"""What records of `foveate transfer` say, and the keys of rows that foveate 0.1.0 measured."""

import json
from pathlib import Path

import pytest

from foveate.errors import RequestError
from foveate.records.base import parse_record
from foveate.records.files import read_record
from foveate.records.transfer import (
    DirectKey,
    DirectRow,
    ProbeKey,
    ProbeRow,
    TransferRecord,
    TunedKey,
    TunedRow,
    transfer_kind,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def record() -> TransferRecord:
    return read_record(GOLDEN / "transfer-study.json", TransferRecord)


def test_each_way_has_rows_of_its_own(record):
    kinds = {row.key.way: type(row) for row in record.rows}
    assert kinds == {"direct": DirectRow, "probe": ProbeRow, "finetune": TunedRow, "attached": TunedRow}
    direct, probe, tuned = record.rows[:3]
    assert direct.key.classes == ((("High",), ("high",)), (("MIDDLE",), ("middle",)))
    assert (probe.key.train_fraction, probe.features, probe.trained_on) == (1.0, 64, 40)
    assert (tuned.key.run, tuned.best_epoch, tuned.trained_on) == ("05497eea5156e888", 2, 44)
    assert direct.key.name == record.networks[0].name == "67800befd229811d"
    assert direct.key.digest == "9d8523631a4143ac"
    assert [row.name for row in direct.per_class] == ["High", "MIDDLE"]
    kept = read_record(GOLDEN / "transfer-files.json", TransferRecord).kept
    assert [type(row) for row in kept] == [TunedRow, TunedRow]


def test_keys_that_are_made_now_are_those_of_rows_measured_then(record):
    rows = json.loads((GOLDEN / "transfer-study.json").read_text())["rows"]
    shared = {
        "label": "none",
        "seed": 0,
        "backbone": "cifar_resnet8",
        "name": "67800befd229811d",
        "digest": "9d8523631a4143ac",
        "data": record.data.fingerprint,
        "images": 20,
    }
    classes = ((("High",), ("high",)), (("MIDDLE",), ("middle",)))
    made = [
        DirectKey(way="direct", classes=classes, **shared),
        ProbeKey(way="probe", train_fraction=1.0, **shared),
        TunedKey(way="finetune", run=rows[2]["key"]["run"], **shared),
        TunedKey(way="attached", run=rows[3]["key"]["run"], **shared | {"label": "eca"}),
    ]
    for key, row in zip(made, rows, strict=False):
        assert json.dumps(key.to_json()) == json.dumps(row["key"])
        assert key.identity == json.dumps(row["key"], sort_keys=True, ensure_ascii=False)


@pytest.mark.parametrize("way", ["guess", None, ["direct"], 3])
def test_an_unknown_way_is_refused(way):
    content = json.loads((GOLDEN / "transfer-study.json").read_text())
    content["rows"][0]["key"]["way"] = way
    with pytest.raises(RequestError, match=r"rows\.0"):
        parse_record(TransferRecord, content, Path("transfer-colours.json"))


def test_the_kind_is_a_name_of_a_file():
    assert transfer_kind("imagenet/tiny 20") == "transfer-imagenet-tiny-20"
