"""Writes small studies of detection and segmentation with known effects, without any training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_study import edit_json, write_study

from foveate.evaluation.drawn.dense import metrics_of
from foveate.evaluation.segmentation import segmentation_scores
from foveate.records.detection_scores import DetectionScores
from foveate.records.file_names import RESULT, RUNS
from foveate.records.metric import DETECTION, SEGMENTATION, TaskRecord
from foveate.records.segmentation_scores import keep_confusions
from foveate.records.task_scores import DenseScores, write_task_scores

NAMES = ["cell", "platelet", "other"]
IMAGES = 60


class World:
    """Test images, some of which are easy and some suit a mechanism, and networks that are tested on them.

    A network finds a box, or a pixel, with a chance that grows with the ease of the image, how much the image
    suits its mechanism, the luck of its seed, and how much better the mechanism is.
    """

    def __init__(self, seed: int, images: int = IMAGES, classes: int = 3, suiting: float = 0.4) -> None:
        self.random = np.random.default_rng(seed)
        self.ease = self.random.normal(0.8, 0.8, images)
        self.suits: dict[str, np.ndarray] = {}
        self.suiting = suiting
        self.boxes = self.random.poisson(2.5, (images, classes)).astype(np.int32)
        self.pixels = self.random.integers(50, 900, (images, classes))

    def ability(self, label: str, shift: float, luck: float) -> np.ndarray:
        """How likely a network finds what is in each image: the mean of a normal that must be above 0."""
        if label not in self.suits:
            self.suits[label] = self.random.normal(0, self.suiting, len(self.ease))
        return self.ease + self.suits[label] + shift + luck

    def detect(self, run: str, ability: np.ndarray) -> DetectionScores:
        """Each box is found or not, up to some IoU; there are twice as many wrong detections as boxes."""
        image, label = np.nonzero(self.boxes)
        many = self.boxes[image, label]
        image, label = np.repeat(image, many), np.repeat(label, many)
        quality = ability[image] + self.random.normal(0, 1, len(image))
        found = quality > 0
        reaches = np.minimum(1 + quality[found] * 4, 10)
        wrong = (
            self.random.integers(0, len(self.ease), 2 * len(image)),
            self.random.integers(0, 3, 2 * len(image)),
        )
        order = np.argsort(np.concatenate([image[found], wrong[0]]), kind="stable")
        score = np.concatenate([self.random.beta(5, 2, found.sum()), self.random.beta(2, 5, 2 * len(image))])
        flags = (np.arange(10) < reaches[:, None]).astype(np.uint8)
        return DetectionScores(
            run,
            image=np.concatenate([image[found], wrong[0]])[order].astype(np.int32),
            label=np.concatenate([label[found], wrong[1]])[order].astype(np.int16),
            score=score[order].astype(np.float32),
            matched=np.concatenate([flags, np.zeros((2 * len(image), 10), np.uint8)])[order],
            boxes=self.boxes,
        )

    def segment(self, ability: np.ndarray) -> np.ndarray:
        """The confusion matrices of the images: a share of each class is found, the rest is another class."""
        images, classes = self.pixels.shape
        share = 1 / (1 + np.exp(-ability[:, None] - self.random.normal(0, 0.5, (images, classes))))
        found = self.random.binomial(self.pixels, share)
        confusions = np.zeros((images, classes, classes), dtype=np.int64)
        for label in range(classes):
            missed = self.pixels[:, label] - found[:, label]
            first = self.random.binomial(missed, 0.5)
            confusions[:, label, (label + 1) % classes] = first
            confusions[:, label, (label + 2) % classes] = missed - first
            confusions[:, label, label] = found[:, label]
        return confusions


def write_dense_study(
    folder: Path, task: TaskRecord, shifts: dict[str, float], *, seeds: int = 4, loudness: float = 0.1
) -> Path:
    """Write a study of `task` whose mechanisms are better by `shifts` of their ability."""
    write_study(folder, gains=dict.fromkeys(shifts, 0.0), seeds=seeds, classes=NAMES)
    edit_json(folder / "study.json", task=task.to_json())
    world = World(3)
    for run in json.loads((folder / "study.json").read_text(encoding="utf-8"))["runs"]:
        luck = world.random.normal(0, loudness)
        ability = world.ability(run["attention"], shifts[run["attention"]], luck)
        scores: DenseScores
        if task == DETECTION:
            scores = world.detect(run["id"], ability)
            test: dict[str, Any] = metrics_of(scores) | {"map_small": 0.2, "map_large": 0.5}
            support = scores.boxes.sum(axis=0)
            test["per_class"] = [
                {"class": name, "ap": test["map"], "ap50": test["map50"], "support": int(number)}
                for name, number in zip(NAMES, support, strict=True)
            ]
        else:
            confusions = world.segment(ability)
            scores = keep_confusions(run["id"], confusions)
            test = segmentation_scores(confusions, 0.4, NAMES).to_json()
        place = folder / RUNS / run["id"]
        write_task_scores(place, scores)
        epochs = json.loads((place / RESULT).read_text(encoding="utf-8"))["epochs"]
        edit_json(place / RESULT, test=test, epochs=[_epoch(epoch, task) for epoch in epochs])
    return folder


def _epoch(epoch: dict[str, Any], task: TaskRecord) -> dict[str, Any]:
    """An epoch as its task has it: a detector has no validation loss, and no metric of the training part."""
    value = {part: epoch.pop(f"{part}_accuracy") for part in ("train", "validation")}
    if task == DETECTION:
        del epoch["validation_loss"]
        return epoch | {"validation_map": value["validation"]}
    assert task == SEGMENTATION
    return epoch | {"validation_miou": value["validation"], "train_miou": value["train"]}
