"""The names of the augmentations, and which go together; this module imports no torch."""

from collections.abc import Sequence

from foveate.errors import RequestError, unknown_name

__all__ = ["AUGMENTATION_NAMES", "CROPS", "check_augmentations"]

AUGMENTATION_NAMES = ("crop", "resized_crop", "flip", "jitter", "erase")
"""In the order in which they are applied."""
CROPS = ("crop", "resized_crop")


def check_augmentations(names: Sequence[str]) -> None:
    """Raise RequestError for an unknown name, or for two random crops."""
    for name in names:
        if name not in AUGMENTATION_NAMES:
            raise RequestError(unknown_name("augmentation", name, AUGMENTATION_NAMES))
    if set(CROPS) <= set(names):
        raise RequestError(f"augmentation: {' and '.join(CROPS)} were both given: choose one")
