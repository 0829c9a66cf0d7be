"""The confusion matrices of the runs of a study, of whichever task it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from foveate.evaluation.box_assignment import LEAST_IOU, LEAST_SCORE, box_confusion
from foveate.records.detections import read_detections
from foveate.records.file_names import RUNS
from foveate.records.metric import DETECTION
from foveate.records.study import StudyRecords
from foveate.records.truth import read_truth

__all__ = ["BACKGROUND", "NO_CONFUSIONS", "Confusions", "find_confusions"]

BACKGROUND = "background"
"""Of a detection: where no box is, and what becomes of a box that is missed."""
LEADS = {
    "classification": "Each row is a true class, in per cent of its images, all seeds together",
    "segmentation": "Each row is a true class, in per cent of its labelled pixels, all seeds together",
    "detection": (
        f"Each row is a true class, in per cent of its boxes, all seeds together. A box counts for the class "
        f"of the detection that it overlaps with an IoU of {LEAST_IOU:g} or more, and as {BACKGROUND} where "
        "none does: it is missed. The last row has the detections without a box, in per cent of all such. "
        f"Only detections with a score of {LEAST_SCORE:g} or more are counted"
    ),
}


@dataclass(frozen=True)
class Confusions:
    """Confusion matrices: a row for each true class, a column for each class that a network names.

    Attributes:
        classes: the names of rows and columns.
        runs: the matrix of each run, int64 (K, K), by label and seed; runs without one are absent.
        lead: how to read them, in sentences, without the last full stop.
    """

    classes: tuple[str, ...]
    runs: Mapping[str, Mapping[int, np.ndarray]]
    lead: str

    def together(self, label: str) -> np.ndarray | None:
        """Return the sum over the seeds of a candidate, int64 (K, K); None where none has a matrix."""
        matrices = self.runs.get(label)
        return np.sum([*matrices.values()], axis=0) if matrices else None

    def cells(self) -> Iterator[tuple[str, int, str, str, int]]:
        """Give label, seed, true class, predicted class and count of each cell that is not zero."""
        for label, by_seed in self.runs.items():
            for seed, matrix in by_seed.items():
                for true, predicted in np.argwhere(matrix):
                    names = self.classes[true], self.classes[predicted]
                    yield (label, seed, *names, int(matrix[true, predicted]))


NO_CONFUSIONS = Confusions((), {}, "")


def find_confusions(records: StudyRecords) -> Confusions:
    """Return those of the records, or of a detection, where its true boxes were kept, those of its boxes.

    Raises:
        RequestError: the file of boxes, or of detections, is damaged.
    """
    task, classes = records.study.task.name, records.study.data.classes
    runs: dict[str, dict[int, np.ndarray]] = {}
    lead = LEADS.get(task, LEADS["classification"])
    if task == DETECTION.name:
        truth = read_truth(records.folder)
        if truth is None or len(truth.classes) != len(classes):
            return Confusions(classes, {}, lead)
        for label, seed, run in records.runs():
            folder = records.folder / RUNS / run.id
            found = read_detections(folder, truth.ids, truth.categories, LEAST_SCORE)
            if found is not None:
                matrix = box_confusion(found, truth.boxes, len(classes))
                runs.setdefault(label, {})[seed] = matrix
        background = BACKGROUND if BACKGROUND not in classes else "no box"
        return Confusions((*classes, background), runs, lead)
    for label, seed, run in records.runs():
        if run.test.confusion:
            runs.setdefault(label, {})[seed] = np.array(run.test.confusion, dtype=np.int64)
    return Confusions(classes, runs, lead)
