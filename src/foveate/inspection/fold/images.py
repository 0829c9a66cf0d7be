"""The images of `foveate fold`: those of the means, those that decide, and the test part."""

from dataclasses import dataclass

import numpy as np

from foveate.data import Data
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.inspection.gates.images import ChosenImages
from foveate.inspection.trained import Trained
from foveate.studies.engine.fingerprints import under

__all__ = ["FoldImages", "choose_images"]


@dataclass(frozen=True)
class FoldImages:
    """The three kinds of images; those of a run are split as they were in its training.

    Attributes:
        means: training images, over which the means of the gates are taken.
        deciding: validation images, or training images where the set has no others beside the test part.
        test: the test part.
    """

    means: ChosenImages
    deciding: ChosenImages
    test: ChosenImages


def choose_images(one: Trained, data: Data, limit: int) -> FoldImages:
    """Choose the images for a network: at most `limit` for the means, spread over the classes.

    Raises:
        RequestError: there are none.
    """
    run = one.spec
    if run is not None and under(data, run.fingerprint) is not None:
        trained, held = data.split(run.seed, run.recipe.validation_fraction, run.data.train_fraction)
        deciding = ChosenImages("validation", data.validation_store, held, data.image_size)
    elif data.validation is not None:
        trained = np.arange(len(data.train))
        deciding = ChosenImages(
            "validation", data.validation, np.arange(len(data.validation)), data.image_size
        )
    else:  # which of them the network was trained on is not known
        trained = np.arange(len(data.train))
        deciding = ChosenImages("training", data.train, trained, data.image_size)
    test = ChosenImages("test", data.test, np.arange(len(data.test)), data.image_size)
    for what, part in (("training", trained), (deciding.part, deciding), ("test", test)):
        if not len(part):
            raise RequestError(
                f"{data.name} has no {what} image, without which {one.name} cannot be folded: give images "
                "with such a part by --data"
            )
    means = trained[spread(data.train.labels[trained], limit)]
    return FoldImages(ChosenImages("training", data.train, means, data.image_size), deciding, test)
