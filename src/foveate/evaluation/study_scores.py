"""The scores of each test image in each run of a study: read, compared with the records, and paired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from foveate.errors import RequestError
from foveate.evaluation.drawn.dense import drawn_dense, metrics_of, truth_of
from foveate.notation import count
from foveate.records.file_names import RUNS
from foveate.records.labels import name_in_sentence
from foveate.records.metric import Metric
from foveate.records.run import RunRecord
from foveate.records.scores import ImageScores
from foveate.records.study import StudyRecords
from foveate.records.task_scores import DenseScores, TaskScores, read_task_scores

__all__ = ["ScoresOfRuns", "read_study_scores"]

ROUNDING = {"accuracy": 1e-6, "loss": 5e-3}
"""How far the mean over images may be from the record, relative to 1 + the value: losses are float16."""
ROUNDING_OF_DENSE = 1e-6
"""The same of a metric that is no mean over images."""

OF_IMAGE: dict[str, Callable[[ImageScores], np.ndarray]] = {
    "accuracy": lambda scores: scores.correct,
    "loss": lambda scores: scores.loss,
}
"""The metrics that are means over images, and the value of each image."""


@dataclass(frozen=True, eq=False)
class ScoresOfRuns:
    """The scores of all finished runs of a study, on the same images in the same order.

    Attributes:
        runs: by label and seed; empty where they cannot be used.
        images: number N of test images; 0 where the scores cannot be used.
        obstacle: why they cannot be used, in a sentence without its full stop; "" if they can.
    """

    runs: Mapping[str, Mapping[int, TaskScores]]
    images: int
    obstacle: str = ""
    _drawn: dict[tuple[str, int], dict[str, np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    def differences(self, metric: Metric, a: str, b: str, seeds: list[int]) -> np.ndarray | None:
        """Return the differences b - a of `metric` (n, N), a row for each seed.

        None where the scores cannot be used, or `metric` is no mean over images.
        """
        of_image = OF_IMAGE.get(metric.name)
        if self.obstacle or of_image is None or not seeds:
            return None
        pairs = [(self.runs[a][seed], self.runs[b][seed]) for seed in seeds]
        rows = [
            of_image(after).astype(np.float32) - of_image(before).astype(np.float32)
            for before, after in pairs
            if isinstance(before, ImageScores) and isinstance(after, ImageScores)
        ]
        return np.stack(rows) if rows else None

    def drawn(self, label: str, seed: int) -> dict[str, np.ndarray]:
        """Return the metrics of a run on draws of the images, by name: see `drawn_dense`; empty without them.

        They are computed once for each run.
        """
        scores = self.runs[label][seed]
        if isinstance(scores, ImageScores):
            return {}
        if (label, seed) not in self._drawn:
            self._drawn[label, seed] = drawn_dense(scores)
        return self._drawn[label, seed]

    def drawn_differences(self, metric: Metric, a: str, b: str, seeds: list[int]) -> np.ndarray | None:
        """Return the differences b - a of `metric` on the same draws of the images (D, n), a column a seed.

        None where the scores cannot be used, and for metrics of a classification, or without draws.
        """
        if self.obstacle or not seeds or metric.name not in self.drawn(a, seeds[0]):
            return None
        columns = [self.drawn(b, seed)[metric.name] - self.drawn(a, seed)[metric.name] for seed in seeds]
        return np.stack(columns, axis=1)


def read_study_scores(records: StudyRecords) -> ScoresOfRuns:
    """Read the scores of every finished run, and check that they are of the same images and of these runs.

    Scores that are missing, damaged, of other images, or that do not agree with the record of their run are
    not used: `obstacle` says why.
    """
    runs: dict[str, dict[int, TaskScores]] = {}
    missing = 0
    for label, seed, run in records.runs():
        try:
            scores = read_task_scores(records.folder / RUNS / run.id, records.study.task.name)
        except RequestError as error:
            return ScoresOfRuns({}, 0, str(error))
        if scores is None:
            missing += 1
            continue
        if fault := _fault(scores, run, len(records.study.data.classes)):
            return ScoresOfRuns({}, 0, f"{name_in_sentence(label)}, seed {seed}: {fault}")
        runs.setdefault(label, {})[seed] = scores
    if missing:
        return ScoresOfRuns(
            {},
            0,
            f"{count(missing, 'run')} without scores of single images (runs of foveate 0.1.0 lack them)",
        )
    every = [scores for by_seed in runs.values() for scores in by_seed.values()]
    images = {scores.images for scores in every}
    if len(images) > 1:
        low, high = min(images), max(images)
        return ScoresOfRuns({}, 0, f"the runs were tested on different images: {low} and {high} of them")
    if not _are_of_same_images(every):
        return ScoresOfRuns({}, 0, "the runs were tested on different images, or in another order")
    number = images.pop()
    if number < 2:
        return ScoresOfRuns({}, 0, "there is one test image only, which says nothing about others")
    return ScoresOfRuns(runs, number)


def _fault(scores: TaskScores, run: RunRecord, classes: int) -> str:
    """Say how `scores` disagree with the record of their run; "" if they do not."""
    if scores.run != run.id:
        return f"its scores are those of run {scores.run}"
    if isinstance(scores, ImageScores):
        return _fault_of_means(scores, run, classes)
    if scores.classes != classes:
        return f"its scores are of another number of classes, {scores.classes}, and the study has {classes}"
    for name, value in metrics_of(scores).items():
        recorded = getattr(run.test, name, None)
        if recorded is None or not abs(value - recorded) <= ROUNDING_OF_DENSE * (1 + abs(recorded)):
            return f"the {name} of its scores, {value:.6g}, is not that of its record, {recorded}"
    return ""


def _fault_of_means(scores: ImageScores, run: RunRecord, classes: int) -> str:
    named = [one for one in (scores.predicted, scores.label) if one is not None and len(one)]
    if any(int(one.max()) >= classes for one in named):
        return f"its scores name a class beyond the study's {classes}"
    for name, of_image in OF_IMAGE.items():
        recorded = getattr(run.test, name, None)
        if recorded is None or not len(scores.correct):
            continue
        mean = float(of_image(scores).astype(np.float64).mean())
        if not abs(mean - recorded) <= ROUNDING[name] * (1 + abs(recorded)):
            return f"the mean of its scores, {mean:.6g}, is not the {name} of its record, {recorded:.6g}"
    return ""


def _are_of_same_images(every: list[TaskScores]) -> bool:
    """Return whether scores can be of the same images in the same order, by what is true of each image."""
    dense = [scores for scores in every if not isinstance(scores, ImageScores)]
    if dense:
        return _have_same_truth(dense)
    return _have_same_classes([scores for scores in every if isinstance(scores, ImageScores)])


def _have_same_truth(every: list[DenseScores]) -> bool:
    """Return whether each image has as many boxes, or labelled pixels, of each class in all scores."""
    first = truth_of(every[0])
    return all((truth_of(scores) != first).nnz == 0 for scores in every[1:])


def _have_same_classes(every: list[ImageScores]) -> bool:
    """Return whether no image has two classes: the class of an image is what a right answer says."""
    classes = np.full(len(every[0].correct), -1, dtype=np.int16)
    for scores in every:
        right = scores.correct if scores.label is None else np.ones_like(scores.correct)
        told = scores.predicted if scores.label is None else scores.label
        known = right & (classes >= 0)
        if (told[known] != classes[known]).any():
            return False
        classes[right] = told[right]
    return True
