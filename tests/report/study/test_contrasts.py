import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic_study import write_study

from foveate.evaluation.significance import Outcome
from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.report.study.charts import figures
from foveate.report.study.confusions import find_confusions
from foveate.report.study.console import console_table
from foveate.report.study.contrasts import (
    contrasts_table,
    search_sentences,
    search_table,
    values_table,
)
from foveate.report.study.summarise import summarise

GAINS = {"none": 0.0, "se": 0.001, "GCE": 0.01, "dmsca": 0.03}
CONTRASTS = [
    {"a": "none", "b": "GCE", "title": "GCE", "group": "added one at a time"},
    {"a": "GCE", "b": "dmsca", "title": "AA", "group": "added one at a time"},
    {"a": "GCE", "b": "dmsca", "title": "AA", "group": "left out one at a time"},
    {"a": "none", "b": "absent", "title": "absent", "group": "alone"},
]


def write_design(folder: Path, **design: Any) -> Path:
    write_study(folder, gains=GAINS)
    path = folder / "study.json"
    study = json.loads(path.read_text())
    path.write_text(json.dumps(study | {"design": {"kind": "ablate", "subject": "dmsca"} | design}))
    return folder


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_design(tmp_path_factory.mktemp("ablation"), contrasts=CONTRASTS)


def test_what_was_planned_is_tested_and_nothing_else(ablation: Path) -> None:
    summary = summarise(read_study(ablation))
    assert [(test.title, test.group) for test in summary.comparisons] == [
        ("GCE", "added one at a time"),
        ("AA", "added one at a time"),
        ("AA", "left out one at a time"),
    ]
    assert summary.family == 2  # the same pair counts once
    added, excluded = summary.comparisons[1:]
    assert replace(added, group=excluded.group) == excluded
    assert added.test.difference == pytest.approx(0.02, abs=0.004)
    assert added.outcome is Outcome.BETTER


def test_the_verdict_names_parts(ablation: Path) -> None:
    verdict = summarise(read_study(ablation)).verdict
    assert verdict[0] == "All of the 3 planned comparisons showed a difference."
    assert verdict[2].startswith("AA, added one at a time: a gain of ")
    assert "adjusted p" in verdict[2]


def test_what_was_not_shown_is_said_to_be_open(tmp_path: Path) -> None:
    folder = write_design(
        tmp_path, contrasts=[{"a": "none", "b": "se", "title": "SE", "group": "against plain"}]
    )
    summary = summarise(read_study(folder))
    assert summary.comparisons[0].outcome is Outcome.INCONCLUSIVE
    assert summary.verdict[0] == "Nobody can tell yet: no part of dmsca was shown to make a difference."
    assert "(SE, against the baseline)" in summary.verdict[2]


def test_gains_and_prices_stand_side_by_side(ablation: Path) -> None:
    summary = summarise(read_study(ablation))
    table = contrasts_table(summary)
    assert table is not None
    assert [row[0].main for row in table.rows] == [
        "GCE, added one at a time",
        "AA, added one at a time",
        "AA, left out one at a time",
    ]
    assert table.rows[0][0].detail == "baseline → GCE"
    assert [row[2].detail for row in table.rows] == ["gain"] * 3
    records = read_study(ablation)
    names = [figure.name for figure in figures(summary, records, find_confusions(records))]
    assert "contrasts" in names
    assert "differences" not in names


def test_the_page_and_the_terminal_show_them(ablation: Path) -> None:
    summary = build_report(ablation)
    page = summary.report.read_text(encoding="utf-8")
    assert '<h2 id="contrasts">Parts</h2>' in page
    assert "baseline → GCE" in page
    assert (ablation / "report" / "contrasts.md").is_file()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(console_table(summary))
    text = console.export_text()
    assert "left out one at a time" in text
    assert max(map(len, text.splitlines())) <= 80


def test_values_of_an_option_are_shown_in_their_order(tmp_path: Path) -> None:
    values = [
        {"option": "reduction", "value": "4", "label": "GCE"},
        {"option": "reduction", "value": "16", "label": "dmsca"},
        {"option": "reduction", "value": "64", "label": "absent"},
    ]
    contrasts = [{"a": "dmsca", "b": "GCE", "title": "reduction 4 instead of 16", "group": "reduction"}]
    folder = write_design(tmp_path, kind="sweep", values=values, contrasts=contrasts)
    records = read_study(folder)
    summary = summarise(records)
    table = values_table(summary)
    assert table is not None
    assert [(row[0].main, row[0].detail) for row in table.rows] == [
        ("reduction = 4", ""),
        ("reduction = 16", "as it is"),
    ]
    assert table.rows[0][2].main.startswith("−2.")
    chart = next(
        figure
        for figure in figures(summary, records, find_confusions(records))
        if figure.name == "values_reduction"
    )
    assert "4: " in chart.description
    assert "16: " in chart.description
    page = build_report(folder).report.read_text(encoding="utf-8")
    assert '<h2 id="values">Values</h2>' in page


def test_a_search_is_reported_with_what_it_did_not_touch(tmp_path: Path) -> None:
    trials = [
        {"number": 0, "values": {"r": "8"}, "accuracy": 0.5, "epochs": 3, "state": "complete"},
        {"number": 1, "values": {"r": "<4>"}, "accuracy": 0.7, "epochs": 1, "state": "pruned"},
        {"number": 2, "values": {"r": "16"}, "accuracy": 0.6, "epochs": 3, "state": "complete"},
    ]
    search = {"engine": "optuna", "seed": 0, "best": "se", "trials": trials, "importance": {"r": 1.0}}
    folder = write_design(tmp_path, kind="sweep", search=search, contrasts=CONTRASTS[:1])
    summary = build_report(folder)
    table = search_table(summary)
    assert table is not None
    assert [row[0].main for row in table.rows] == ["2", "0", "1"]
    said = " ".join(search_sentences(summary))
    assert "3 combinations tried on seed 0 by optuna, 1 of them ended early" in said
    assert "the test part was not read" in said
    page = summary.report.read_text(encoding="utf-8")
    assert '<h2 id="search">Search</h2>' in page
    assert "&lt;4&gt;" in page


def test_a_study_of_all_pairs_has_none_of_it(tmp_path: Path) -> None:
    summary = summarise(read_study(write_study(tmp_path, gains=GAINS)))
    assert contrasts_table(summary) is None
    assert values_table(summary) is None
    assert search_table(summary) is None
    assert search_sentences(summary) == []
    assert len(summary.comparisons) == 6


def test_a_control_is_spoken_of(tmp_path: Path) -> None:
    control = {"label": "GCE", "of": "dmsca", "measure": "parameters", "asked": 100, "reached": 101}
    folder = write_design(tmp_path, kind="compare", controls=[control])
    verdict = " ".join(summarise(read_study(folder)).verdict)
    assert "dmsca is better than a baseline of as many parameters (cost-matched control GCE) by " in verdict
    assert "its gain is not just size" in verdict
    other = write_design(
        tmp_path / "slow", kind="compare", controls=[control | {"label": "se", "of": "none"}]
    )
    assert "none was not shown to differ from" in " ".join(summarise(read_study(other)).verdict)


def test_networks_are_ranked_without_a_baseline(tmp_path: Path) -> None:
    write_study(tmp_path, gains={"resnet18": 0.0, "convnext": 0.02, "twin": 0.0201})
    path = tmp_path / "study.json"
    study = json.loads(path.read_text())
    path.write_text(json.dumps(study | {"design": {"kind": "networks"}}))
    verdict = summarise(read_study(tmp_path)).verdict
    assert "highest mean" in verdict[0]
    assert "could not be told apart" in verdict[0]
    assert any("is better than resnet18 by" in sentence for sentence in verdict)


def test_planned_comparisons_without_any_end_finished_are_said_to_be_open(tmp_path: Path) -> None:
    folder = write_design(tmp_path, contrasts=CONTRASTS[3:])
    summary = build_report(folder)
    assert summary.comparisons == ()
    assert "none of the planned comparisons has finished runs at both ends" in summary.verdict[0]
    page = summary.report.read_text(encoding="utf-8")
    assert "no planned comparison has finished runs at both ends" in page


def test_a_control_takes_part_in_its_own_comparison_alone(tmp_path: Path) -> None:
    control = {"label": "GCE", "of": "dmsca", "measure": "macs", "asked": 100, "reached": 101}
    summary = summarise(read_study(write_design(tmp_path, kind="compare", controls=[control])))
    pairs = [(test.a, test.b) for test in summary.comparisons]
    assert pairs == [("none", "se"), ("none", "dmsca"), ("se", "dmsca"), ("GCE", "dmsca")]
    assert not any(sentence.startswith("Take GCE") for sentence in summary.verdict)
    assert "GCE is better than the baseline" not in " ".join(summary.verdict)


def test_a_report_leaves_no_table_or_figure_of_an_earlier_study(tmp_path: Path) -> None:
    values = [{"option": "reduction", "value": "4", "label": "GCE"}]
    folder = write_design(tmp_path, kind="sweep", values=values, contrasts=CONTRASTS[:1])
    build_report(folder)
    assert (folder / "report" / "values.md").is_file()
    assert (folder / "report" / "figures" / "values_reduction.svg").is_file()
    build_report(write_study(folder, gains=GAINS))
    left = {path.name for path in (folder / "report").rglob("*")}
    assert not left & {"values.md", "values.tex", "contrasts.md", "values_reduction.svg", "contrasts.pdf"}
    assert {"results.md", "tests.tex", "differences.svg", "index.html"} <= left
