"""The images that a trained network is calibrated with for int8; none of them is a test image."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from foveate.data import Data
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.find_trained import find_trained
from foveate.inspection.images import images_beside_test
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, open_images

__all__ = ["Calibration", "calibration_of", "find_calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images (N, C, H, W) as a network takes them, and what they are: "128 validation images of digits"."""

    images: Tensor
    about: str


def find_calibration(
    source: Path, others: OtherImages, count: int, *, trust_code: bool = False
) -> Calibration:
    """Return at most `count` images to calibrate the network in `source` with, those of its run or `others`.

    Raises:
        RequestError: there is no such network, it does not classify, or there are no images for it.
    """
    (one,) = find_trained([str(source)], trust_code=trust_code)
    check_classifiers([one], "int8", "its calibration images are those of a set with classes")
    return calibration_of(one, open_images([one], others.data, **others.columns), count)


def calibration_of(one: Trained, data: Data, count: int) -> Calibration:
    """Return at most `count` images of `data`, spread over the classes, to calibrate `one` with."""
    chosen = images_beside_test(one, data, count, "to calibrate int8 with")
    images = one.normalise(chosen.read(chosen.rows)[0])
    return Calibration(images, f"{len(chosen):,} {chosen.part} images of {data.name}")
