"""scores.safetensors: the scores of each test image of a run, beside the run's record."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from foveate.errors import RequestError
from foveate.files import write_bytes

__all__ = ["CALIBRATION_BINS", "SCORES", "ImageScores", "read_scores", "write_scores"]

SCORES = "scores.safetensors"
CALIBRATION_BINS = 15
"""Of equal width, in the expected calibration error of these scores."""
FORMAT = "1"
LABEL = "label"
COLUMNS = {
    "predicted": np.dtype(np.int16),
    "correct": np.dtype(np.bool_),
    "confidence": np.dtype(np.float16),
    "loss": np.dtype(np.float16),
}


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


def write_scores(folder: Path, scores: ImageScores) -> None:
    """Write `scores` into the run's `folder`, whole or not at all: about 9 bytes per image."""
    columns = {name: getattr(scores, name) for name in COLUMNS}
    if scores.label is not None:
        columns[LABEL] = scores.label
    write_bytes(folder / SCORES, to_bytes(columns, {"format": FORMAT, "run": scores.run}))


def read_scores(folder: Path) -> ImageScores | None:
    """Read the scores in a run's `folder`; None if there are none, as in runs of foveate 0.1.0.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    path = folder / SCORES
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            has_label = LABEL in set(file.keys())
            types = COLUMNS | ({LABEL: np.dtype(np.int16)} if has_label else {})
            columns = {name: file.get_tensor(name) for name in types}
    except SafetensorError as error:
        raise RequestError(f"{path} holds no scores of test images ({error}): delete it") from error
    shapes = {column.shape for column in columns.values()}
    if (
        about.get("format") != FORMAT
        or len(shapes) != 1
        or len(shapes.pop()) != 1
        or any(columns[name].dtype != dtype for name, dtype in types.items())
    ):
        raise RequestError(f"{path} was not written by this version of foveate: delete it")
    if not _are_possible(columns):
        raise RequestError(f"{path} has impossible scores, such as a probability over 1: delete it")
    return ImageScores(about.get("run", ""), **columns)


def _are_possible(columns: dict[str, np.ndarray]) -> bool:
    """Return whether classes are numbers from 0, probabilities lie within 0 and 1, and losses are finite."""
    classes = (columns["predicted"], columns.get(LABEL, columns["predicted"]))
    confidence, loss = columns["confidence"], columns["loss"]
    return bool(
        all((one >= 0).all() for one in classes)
        and ((confidence >= 0) & (confidence <= 1)).all()
        and (np.isfinite(loss) & (loss >= 0)).all()
    )
