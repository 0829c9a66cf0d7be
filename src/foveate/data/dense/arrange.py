"""Decide which images of a set with boxes or masks are for training, validation and the test."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from foveate.data.dense.annotated import BoxPart, MaskPart
from foveate.data.notes import Note
from foveate.data.parts import ROLES, TEST_SEED
from foveate.errors import RequestError

__all__ = ["arrange_images", "split_images"]

Annotated = TypeVar("Annotated", BoxPart, MaskPart)


def arrange_images(
    found: Mapping[str, Annotated], name: str, test_fraction: float
) -> tuple[dict[str, Annotated], list[Note]]:
    """Return the parts train, test and, if the set has one, validation, with what is to be said of them.

    A test part that the set has not is split off the training part, always the same; a set with a validation
    part only is tested on that.

    Raises:
        RequestError: no training part, or too few images.
    """
    parts, notes = dict(found), []
    if len(parts) == 1:
        parts = {"train": next(iter(parts.values()))}
    if "train" not in parts:
        raise RequestError(
            f"{name} has parts {', '.join(sorted(parts))} but no training part: call one "
            f"{' or '.join(ROLES['train'])}"
        )
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append(Note("The set has no test part: its validation part is held out as the test part."))
    needed = 1 + ("test" not in parts) + ("validation" not in parts)
    if len(parts["train"]) < needed:
        raise RequestError(
            f"the training part of {name} has {len(parts['train'])} of the {needed} images that training, "
            "validation and test need at least: add images"
        )
    if "test" not in parts:
        whole = parts["train"]
        order = np.random.default_rng(TEST_SEED).permutation(len(whole))
        kept, held = split_images(order, test_fraction)
        parts |= {"train": whole.take(kept), "test": whole.take(held)}
        notes.append(
            Note(
                f"The set has no test part: {len(held):,} of its {len(whole):,} images are held out as one, "
                "always the same."
            )
        )
    order_of_parts = ("train", "test", "validation")
    return {role: parts[role] for role in order_of_parts if role in parts}, notes


def split_images(shuffled: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Split shuffled positions into (kept, held out), each with at least one, both sorted."""
    if not 0 < fraction < 1:
        raise RequestError(f"the fraction to hold out must lie between 0 and 1, got {fraction}")
    if len(shuffled) < 2:
        raise RequestError("a single image cannot be split: add images")
    count = min(max(round(fraction * len(shuffled)), 1), len(shuffled) - 1)
    return np.sort(shuffled[count:]), np.sort(shuffled[:count])
