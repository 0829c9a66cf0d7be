"""What records of `foveate explain` say, and the keys of rows that foveate 0.1.0 measured."""

import json
from pathlib import Path

from foveate.evaluation.attention_scores import VIEWS
from foveate.evaluation.cam_methods import METHODS
from foveate.evaluation.road import SHARES
from foveate.records.explain import SCORES, UNDIRECTED, ExplainKey, ExplainRecord
from foveate.records.files import read_record

GOLDEN = Path(__file__).parent / "golden"


def test_the_fields_are_called_what_they_are():
    record = read_record(GOLDEN / "explain-study.json", ExplainRecord)
    row = record.rows[0]
    assert row.key.name == record.networks[0].name == "67800befd229811d"
    assert row.key.digest == "9d8523631a4143ac"
    assert (row.label, row.seed, row.layer) == ("none", 0, "layer3.0")
    assert set(row.scores) == set(SCORES)
    assert record.settings.method in METHODS
    assert record.settings.road_shares == tuple(SHARES)
    assert record.settings.views == tuple(view.name for view in VIEWS)
    assert record.unmeasured == []
    kept = read_record(GOLDEN / "explain-files.json", ExplainRecord)
    assert [row.key.name for row in (*kept.rows, *kept.kept)] == ["dmsca", "dead", "dmsca"]
    assert kept.kept[0].scores["view_consistency"].mean is None


def test_a_key_that_is_made_now_is_that_of_a_row_measured_then():
    content = json.loads((GOLDEN / "explain-study.json").read_text())["rows"][0]["key"]
    key = ExplainKey(
        digest="9d8523631a4143ac",
        name="67800befd229811d",
        backbone="cifar_resnet8",
        method="gradcam++",
        layer="layer3.0",
        images=content["images"],
        limit=6,
        road=2,
        batch_size=5,
        definitions=2,
    )
    assert key.to_json() == content
    assert list(key.to_json()) == list(content)
    assert key.identity == json.dumps(content, sort_keys=True, ensure_ascii=False)


def test_the_first_records_have_no_backbone_in_their_keys():
    content = json.loads((GOLDEN / "explain-study.json").read_text())["rows"][0]["key"]
    del content["backbone"]
    assert ExplainKey.model_validate(content).to_json() == content


def test_scores_know_their_bounds_and_direction():
    assert set(SCORES) > UNDIRECTED
    assert [name for name, score in SCORES.items() if not score.higher_is_better] == ["noise_suppression"]
    assert SCORES["noise_suppression"].high is None
    assert (SCORES["road"].low, SCORES["road"].high) == (-0.5, 0.5)
