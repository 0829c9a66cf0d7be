"""When a candidate starts to pay, in the report: sentences, table, numbers, figures and the verdict."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_study import edit_json, epochs_of, run_record, write_study

from foveate.evaluation.significance import Outcome
from foveate.evaluation.trajectories import Course
from foveate.records.study import read_study
from foveate.report.core.files import as_svg
from foveate.report.study.build import build_report
from foveate.report.study.kept import summary_from_json
from foveate.report.study.paying import (
    paying_numbers,
    paying_sentences,
    paying_table,
    so_far_sentences,
)
from foveate.report.study.paying_charts import paying_figures
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary

EPOCHS = 20
STEPS = np.arange(EPOCHS)
GAINS = {
    "none": 0 * STEPS,
    "se": np.where(STEPS < 8, -0.03, 0.03),  # ahead from epoch 9
    "cbam": -0.28 + 0.012 * STEPS,  # behind, and catching up
    "dmsca": -0.05 + 0 * STEPS,  # behind
}
TEST_GAINS = {"none": 0.0, "se": 0.03, "cbam": -0.05, "dmsca": -0.05}


def write_curves(
    folder: Path, gains: dict[str, Any], *, seeds: int = 3, noise: float = 0.002, cut: int | None = None
) -> Path:
    """A study with validation accuracies of 0.6 and the gain; `cut` shortens one run of the baseline."""
    write_study(
        folder, gains={label: TEST_GAINS[label] for label in gains}, seeds=seeds, classes=["a", "b", "c"]
    )
    rng = np.random.default_rng(2)
    for label, gain in gains.items():
        for seed in range(seeds):
            values = 0.6 + 0.01 * seed + gain + rng.normal(0, noise, len(gain))
            length = cut if cut and label == "none" and seed == 1 else len(gain)
            epochs = [one.to_json() for one in epochs_of(*values[:length], train_accuracy=0.5)]
            edit_json(run_record(folder, label, seed), epochs=epochs, best_epoch=length)
    return folder


def summary_of(folder: Path) -> Summary:
    return summarise(read_study(folder))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_curves(tmp_path_factory.mktemp("paying"), GAINS)


@pytest.fixture(scope="module")
def summary(study: Path) -> Summary:
    return build_report(study)


def test_worse_so_far_and_catching_up_is_told_apart_from_worse(summary):
    ahead, catching_up, behind = paying_sentences(summary)
    assert ahead.startswith("se is ahead: the whole band lies above zero from epoch 9 to the end (+")
    assert catching_up.startswith(
        "cbam is behind so far and catching up: the whole band lies below zero from epoch 1 to the end (−"
    )
    assert ", and over the epochs 16 to 20 the gain rises by about 1." in catching_up
    assert catching_up.endswith(").")
    assert behind.startswith("dmsca is behind, and was not shown to catch up: the whole band lies below zero")
    assert behind.endswith("and no change that matters was shown over the epochs 16 to 20.")


def test_the_verdict_says_that_a_worse_mechanism_is_catching_up(summary):
    assert {label: test.outcome for label, test in summary.against_baseline.items()} == {
        "se": Outcome.BETTER,
        "cbam": Outcome.WORSE,
        "dmsca": Outcome.WORSE,
    }
    (sentence,) = so_far_sentences(summary)
    assert sentence.startswith(
        "cbam is worse so far and catching up: over the epochs 16 to 20 its gain in validation accuracy "
        "still rises by about 1."
    )
    assert sentence in summary.verdict


def test_the_verdict_says_that_a_better_mechanism_is_falling_back(tmp_path):
    gains = {"none": GAINS["none"], "se": -GAINS["cbam"]}
    found = summary_of(write_curves(tmp_path, gains, noise=0.001))
    assert found.trajectories["se"].course is Course.FALLING_BACK
    (sentence,) = so_far_sentences(found)
    assert sentence.startswith("se is better so far and falling back: over the epochs 16 to 20 its gain")


def test_the_table_has_from_when_it_pays_and_the_course(summary):
    table = paying_table(summary)
    assert table is not None
    rows = {row[0].main: row for row in table.rows}
    assert rows["se"][2] == ("9", "")
    assert rows["cbam"][2] == ("–", "behind from 1")
    assert [row[-1].main for row in table.rows] == ["ahead", "catching up", "behind"]
    end = summary.trajectories["cbam"].end
    assert rows["cbam"][1].main == f"{100 * end.gain:.2f}".replace("-", "−")


def test_the_report_has_page_tables_numbers_and_figures(study, summary):
    page = summary.report.read_text(encoding="utf-8")
    assert page.count('<h2 id="paying">When does it start to pay?</h2>') == 1
    folder = summary.report.parent
    assert "catching up" in (folder / "paying.md").read_text(encoding="utf-8")
    assert "catching up" in (folder / "paying.tex").read_text(encoding="utf-8")
    with (folder / "trajectories.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["attention"] == "se"]
    assert [int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1))
    runs = read_study(study).results
    at_end = [
        runs["se"][seed].epochs[-1].validation_accuracy - runs["none"][seed].epochs[-1].validation_accuracy
        for seed in range(3)
    ]
    assert float(rows[-1]["gain"]) == pytest.approx(np.mean(at_end))
    assert float(rows[-1]["standard_error"]) == pytest.approx(np.std(at_end, ddof=1) / np.sqrt(3))
    assert float(rows[-1]["band_low"]) < float(rows[-1]["stretch_gain"]) < float(rows[-1]["band_high"])
    assert sorted(file.name for file in (folder / "figures").glob("paying*.svg")) == [
        f"paying_{n}.svg" for n in range(3)
    ]


def test_figures_share_a_scale_and_mark_from_when_it_pays(summary):
    figures = paying_figures(summary)
    layers = [figure.spec["layer"] for figure in figures]
    scales = [layer[0]["encoding"]["y"]["scale"]["domain"] for layer in layers]
    assert scales[0] == scales[1] == scales[2]
    marked = [layer[4]["data"]["values"][0]["start"] for layer in layers if len(layer) > 4]
    assert marked == [8.5]  # at the beginning of epoch 9, of se alone
    assert figures[0].title == "se"


def test_json_has_the_trajectories_and_is_read_again(summary):
    content = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert [one["attention"] for one in content["trajectories"]] == ["se", "cbam", "dmsca"]
    first = content["trajectories"][0]
    assert (first["from_epoch"], first["course"], first["outcome"]) == (9, "ahead", "better")
    assert len(first["epochs"]) == len(first["gains"]) == EPOCHS
    assert len(first["stretches"]) == 10
    assert summary_from_json(content).trajectories == summary.trajectories
    del content["trajectories"]  # as earlier versions gave it
    earlier = summary_from_json(content)
    assert earlier.trajectories is None
    assert earlier.to_json().keys() == content.keys()
    assert paying_sentences(earlier) == so_far_sentences(earlier) == paying_figures(earlier) == []


def drawn_without_nan(summary: Summary) -> bool:
    json.dumps(summary.to_json(), allow_nan=False)
    return all("NaN" not in as_svg(figure) for figure in paying_figures(summary))


def test_one_seed(tmp_path):
    found = summary_of(write_curves(tmp_path, {"none": GAINS["none"], "se": GAINS["se"]}, seeds=1))
    gain = f"{100 * found.trajectories['se'].end.gain:+.2f}"
    assert paying_sentences(found) == [
        f"se shares one seed with the baseline: {gain} points over the epochs 19 to 20, without a band or a "
        "test."
    ]
    assert drawn_without_nan(found)


def test_one_epoch(tmp_path):
    gains = {"none": np.zeros(1), "se": np.full(1, 0.03)}
    found = summary_of(write_curves(tmp_path, gains, noise=0.0005))
    (sentence,) = paying_sentences(found)
    assert sentence.startswith("se is ahead: the whole band lies above zero from epoch 1 to the end (+")
    assert sentence.endswith(", and with one epoch there is no course.")
    assert paying_figures(found) == []
    assert drawn_without_nan(found)


def test_equal_curves(tmp_path):
    gains = {"none": np.zeros(6), "se": np.zeros(6), "dmsca": np.full(6, 0.05)}
    found = summary_of(write_curves(tmp_path, gains, noise=0.0))
    assert paying_sentences(found) == [
        "se has no band: its gain at epoch 6, +0.00 points, is the same in each seed.",
        "dmsca has no band: its gain at epoch 6, +5.00 points, is the same in each seed.",
    ]
    assert drawn_without_nan(found)


def test_without_a_baseline_there_is_a_sentence(tmp_path):
    found = summary_of(write_curves(tmp_path, {"se": GAINS["se"], "cbam": GAINS["cbam"]}))
    assert paying_sentences(found) == [
        "There is no finished run of the baseline, so there is no difference to follow."
    ]
    assert paying_table(found) is None
    assert list(paying_numbers(found)) == []


def test_the_baseline_alone_has_a_sentence(tmp_path):
    found = summary_of(write_curves(tmp_path, {"none": GAINS["none"]}))
    assert paying_sentences(found) == ["No other candidate has a finished run with a seed of the baseline's."]


def test_runs_that_ended_early_leave_the_epochs_that_all_have(tmp_path):
    found = summary_of(write_curves(tmp_path, {"none": GAINS["none"], "se": GAINS["se"]}, cut=14))
    one = found.trajectories["se"]
    assert one.epochs == tuple(range(1, 15))
    assert paying_sentences(found)[-1] == (
        "Runs of se or of the baseline ended at different epochs: 14 epochs that all of them have are "
        "compared, of up to 20."
    )


def test_a_cost_matched_control_has_no_trajectory(tmp_path):
    folder = write_curves(tmp_path, {label: GAINS[label] for label in ("none", "se", "dmsca")})
    control = {"label": "se", "of": "dmsca", "measure": "macs", "asked": 100, "reached": 101}
    edit_json(folder / "study.json", design={"kind": "compare", "controls": [control]})
    assert list(summary_of(folder).trajectories) == ["dmsca"]
