"""The names of the augmentations, and which go together; this module imports no torch."""

from collections.abc import Sequence
from typing import Literal

from foveate.errors import RequestError, unknown_name

__all__ = [
    "AUGMENTATION_NAMES",
    "CROPS",
    "DENSE_AUGMENTATIONS",
    "check_augmentations",
    "check_dense_augmentations",
]

AUGMENTATION_NAMES = ("crop", "resized_crop", "flip", "jitter", "erase")
"""In the order in which they are applied."""
CROPS = ("crop", "resized_crop")
DENSE_AUGMENTATIONS: dict[Literal["boxes", "masks"], tuple[str, ...]] = {
    "boxes": ("scale", "crop", "flip", "jitter"),
    "masks": ("scale", "crop", "flip", "jitter"),
}
"""Those of images with boxes or masks, in the order in which they are applied."""


def check_augmentations(names: Sequence[str]) -> None:
    """Raise RequestError for an unknown name, or for two random crops."""
    for name in names:
        if name not in AUGMENTATION_NAMES:
            raise RequestError(unknown_name("augmentation", name, AUGMENTATION_NAMES))
    if set(CROPS) <= set(names):
        raise RequestError(f"augmentation: {' and '.join(CROPS)} were both given: choose one")


def check_dense_augmentations(kind: Literal["boxes", "masks"], names: Sequence[str]) -> None:
    """Raise RequestError for a name that is no augmentation of images with `kind`."""
    for name in names:
        if name not in DENSE_AUGMENTATIONS[kind]:
            message = unknown_name(f"augmentation of images with {kind}", name, DENSE_AUGMENTATIONS[kind])
            raise RequestError(message)
