"""Images of one part of a set that a trained network is measured on, or that something is fitted to."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from foveate.data import Data, ImageStore, seen
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.inspection.trained import Trained
from foveate.studies.engine.fingerprints import under

__all__ = ["ChosenImages", "images_beside_test", "rows_of"]


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Images of one part: their positions in `store`, int64 (N,), and how a network takes them."""

    part: Literal["test", "validation", "training"]
    store: ImageStore
    rows: np.ndarray
    image_size: int

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, batch_size: int) -> list[np.ndarray]:
        """Return the positions of the images of each batch, of two images or more where there are two."""
        count = max(1, min(-(-len(self.rows) // batch_size), len(self.rows) // 2))
        return np.array_split(self.rows, count)

    def read(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return images (B, C, S, S) in 0..1 and labels (B,)."""
        canvases, labels = self.store.__getitems__(rows)
        return seen(canvases, self.image_size), labels


def images_beside_test(one: Trained, data: Data, limit: int | None, purpose: str) -> ChosenImages:
    """Choose at most `limit` images, spread over the classes, none of which is a test image.

    They are the validation images of the network's run where `data` are the run's images, else those of
    `data`, or training images where it has no validation part. The same are chosen each time.

    Args:
        limit: their largest number; None takes all.
        purpose: what they are for, which ends the sentence "it has no validation image …".

    Raises:
        RequestError: there are none.
    """
    trained, held = rows_of(one, data)
    part: Literal["validation", "training"]
    part, store, rows = (
        ("training", data.train, trained) if held is None else ("validation", data.validation_store, held)
    )
    if not len(rows):
        raise RequestError(
            f"{data.name} has no validation image for {one.name}, {purpose}: give images with such a part by "
            "--data"
        )
    chosen = rows if limit is None else rows[spread(store.labels[rows], limit)]
    return ChosenImages(part, store, chosen, data.image_size)


def rows_of(one: Trained, data: Data) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the positions of the training images, and those of the validation images, of a network.

    Where `data` are the images of the network's run, they are split as in its training; else they are all
    images of the parts of `data`, with None where it has no validation part.
    """
    run = one.spec
    if run is not None and under(data, run.fingerprint) is not None:
        return data.split(run.seed, run.recipe.validation_fraction, run.data.train_fraction)
    held = None if data.validation is None else np.arange(len(data.validation))
    return np.arange(len(data.train)), held
