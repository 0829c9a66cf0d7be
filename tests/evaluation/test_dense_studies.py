"""Studies of detection and segmentation get their verdicts, for these images and for new ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from synthetic_dense import IMAGES, World, write_dense_study
from synthetic_study import edit_json, plan_looks

from foveate.evaluation.comparisons import compare_candidates
from foveate.evaluation.estimates import over_draws
from foveate.evaluation.looks import replay
from foveate.evaluation.metric_differences import metric_differences
from foveate.evaluation.segmentation import segmentation_scores
from foveate.evaluation.significance import Outcome
from foveate.evaluation.study_scores import ScoresOfRuns, read_study_scores
from foveate.records.file_names import RESULT, RUNS
from foveate.records.files import read_json
from foveate.records.metric import DETECTION, SEGMENTATION, TaskRecord
from foveate.records.segmentation_scores import keep_confusions
from foveate.records.study import StudyRecords, read_study
from foveate.records.task_scores import read_task_scores, write_task_scores

TASKS = pytest.mark.parametrize("task", [DETECTION, SEGMENTATION], ids=lambda task: task.name)


def read(folder: Path) -> tuple[StudyRecords, ScoresOfRuns]:
    records = read_study(folder)
    return records, read_study_scores(records)


@TASKS
def test_the_verdict_rests_on_new_images_and_both_are_given(tmp_path: Path, task: TaskRecord) -> None:
    records, scores = read(write_dense_study(tmp_path, task, {"none": 0.0, "se": 0.9}))
    assert (scores.obstacle, scores.images) == ("", IMAGES)
    (found,) = compare_candidates(records, scores)
    assert found.population == "new-images"
    pairs = [[run.test.value(task.primary) for run in records.results[x].values()] for x in ("none", "se")]
    assert found.these_images.p == pytest.approx(stats.ttest_rel(pairs[1], pairs[0]).pvalue)
    assert found.new_images.standard_error > found.these_images.standard_error
    assert (found.test.p, found.outcome) == (found.new_images.p, Outcome.BETTER)
    by_name = {one.metric.name: one for one in metric_differences(records, scores, [found])}
    drawn = {"map", "map50", "map75", "mar100"} if task == DETECTION else {"miou", "dice", "pixel_accuracy"}
    assert set(by_name) == drawn
    assert by_name[task.primary.name].new_images == pytest.approx(found.new_images.ci95)


@TASKS
def test_small_differences_are_equivalent_within_a_wide_margin(tmp_path: Path, task: TaskRecord) -> None:
    folder = write_dense_study(tmp_path, task, {"none": 0.0, "se": 0.02})
    statistics = {"adjust": "holm", "alpha": 0.05, "power": 0.8}
    for margin, outcome in ((0.3, Outcome.EQUIVALENT), (0.001, Outcome.INCONCLUSIVE)):
        edit_json(folder / "study.json", statistics=statistics | {"margin": margin})
        (found,) = compare_candidates(*read(folder))
        assert found.outcome is outcome


@TASKS
def test_looks_use_the_draws_of_each_run_once(tmp_path: Path, task: TaskRecord) -> None:
    folder = write_dense_study(tmp_path, task, {"none": 0.0, "se": 0.9})
    plan_looks(folder, {3: 1e-9, 4: 0.04}, margin=0.01)
    records, scores = read(folder)
    course = replay(records, scores)["none", "se"]
    assert [look.pairs for look in course.looks] == [3, 4]
    assert course.outcome is Outcome.BETTER
    assert all(look.image_variance > 0 for look in course.looks)
    name = task.primary.name
    assert scores.drawn("se", 2)[name] is scores.drawn("se", 2)[name]


def jackknife_covariance(confusions: np.ndarray) -> float:
    """The mean covariance of two seeds' mIoU over choices of images, by leaving each image out."""
    seeds, images = confusions.shape[:2]
    left = np.array(
        [
            [segmentation_scores(np.delete(of_seed, i, axis=0), 0.0, "abc").miou for i in range(images)]
            for of_seed in confusions
        ]
    )
    covariance = np.cov(left, ddof=0) * (images - 1)
    return (covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1))


def test_the_variance_of_new_images_is_that_of_the_jackknife() -> None:
    world = World(7, images=150)
    confusions = np.stack([world.segment(world.ability("none", 0.0, luck)) for luck in (0.0, 0.1, -0.2)])
    runs = {seed: keep_confusions("r", of_seed) for seed, of_seed in enumerate(confusions)}
    scores = ScoresOfRuns({"none": runs}, 150)
    draws = np.stack([scores.drawn("none", seed)["miou"] for seed in runs], axis=1)
    values = [segmentation_scores(of_seed, 0.0, "abc").miou for of_seed in confusions]
    found = over_draws(values, draws, 150)
    assert found.difference == pytest.approx(np.mean(values))
    assert found.image_variance == pytest.approx(jackknife_covariance(confusions), rel=0.1)


@TASKS
def test_scores_that_cannot_be_used_say_why(tmp_path: Path, task: TaskRecord) -> None:
    folder = write_dense_study(tmp_path, task, {"none": 0.0, "se": 0.4}, seeds=2)
    places = sorted((folder / RUNS).iterdir())
    given = read_task_scores(places[0], task.name)

    def obstacle() -> str:
        records, scores = read(folder)
        (found,) = compare_candidates(records, scores)
        assert (found.population, found.new_images) == ("these-images", None)
        return scores.obstacle

    test = read_json(places[0] / RESULT)["test"]
    name = task.primary.name
    edit_json(places[0] / RESULT, test=test | {name: test[name] + 1e-4})
    assert f"the {name} of its scores" in obstacle()
    edit_json(places[0] / RESULT, test=test)
    write_task_scores(places[0], replace(given, run="another"))
    assert "its scores are those of run another" in obstacle()
    turned = replace(given, image=(IMAGES - 1 - given.image).astype(np.int32))
    if task == DETECTION:
        turned = replace(turned, boxes=np.ascontiguousarray(given.boxes[::-1]))
        fewer = replace(given, boxes=given.boxes[:, :2].copy(), label=np.minimum(given.label, 1))
    else:
        fewer = replace(given, classes=4)
    write_task_scores(places[0], turned)
    assert obstacle() == "the runs were tested on different images, or in another order"
    write_task_scores(places[0], fewer)
    assert "another number of classes" in obstacle()
    (places[0] / "scores.safetensors").unlink()
    assert "1 run without scores of single images" in obstacle()
