"""Pair images with their masks by name, and refuse those that have no counterpart."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from foveate.data.dense.annotated import MaskPart
from foveate.data.notes import Note
from foveate.errors import RequestError
from foveate.notation import count

__all__ = ["SUFFIXES", "by_name", "pair_part"]

SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_L", "_P", "_gt", "_seg", "_segmentation")
"""What the names of masks may end in where the names of their images do not."""


def by_name(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return files by their names without extension.

    Raises:
        RequestError: two have the same one.
    """
    named: dict[str, Path] = {}
    for name, path in files:
        if (other := named.setdefault(name, path)) != path:
            raise RequestError(
                f"{other} and {path} have the same name but for the extension, by which images and masks are "
                "paired: rename or remove one of them"
            )
    return named


def pair_part(
    role: str, images: Mapping[str, Path], masks: Mapping[str, Path], others: str = ""
) -> MaskPart | Note:
    """Return the images of a part with their masks, or the note that a test part has no masks.

    Names are compared with their case; all masks may have one of `SUFFIXES` behind the name.

    Args:
        role: of the part.
        images: by name without extension.
        masks: the same.
        others: what else lies in the folder of masks, for the message.

    Raises:
        RequestError: an image without a mask, or a mask without an image.
    """
    if role == "test" and not masks:
        said = f"The test part was excluded: it has {count(len(images), 'image')} and no masks."
        return Note(said, is_exclusion=True)
    masks = _without_suffix(images, masks)
    if alone := sorted(images.keys() - masks.keys()):
        raise RequestError(
            f"{_counted(len(alone), len(images), 'image')} of the {role} part without a mask, the first is "
            f"{images[alone[0]]}: {_expected(masks)}{others}. Add the masks, or remove the images"
        )
    if alone := sorted(masks.keys() - images.keys()):
        raise RequestError(
            f"{_counted(len(alone), len(masks), 'mask')} of the {role} part without an image, the first is "
            f"{masks[alone[0]]}: {_expected(images)}. Add the images, or remove the masks"
        )
    names = sorted(images)
    return MaskPart(tuple(images[name] for name in names), tuple(masks[name] for name in names))


def _without_suffix(images: Mapping[str, Path], masks: Mapping[str, Path]) -> Mapping[str, Path]:
    """Return masks by the names of their images: without the suffix that most of them need, if any."""

    def without(suffix: str) -> dict[str, Path]:
        return {name.removesuffix(suffix): mask for name, mask in masks.items() if name.endswith(suffix)}

    best = max(("", *SUFFIXES), key=lambda suffix: len(images.keys() & without(suffix).keys()))
    left = {name: mask for name, mask in masks.items() if not name.endswith(best)}
    return {**left, **without(best)}


def _counted(alone: int, every: int, kind: str) -> str:
    return f"{alone:,} of {count(every, kind)}"


def _expected(counterparts: Mapping[str, Path]) -> str:
    """Say by which name a counterpart is looked for."""
    found = f" as in {min(counterparts.values())}" if counterparts else ""
    return f"expected a file of the same name, in the same case, with any extension{found}"
