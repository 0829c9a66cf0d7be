"""The images of `foveate fold`: those of the constants, those that decide, and the test part."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foveate.data import Data, ImageStore
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.inspection.images import ChosenImages, rows_of
from foveate.inspection.trained import Trained

__all__ = ["FoldImages", "choose_images"]

Part = Literal["test", "validation", "training"]


@dataclass(frozen=True)
class FoldImages:
    """The images of a fold; those of a run are split as they were in its training.

    Attributes:
        means: training images, over which the constants are taken.
        validation: images that the network has not learned from; None where it is not known which these are.
        test: the test part.
    """

    means: ChosenImages
    validation: ChosenImages | None
    test: ChosenImages

    @property
    def deciding(self) -> tuple[ChosenImages, ...]:
        """The parts by whose accuracies the sites are chosen."""
        return (self.means,) if self.validation is None else (self.validation, self.means)


def choose_images(one: Trained, data: Data, limit: int) -> FoldImages:
    """Choose at most `limit` training and `limit` validation images, spread over the classes, for a network.

    Raises:
        RequestError: there are none, or no test image.
    """

    def some(part: Part, store: ImageStore, rows: np.ndarray) -> ChosenImages:
        if not len(rows):
            raise RequestError(
                f"{data.name} has no {part} image, without which {one.name} cannot be folded: give images "
                "with such a part by --data"
            )
        chosen = rows if part == "test" else rows[spread(store.labels[rows], limit)]
        return ChosenImages(part, store, chosen, data.image_size)

    trained, held = rows_of(one, data)
    return FoldImages(
        some("training", data.train, trained),
        None if held is None else some("validation", data.validation_store, held),
        some("test", data.test, np.arange(len(data.test))),
    )
