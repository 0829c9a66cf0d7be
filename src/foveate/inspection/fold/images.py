"""The images of `foveate fold`: those of the constants, those that decide, and the test part."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foveate.data import Data, ImageStore
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.inspection.gates.images import ChosenImages
from foveate.inspection.trained import Trained
from foveate.studies.engine.fingerprints import under

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

    run, trained, held = one.spec, np.arange(len(data.train)), None
    if run is not None and under(data, run.fingerprint) is not None:
        trained, held = data.split(run.seed, run.recipe.validation_fraction, run.data.train_fraction)
    elif data.validation is not None:
        held = np.arange(len(data.validation))
    return FoldImages(
        some("training", data.train, trained),
        None if held is None else some("validation", data.validation_store, held),
        some("test", data.test, np.arange(len(data.test))),
    )
