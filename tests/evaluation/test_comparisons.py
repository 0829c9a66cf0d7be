"""Comparisons of a study whose runs kept the scores of single images: outcomes, populations, what is said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import stats
from synthetic_study import edit_json, write_study

from foveate.evaluation.comparisons import compare_candidates
from foveate.evaluation.metric_differences import metric_differences
from foveate.evaluation.significance import Outcome
from foveate.evaluation.study_scores import ScoresOfRuns, read_study_scores
from foveate.records.file_names import RESULT, RUNS
from foveate.records.scores import SCORES, ImageScores, write_scores
from foveate.records.study import StudyRecords, read_study
from foveate.report.study.summarise import summarise

IMAGES, CLASSES = 400, 10
LABELS = np.random.default_rng(0).integers(0, CLASSES, IMAGES).astype(np.int16)


def scored_study(folder: Path, shifts: dict[str, float], *, seeds: int = 5, loudness: float = 0.3) -> Path:
    """Write a study whose networks answer by a probit model: images differ, and seeds, and mechanisms."""
    random = np.random.default_rng(11)
    write_study(folder, gains=dict.fromkeys(shifts, 0.0), seeds=seeds)
    ease = random.normal(1.5, 1.5, IMAGES)
    for label, shift in shifts.items():
        own = random.normal(0, loudness, IMAGES)
        for seed in range(seeds):
            right = ease + own + shift + random.normal(0, 1, IMAGES) > 0
            (run,) = (
                one
                for one in json.loads((folder / "study.json").read_text())["runs"]
                if (one["attention"], one["seed"]) == (label, seed)
            )
            place = folder / RUNS / run["id"]
            write_scores(
                place,
                ImageScores(
                    run["id"],
                    predicted=np.where(right, LABELS, (LABELS + 1) % CLASSES).astype(np.int16),
                    correct=right,
                    confidence=np.full(IMAGES, 0.5, np.float16),
                    loss=np.where(right, 0.25, 2.0).astype(np.float16),
                    label=LABELS,
                ),
            )
            test = json.loads((place / RESULT).read_text())["test"]
            loss = float(np.where(right, 0.25, 2.0).mean())
            edit_json(place / RESULT, test=test | {"accuracy": float(right.mean()), "loss": loss})
    return folder


def read(folder: Path) -> tuple[StudyRecords, ScoresOfRuns]:
    records = read_study(folder)
    return records, read_study_scores(records)


def set_statistics(folder: Path, **settings: object) -> None:
    statistics = json.loads((folder / "study.json").read_text())["statistics"]
    edit_json(folder / "study.json", statistics=statistics | settings)


def test_the_verdict_rests_on_new_images_and_both_are_given(tmp_path):
    records, scores = read(scored_study(tmp_path, {"none": 0.0, "se": 0.4}))
    assert scores.images == IMAGES
    (found,) = compare_candidates(records, scores)
    assert found.population == "new-images"
    pairs = [[run.test.accuracy for run in records.results[label].values()] for label in ("none", "se")]
    t = stats.ttest_rel(pairs[1], pairs[0])
    assert found.these_images.p == pytest.approx(t.pvalue)
    assert found.these_images.ci95 == pytest.approx(tuple(t.confidence_interval()), abs=1e-3)
    assert found.new_images.standard_error > found.these_images.standard_error
    assert (found.test.p, found.p_adjusted) == (found.new_images.p, found.new_images.p_adjusted)
    assert found.outcome is Outcome.BETTER
    content = found.to_json()
    assert (content["outcome"], content["margin"], content["population"]) == ("better", 0.005, "new-images")


def test_it_rests_on_these_images_where_that_is_asked_for(tmp_path):
    folder = scored_study(tmp_path, {"none": 0.0, "se": 0.4})
    set_statistics(folder, population="these-images", margin=0.01)
    (found,) = compare_candidates(*read(folder))
    assert (found.population, found.margin) == ("these-images", 0.01)
    assert found.test.p == found.these_images.p
    assert found.new_images is not None


@pytest.mark.parametrize(
    ("shift", "margin", "outcome"),
    [(0.0, 0.08, Outcome.EQUIVALENT), (0.0, 0.001, Outcome.INCONCLUSIVE), (-0.5, 0.001, Outcome.WORSE)],
)
def test_the_margin_decides_what_is_equivalent(tmp_path, shift, margin, outcome):
    folder = scored_study(tmp_path, {"none": 0.0, "se": shift})
    set_statistics(folder, margin=margin)
    (found,) = compare_candidates(*read(folder))
    assert found.outcome is outcome
    assert found.is_gain_under_margin == (outcome in (Outcome.EQUIVALENT, Outcome.WORSE))


def test_draws_of_the_images_agree_with_the_formula(tmp_path):
    records, scores = read(scored_study(tmp_path, {"none": 0.0, "se": 0.2, "eca": 0.1}))
    summary = summarise(records)
    by_pair = {(one.a, one.b): one for one in summary.metric_differences if one.metric.name == "accuracy"}
    for test in compare_candidates(records, scores):
        drawn, expected = by_pair[test.a, test.b], test.new_images.ci95
        width = expected[1] - expected[0]
        assert drawn.new_images == pytest.approx(expected, abs=0.06 * width)
        assert drawn.pigeonhole[0] < expected[0] < expected[1] < drawn.pigeonhole[1]
    assert {one.metric.name for one in summary.metric_differences} == {
        *("accuracy", "loss", "precision", "recall", "f1", "ece")
    }


def test_scores_that_cannot_be_used_say_why(tmp_path):
    folder = scored_study(tmp_path, {"none": 0.0, "se": 0.4}, seeds=3)
    places = sorted((folder / RUNS).iterdir())

    def obstacle() -> str:
        records, scores = read(folder)
        (found,) = compare_candidates(records, scores)
        assert found.population == "these-images"
        assert found.new_images is None
        assert found.these_images.p is not None
        summary = summarise(records)
        assert scores.obstacle in summary.verdict[-1]
        assert summary.metric_differences == ()
        return scores.obstacle

    whole = (places[0] / SCORES).read_bytes()
    columns = load_file(places[0] / SCORES)
    about = {"format": "1", "run": places[0].name}
    (places[0] / SCORES).unlink()
    assert obstacle() == "1 run without scores of single images (runs of foveate 0.1.0 lack them)"
    (places[0] / SCORES).write_bytes(whole[:100])
    assert "holds no scores of test images" in obstacle()
    save_file({name: column[:-1] for name, column in columns.items()}, places[0] / SCORES, about)
    assert "is not the accuracy of its record" in obstacle() or "different images: 399 and 400" in obstacle()
    save_file(columns, places[0] / SCORES, about | {"run": "another"})
    assert "its scores are those of run another" in obstacle()
    save_file(columns | {"correct": ~columns["correct"]}, places[0] / SCORES, about)
    assert "is not the accuracy of its record" in obstacle()
    beyond = columns["predicted"].copy()
    beyond[~columns["correct"]] = CLASSES
    save_file(columns | {"predicted": beyond}, places[0] / SCORES, about)
    assert "its scores name a class beyond the study's 10" in obstacle()
    turned = {name: np.ascontiguousarray(column[::-1]) for name, column in columns.items()}
    save_file(turned, places[0] / SCORES, about)
    assert obstacle() == "the runs were tested on different images, or in another order"


def test_one_kind_of_seeds_is_used_for_the_test_and_for_all_metrics(tmp_path):
    folder = scored_study(tmp_path, {"none": 0.0, "se": 0.2}, seeds=4)
    records, scores = read(folder)
    (test,) = compare_candidates(records, scores)
    assert test.seeds == (0, 1, 2, 3)
    fewer = replace(test, seeds=(0, 1, 2))
    found = {one.metric.name: one for one in metric_differences(records, scores, [fewer], draws=50)}
    of_seed = [records.results["se"][s].test.f1 - records.results["none"][s].test.f1 for s in (0, 1, 2)]
    assert found["f1"].difference == pytest.approx(np.mean(of_seed))


def test_equal_scores_in_every_run_are_not_tested(tmp_path):
    folder = scored_study(tmp_path, {"none": 9.0, "se": 9.0}, seeds=3)
    records, scores = read(folder)
    (found,) = compare_candidates(records, scores)
    assert found.outcome is Outcome.UNTESTED
    assert (found.test.p, found.test.ci95, found.improvement) == (None, None, None)
    content = json.dumps(summarise(records).to_json(), allow_nan=False)
    assert json.loads(content)["tests"][0]["outcome"] == "inconclusive"
    assert any("no spread to test against" in sentence for sentence in summarise(records).verdict)
