"""The images of `foveate explain --gates`: those that are answered, and those that the means are over."""

import numpy as np

from foveate.data import Data
from foveate.data.survey import spread
from foveate.inspection.images import ChosenImages, images_beside_test
from foveate.inspection.trained import Trained

__all__ = ["answered_images", "mean_images"]

ORDER_SEED = 0
"""Of the order of the test images, by which each image gets the gate of another one at random."""


def answered_images(data: Data, limit: int) -> ChosenImages:
    """Choose at most `limit` test images, spread over the classes, in a random order that never changes."""
    rows = spread(data.test.labels, limit)
    return ChosenImages(
        "test", data.test, np.random.default_rng(ORDER_SEED).permutation(rows), data.image_size
    )


def mean_images(one: Trained, data: Data, limit: int) -> ChosenImages:
    """Choose at most `limit` images for the means of a network's gates (see `images_beside_test`)."""
    return images_beside_test(one, data, limit, "over which the mean of a gate could be taken")
