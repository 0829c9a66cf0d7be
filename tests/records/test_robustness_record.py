"""The rows of robustness records, their keys, and the names in them."""

from pathlib import Path

import pytest

from foveate.data.corruption_names import ARTICLE, noise_name, noise_sigma
from foveate.data.corruptions import CORRUPTIONS, SEVERITIES
from foveate.errors import RequestError
from foveate.records import robustness
from foveate.records.files import read_record
from foveate.records.robustness import (
    COMMON,
    AttackRow,
    CorruptionKey,
    CorruptionRow,
    RobustnessRecord,
    stated_sigma,
)

GOLDEN = Path(__file__).parent / "golden"


def test_rows_are_of_corruptions_or_of_attacks():
    record = read_record(GOLDEN / "robustness.json", RobustnessRecord)
    assert {type(row) for row in (*record.rows, *record.kept)} == {CorruptionRow, AttackRow}
    clean = record.attack_rows[0]
    assert clean.key.eps is None
    assert clean.gradients is not None
    assert clean.parts == {}
    assert {row.key.attack: [*row.parts] for row in record.attack_rows} == {
        "none": [],
        "fgsm": ["fgsm"],
        "ensemble": ["apgd-ce", "apgd-dlr", "square"],
    }
    prepared = read_record(GOLDEN / "robustness-prepared.json", RobustnessRecord).corruption_rows
    assert {row.key.severity: row.unreadable for row in prepared if row.key.corruption == "fog"} == {
        1: 0,
        2: 1,
    }


def test_a_key_made_now_equals_the_one_that_was_written():
    record = read_record(GOLDEN / "robustness-prepared.json", RobustnessRecord)
    row = next(row for row in record.corruption_rows if row.key.corruption == "fog")
    key = CorruptionKey(
        device="cpu",
        corruption="fog",
        severity=1,
        name=row.key.name,
        digest=row.key.digest,
        data=row.key.data,
        images=None,
    )
    assert key.identity == row.key.identity


def test_a_row_without_its_scores_is_refused(tmp_path: Path):
    path = tmp_path / "robustness.json"
    written = (GOLDEN / path.name).read_text(encoding="utf-8")
    path.write_text(written.replace('"accuracy"', '"accurate"'), encoding="utf-8")
    with pytest.raises(RequestError, match=r"robustness\.json .*rows\.0\.corruption\.accuracy"):
        read_record(path, RobustnessRecord)


def test_names_are_those_of_the_corruptions():
    assert tuple(CORRUPTIONS) == COMMON
    for strengths in SEVERITIES.values():
        assert {len(levels) for levels in strengths.values()} == {len(robustness.SEVERITIES)}
    for name in (*COMMON, *ARTICLE, noise_name(0.5)):
        sigma = noise_sigma(name)
        assert stated_sigma(name) == (None if sigma is None else f"{sigma:g}")
