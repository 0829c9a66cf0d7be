"""A study that compares with the baseline only: its tests, its verdict, and what its report says of it."""

from pathlib import Path
from typing import Any

import pytest
from synthetic_study import edit_json, write_study

from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.tables import family_sentence


def compared(folder: Path, family: str | None = "baseline", **options: Any) -> Summary:
    write_study(folder, **options)
    if family:
        edit_json(folder / "study.json", design={"kind": "compare", "family": family})
    return summarise(read_study(folder))


def test_only_comparisons_with_the_baseline_are_adjusted_for(tmp_path: Path) -> None:
    ours, all_pairs = compared(tmp_path / "a"), compared(tmp_path / "b", "all")
    assert [test.a for test in ours.comparisons] == ["none"] * 3
    assert (ours.family, all_pairs.family) == (3, 6)
    assert ours.alpha_per_test == pytest.approx(0.05 / 3)
    assert ours.to_json()["study"]["statistics"]["family"] == "baseline"
    for test in ours.comparisons:
        (same,) = [one for one in all_pairs.comparisons if one.pair == test.pair]
        assert same.test == test.test
        assert test.p_adjusted is not None
        assert same.p_adjusted is not None
        assert test.p_adjusted <= same.p_adjusted
        assert test.detectable_difference < same.detectable_difference  # type: ignore[operator]


def test_a_record_without_a_family_compares_all_pairs(tmp_path: Path) -> None:
    old, declared = compared(tmp_path / "a", None), compared(tmp_path / "b", "all")
    assert old.comparisons == declared.comparisons
    assert old.to_json()["study"]["statistics"]["family"] == "all"


def test_of_better_mechanisms_that_were_not_compared_both_ends_are_named(tmp_path: Path) -> None:
    both = {"none": 0.0, "se": 0.02, "dmsca": 0.021}
    headline = compared(tmp_path / "a", gains=both, seeds=6).verdict[0]
    assert headline == (
        "Take se or dmsca if its price suits you: of the 2 mechanisms shown to be better than the baseline, "
        "se is the cheapest, and dmsca has the highest mean. They were not compared with each other; "
        "--family all does that."
    )
    headline = compared(tmp_path / "b", gains=both | {"se": 0.03}, seeds=6).verdict[0]
    assert headline.startswith("Take se if its price suits you: of the 2 mechanisms")
    assert "it has the highest mean, and none costs less." in headline


def test_one_better_mechanism_is_taken_alone(tmp_path: Path) -> None:
    gains = {"none": 0.0, "se": 0.0004, "dmsca": 0.02}
    assert compared(tmp_path, gains=gains, seeds=6).verdict[0] == (
        "Take dmsca if its price suits you: it alone was shown to be better than the baseline."
    )


def test_a_baseline_without_finished_runs_leaves_nothing_to_compare(tmp_path: Path) -> None:
    write_study(tmp_path, gains={"se": 0.0, "dmsca": 0.01})
    edit_json(tmp_path / "study.json", design={"kind": "compare", "family": "baseline"})
    summary = summarise(read_study(tmp_path))
    assert summary.comparisons == ()
    assert summary.verdict[0].startswith("Nobody can tell yet: none of the planned comparisons")


def test_the_report_says_which_family_was_used(tmp_path: Path) -> None:
    compared(tmp_path)
    summary = build_report(tmp_path)
    said = family_sentence(summary)
    assert said.startswith(
        "Family: each mechanism is compared with the baseline. That is 3 comparisons, for which p values are "
        "adjusted (Holm)."
    )
    page = summary.report.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert said in page
    assert "Paired tests against the baseline" in page
    everything = compared(tmp_path / "all", "all")
    assert family_sentence(everything) == (
        "Family: each pair of candidates is compared. That is 6 comparisons, for which p values are "
        "adjusted (Holm)."
    )
