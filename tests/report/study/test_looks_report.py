from pathlib import Path

import pytest
from synthetic_study import edit_json, plan_looks, write_study

from foveate.records.study import read_study
from foveate.report.study.looks import looks_table, plan_sentences
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.tables import family_sentence

GAINS = {"none": 0.0, "se": 0.0, "dmsca": 0.03}


def summary_of(folder: Path, stopped: str | None, levels: dict[int, float]) -> Summary:
    write_study(folder, gains=GAINS, seeds=6, noise=0.001)
    plan_looks(folder, levels, margin=0.004, stopped=stopped)
    return summarise(read_study(folder))


def test_the_table_of_looks_ends_where_a_comparison_was_decided(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, "decided", {3: 0.0, 4: 0.001, 5: 0.02, 6: 0.04})
    table = looks_table(summary)
    assert table is not None
    rows = [[cell.main for cell in row] for row in table.rows]
    dmsca = [row for row in rows if row[0] == "baseline → dmsca"]
    assert len(dmsca) == 1  # the name stands once
    place = rows.index(dmsca[0])
    assert [row[1] for row in rows[place : place + 2]] == ["3", "4"]
    assert [row[-1] for row in rows[place : place + 2]] == ["too early", "dmsca better"]
    assert table.rows[place][2].detail == ""
    assert table.rows[place + 1][3].detail == "level 0.001"
    content = summary.to_json()
    assert content["study"]["sequential"]["stopped"] == "decided"
    assert {(one["b"], one["decided_at"]) for one in content["sequential"] if one["a"] == "none"} >= {
        ("dmsca", 4)
    }
    assert "for the looks, too" in family_sentence(summary)
    assert "3 seeds first, then one more at a time, at most 6" in plan_sentences(summary)[0]


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("max-seeds", "The budget of 6 seeds is spent."),
        ("max-hours", "The hours of the command (--max-hours) were spent after 6 seeds"),
        ("failed", "More seeds decide nothing: runs fail."),
        (None, "The study is not at its end: so far it has 6 seeds; the same command goes on."),
    ],
)
def test_the_verdict_says_what_stopped_the_study(tmp_path: Path, stopped: str | None, said: str) -> None:
    verdict = summary_of(tmp_path, stopped, dict.fromkeys((3, 4, 5, 6), 0.0)).verdict
    assert any(sentence.startswith(said) for sentence in verdict)
    assert any(
        sentence.startswith("Still open: se against the baseline, dmsca against") for sentence in verdict
    )


def test_a_study_without_a_plan_has_none_of_it(tmp_path: Path) -> None:
    summary = summarise(read_study(write_study(tmp_path, gains=GAINS, seeds=3)))
    assert looks_table(summary) is None
    assert plan_sentences(summary) == []
    assert not {"sequential", "looks"} & (summary.to_json().keys() | summary.to_json()["study"].keys())


def test_looks_by_hand_count_for_the_comparisons_that_were_there(tmp_path: Path) -> None:
    write_study(tmp_path, gains=GAINS, seeds=6, noise=0.02)
    before = {(one.a, one.b): one.p_adjusted for one in summarise(read_study(tmp_path)).comparisons}
    edit_json(
        tmp_path / "study.json",
        looks={"since_first": True, "earlier": [{"runs": {"none": [0, 1, 2], "se": [0, 1, 2]}}]},
    )
    summary = summarise(read_study(tmp_path))
    after = {(one.a, one.b): one.these_images for one in summary.comparisons}
    plain = {(one.a, one.b): one.test.p for one in summary.comparisons}
    assert any("adjusted for 2 looks (3 and 6 seeds)." in sentence for sentence in summary.verdict)
    assert all(after[pair].p == plain[pair] for pair in after)  # type: ignore[union-attr]
    assert after["none", "se"].p_adjusted > before["none", "se"]  # type: ignore[union-attr, operator]
    assert summary.to_json()["study"]["looks"]["earlier"] == [{"runs": {"none": [0, 1, 2], "se": [0, 1, 2]}}]
