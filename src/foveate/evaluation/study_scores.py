"""The scores of each test image in each run of a study: read, compared with the records, and paired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from foveate.errors import RequestError
from foveate.notation import count
from foveate.records.file_names import RUNS
from foveate.records.labels import name_in_sentence
from foveate.records.metric import Metric
from foveate.records.run import RunRecord
from foveate.records.scores import ImageScores, read_scores
from foveate.records.study import StudyRecords

__all__ = ["ScoresOfRuns", "read_study_scores"]

ROUNDING = {"accuracy": 1e-6, "loss": 5e-3}
"""How far the mean over images may be from the record, relative to 1 + the value: losses are float16."""

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

    runs: Mapping[str, Mapping[int, ImageScores]]
    images: int
    obstacle: str = ""

    def differences(self, metric: Metric, a: str, b: str, seeds: list[int]) -> np.ndarray | None:
        """Return the differences b - a of `metric` (n, N), a row for each seed.

        None where the scores cannot be used, or `metric` is no mean over images.
        """
        of_image = OF_IMAGE.get(metric.name)
        if self.obstacle or of_image is None or not seeds:
            return None
        return np.stack(
            [
                of_image(self.runs[b][seed]).astype(np.float32)
                - of_image(self.runs[a][seed]).astype(np.float32)
                for seed in seeds
            ]
        )


def read_study_scores(records: StudyRecords) -> ScoresOfRuns:
    """Read the scores of every finished run, and check that they are of the same images and of these runs.

    Scores that are missing, damaged, of other images, or that do not agree with the record of their run are
    not used: `obstacle` says why.
    """
    runs: dict[str, dict[int, ImageScores]] = {}
    missing = 0
    for label, seed, run in records.runs():
        try:
            scores = read_scores(records.folder / RUNS / run.id)
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
    images = {len(scores.correct) for scores in every}
    if len(images) > 1:
        low, high = min(images), max(images)
        return ScoresOfRuns({}, 0, f"the runs were tested on different images: {low} and {high} of them")
    if not _are_of_same_images(every):
        return ScoresOfRuns({}, 0, "the runs were tested on different images, or in another order")
    number = images.pop()
    if number < 2:
        return ScoresOfRuns({}, 0, "there is one test image only, which says nothing about others")
    return ScoresOfRuns(runs, number)


def _fault(scores: ImageScores, run: RunRecord, classes: int) -> str:
    """Say how `scores` disagree with the record of their run; "" if they do not."""
    if scores.run != run.id:
        return f"its scores are those of run {scores.run}"
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


def _are_of_same_images(every: list[ImageScores]) -> bool:
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
