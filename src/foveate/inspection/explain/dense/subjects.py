"""The test images with boxes or masks whose objects are explained."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from torch import Tensor

from foveate.data.dense.dataset import DenseData
from foveate.data.dense.store import DenseStore
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.inspection.explain.dense.objects import KnownObject, ObjectTask
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, open_images

__all__ = ["DenseSubjects", "find_dense_subjects"]

OF_IMAGES = ("images", "boxes", "masks", "mask_object")


@dataclass(frozen=True)
class DenseSubjects:
    """Images with a known object each, by number, 0 to len - 1, fetched one by one.

    Attributes:
        store: that they are read from.
        rows: their positions in it, int64 (N,).
        labels: the class of the object of each, int64 (N,).
        classes: the names of the classes.
        typical: height and width of an image in pixels, the most common ones.
        about: where they are from, in words, for the record.
        fingerprint: of the images and their annotations.
    """

    store: DenseStore
    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    typical: tuple[int, int]
    about: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.rows)

    def load(self, number: int, task: ObjectTask) -> tuple[Tensor, KnownObject]:
        """Return an image (C, H, W) in 0..1, and its object."""
        image, target = self.store.load(int(self.rows[number]))
        return image.float() / 255, task.known(image, target, int(self.labels[number]))

    def sample(self, count: int) -> np.ndarray:
        """Return at most `count` numbers of images, spread over the classes of their objects."""
        return spread(self.labels, count)


def find_dense_subjects(
    trained: Sequence[Trained], task: ObjectTask, settings: ExplainSettings, others: OtherImages
) -> DenseSubjects:
    """Find the test images with an object, at most `settings.limit`, spread over the classes of the objects.

    Raises:
        RequestError: there are none, a setting is for classification, or the images do not fit the networks.
    """
    for field in fields(settings):
        if field.name in OF_IMAGES and getattr(settings, field.name) is not None:
            raise RequestError(
                f"--{field.name.replace('_', '-')} is for networks that classify: in a study of {task.name} "
                "the objects are those that are annotated in the test images, or in those of --data"
            )
    if others.columns:
        raise RequestError(
            f"--image-column and --label-column are for networks that classify: images for {task.name} are "
            "in a folder with their annotations"
        )
    data = open_images(trained, others.data)
    assert isinstance(data, DenseData)
    assert isinstance(data.test, DenseStore)
    labels = task.labels(data.test, len(data.classes))
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        raise RequestError(f"no test image of {data.name} has an annotated object: give others with --data")
    rows = known[spread(labels[known], settings.limit)]
    without = len(labels) - len(known)
    none = f" ({without:,} of which have no object)" if without else ""
    return DenseSubjects(
        store=data.test,
        rows=rows,
        labels=labels[rows],
        classes=tuple(data.classes),
        typical=data.typical,
        about=f"{len(rows):,} of the {len(labels):,} test images{none} of {data.name}",
        fingerprint=data.fingerprint,
    )
