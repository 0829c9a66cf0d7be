"""Adds to a synthetic study what it keeps of its test part: true boxes, images, detections and masks."""

from pathlib import Path

import numpy as np

from foveate.records.boxes import ImageBoxes, ImageDetections
from foveate.records.detections import write_detections
from foveate.records.file_names import RUNS
from foveate.records.metric import DETECTION
from foveate.records.samples import Sample, SampleImage, spread_positions, write_masks, write_samples
from foveate.records.study import read_study
from foveate.records.truth import Truth, write_truth

HEIGHT, WIDTH = 60, 90
CATEGORIES = (3, 7, 8)
PLACES = np.array([[5, 5, 30, 35], [40, 20, 70, 50], [10, 38, 36, 58]], dtype=np.float32)


def add_samples(folder: Path) -> None:
    """Write them for all runs of a study of three classes: each image has one box of each class.

    Every run finds the first box, takes the second for the third class, misses the third box, and finds one
    box of the second class where nothing is; a detection with a score under a half is right.
    """
    records = read_study(folder)
    images, classes = records.study.data.test, records.study.data.classes
    is_detection = records.study.task.name == DETECTION.name
    random = np.random.default_rng(0)
    positions = spread_positions(images)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, 30:60], mask[:, 60:] = 1, 255
    write_samples(
        folder,
        [
            Sample(
                SampleImage(position=place, name=f"{place}.png", height=2 * HEIGHT, width=2 * WIDTH),
                random.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8),
                None if is_detection else mask,
            )
            for place in positions
        ],
    )
    runs = [folder / RUNS / run.id for _, _, run in records.runs()]
    if not is_detection:
        for run in runs:
            write_masks(run, {place: np.roll(mask % 255, 15, axis=1) for place in positions})
        return
    sides = PLACES[:, 2:] - PLACES[:, :2]
    there = ImageBoxes(2 * PLACES, np.arange(3), 4 * sides.prod(axis=1), np.zeros(3, bool))
    ids = tuple(range(100, 100 + images))
    names = tuple(f"{place}.png" for place in range(images))
    sizes = ((2 * HEIGHT, 2 * WIDTH),) * images
    write_truth(folder, Truth(ids, names, sizes, (there,) * images, CATEGORIES, classes))
    nowhere = np.array([[60, 2, 85, 15]], dtype=np.float32)
    found = ImageDetections(
        2 * np.concatenate([PLACES[:2] + 1, nowhere, PLACES[2:]]),
        np.array([0, 2, 1, 2]),
        np.array([0.9, 0.8, 0.7, 0.3], dtype=np.float32),
    )
    for run in runs:
        write_detections(run, [found] * images, ids, CATEGORIES)
