"""The scores of a classification: of each test image of a run, kept in scores.safetensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.records.metric import CLASSIFICATION
from foveate.records.score_file import SCORES, Columns, check_possible, read_columns, write_columns

__all__ = ["CALIBRATION_BINS", "SCORES", "ImageScores", "read_scores", "write_scores"]

CALIBRATION_BINS = 15
"""Of equal width, in the expected calibration error of these scores."""
TYPES: dict[str, np.dtype] = {
    "predicted": np.dtype(np.int16),
    "correct": np.dtype(np.bool_),
    "confidence": np.dtype(np.float16),
    "loss": np.dtype(np.float16),
}
OPTIONAL: dict[str, np.dtype] = {"label": np.dtype(np.int16)}


@dataclass(frozen=True, eq=False)
class ImageScores:
    """The scores of a network on each image of the test part, in the order of the part.

    Attributes:
        run: the run's id.
        predicted: index of the class with the largest logit, int16 (N,).
        correct: whether it is the class of the image, bool (N,).
        confidence: probability of that class, in 0..1, float16 (N,).
        loss: cross-entropy of the image in nats, float16 (N,); at most the largest finite float16, 65504.
        label: index of the class of the image, int16 (N,); None in files that were written without it.
    """

    run: str
    predicted: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    label: np.ndarray | None = None

    @property
    def images(self) -> int:
        """The number N of images."""
        return len(self.correct)


def write_scores(folder: Path, scores: ImageScores) -> None:
    """Write `scores` into the run's `folder`, whole or not at all: about 9 bytes per image."""
    arrays = {name: getattr(scores, name) for name in TYPES}
    if scores.label is not None:
        arrays["label"] = scores.label
    write_columns(folder, Columns(scores.run, CLASSIFICATION.name, arrays, {}))


def read_scores(folder: Path) -> ImageScores | None:
    """Read the scores in a run's `folder`; None if there are none, as in runs of foveate 0.1.0.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    columns = read_columns(folder, CLASSIFICATION.name, TYPES, OPTIONAL)
    if columns is None:
        return None
    shapes = {array.shape for array in columns.arrays.values()}
    scores = ImageScores(columns.run, **columns.arrays)
    check_possible(
        folder, shapes_fit=len(shapes) == 1 and len(shapes.pop()) == 1, values_fit=_are_possible(scores)
    )
    return scores


def _are_possible(scores: ImageScores) -> bool:
    """Return whether classes are numbers from 0, probabilities lie within 0 and 1, and losses are finite."""
    classes = (scores.predicted, scores.predicted if scores.label is None else scores.label)
    return bool(
        all((one >= 0).all() for one in classes)
        and ((scores.confidence >= 0) & (scores.confidence <= 1)).all()
        and (np.isfinite(scores.loss) & (scores.loss >= 0)).all()
    )
