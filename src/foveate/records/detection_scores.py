"""The scores of a detection: what each detection of a run in a test image matches, in scores.safetensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.records.metric import DETECTION
from foveate.records.score_file import Columns, check_possible, read_columns, write_columns

__all__ = [
    "IOU_THRESHOLDS",
    "MATCHED",
    "MATCHED_CROWD",
    "UNMATCHED",
    "DetectionScores",
    "read_detection_scores",
    "write_detection_scores",
]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""At which a detection is matched with a box, as in COCO."""
UNMATCHED, MATCHED, MATCHED_CROWD = 0, 1, 2
"""Whether a detection is matched with a box; one that is matched with a crowd is neither right nor wrong."""
TYPES: dict[str, np.dtype] = {
    "image": np.dtype(np.int32),
    "label": np.dtype(np.int16),
    "score": np.dtype(np.float32),
    "matched": np.dtype(np.uint8),
    "boxes": np.dtype(np.int32),
}


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """What the average precision of a run on its N test images, or on a draw of them, is computed from.

    There are D detections of K classes, at most the 100 of each class in each image with the highest scores,
    for objects of any size. The order of the images is that of the part.

    Attributes:
        run: the run's id.
        image: index of the image of each detection, int32 (D,).
        label: index of its class, int16 (D,).
        score: its confidence in 0..1, as detections.json has it, float32 (D,).
        matched: UNMATCHED, MATCHED or MATCHED_CROWD at each of `IOU_THRESHOLDS`, uint8 (D, 10).
        boxes: how many boxes of each class each image has, without crowds, int32 (N, K).
    """

    run: str
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    matched: np.ndarray
    boxes: np.ndarray

    @property
    def images(self) -> int:
        """The number N of images."""
        return len(self.boxes)

    @property
    def classes(self) -> int:
        """The number K of classes."""
        return self.boxes.shape[1]


def write_detection_scores(folder: Path, scores: DetectionScores) -> None:
    """Write `scores` into the run's `folder`, whole or not at all: 20 bytes per detection, and `boxes`."""
    arrays = {name: getattr(scores, name) for name in TYPES}
    write_columns(folder, Columns(scores.run, DETECTION.name, arrays, {}))


def read_detection_scores(folder: Path) -> DetectionScores | None:
    """Read the scores in a run's `folder`; None if there are none.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    columns = read_columns(folder, DETECTION.name, TYPES)
    if columns is None:
        return None
    scores = DetectionScores(columns.run, **columns.arrays)
    check_possible(folder, shapes_fit=_shapes_fit(scores), values_fit=True)
    check_possible(folder, shapes_fit=True, values_fit=_are_possible(scores))
    return scores


def _shapes_fit(scores: DetectionScores) -> bool:
    one = scores.image.shape
    return (
        len(one) == 1
        and scores.label.shape == scores.score.shape == one
        and scores.matched.shape == (*one, len(IOU_THRESHOLDS))
        and scores.boxes.ndim == 2
    )


def _are_possible(scores: DetectionScores) -> bool:
    """Return whether images and classes are there, scores lie within 0 and 1, and the rest are counts."""
    return bool(
        ((scores.image >= 0) & (scores.image < scores.images)).all()
        and ((scores.label >= 0) & (scores.label < scores.classes)).all()
        and ((scores.score >= 0) & (scores.score <= 1)).all()
        and (scores.matched <= MATCHED_CROWD).all()
        and (scores.boxes >= 0).all()
    )
