"""Find and read a set of images with masks, whatever its layout, and the labels of one mask."""

from pathlib import Path
from typing import Literal

import numpy as np

from foveate.data.dense.annotated import MaskSource
from foveate.data.dense.cityscapes import is_cityscapes, read_cityscapes
from foveate.data.dense.found_masks import label_table
from foveate.data.dense.mask_classes import check_classes, named_classes, unknown_values, unnamed_classes
from foveate.data.dense.mask_files import mask_values
from foveate.data.dense.mask_folders import read_mask_folders
from foveate.data.dense.mask_layouts import find_mask_folders
from foveate.data.dense.voc_masks import find_voc, read_voc
from foveate.data.images import UnreadableImageError
from foveate.data.notes import Note
from foveate.errors import RequestError
from foveate.notation import count
from foveate.records.masks import IGNORED

__all__ = ["find_masks", "read_mask", "read_masks"]

READERS = {"folders": read_mask_folders, "cityscapes": read_cityscapes, "voc": read_voc}


def find_masks(root: Path) -> Literal["folders", "cityscapes", "voc"] | None:
    """Return the layout in which a folder has images with masks, or None. Only names are looked at."""
    if is_cityscapes(root):
        return "cityscapes"
    if find_voc(root):
        return "voc"
    try:
        return "folders" if find_mask_folders(root)[1] else None
    except RequestError:  # it has them, and reading will say what is unclear
        return "folders"


def read_masks(root: Path, *, ignored: int | None = None, class_names: Path | None = None) -> MaskSource:
    """Read where images and masks of a set lie, and find its classes.

    Args:
        root: the folder of the set.
        ignored: the value in masks of pixels that count for nothing, beside 255, which is always ignored.
        class_names: a file of class names (see `read_class_list`); without it one is looked for, and the
            values that the masks have are the classes if there is none.

    Raises:
        RequestError: no layout of images with masks, a file that is no mask or does not fit its image, an
            image without a mask or the reverse, values that are neither a class nor ignored, fewer than two
            classes or images, or a class that the training part does not have.
    """
    from foveate.data.dense.mask_survey import survey_masks  # it imports torch, and finding does not

    layout = find_masks(root)
    if layout is None:
        raise RequestError(
            f"{root}: expected images with masks, such as images/train and labels/train, train/images and "
            "train/masks, or the folders of Cityscapes or Pascal VOC"
        )
    if ignored is not None and not 0 <= ignored <= IGNORED:
        raise RequestError(f"the ignored value of masks must lie between 0 and {IGNORED}, got {ignored}")
    found = READERS[layout](root)
    total = sum(map(len, found.parts.values()))
    if total < 2:
        raise RequestError(f"{root} has {count(total, 'image')} with a mask: training needs at least two")
    named = named_classes(found, class_names)
    survey = survey_masks(found.parts)
    notes = [*found.notes]
    skipped = {IGNORED, *found.ignored} | ({ignored} if ignored is not None else set())
    if named is None:
        classes, note = unnamed_classes(root, survey, skipped)
        notes.append(note)
    else:
        classes = {value: name for value, name in sorted(named.items()) if value not in skipped}
        if class_names or found.classes is None:
            notes.append(Note(f"The classes are named by {(class_names or Path(found.named_in)).name}."))
    unknown = frozenset(range(256)) - skipped - classes.keys()
    if values := sorted(unknown.intersection(survey.values)):
        raise unknown_values(survey.with_values(values), values)
    notes += check_classes(root, survey, classes)
    if not survey.is_complete:
        looked_at = sum(map(len, survey.masks.values()))
        notes.append(Note(f"{looked_at:,} of {total:,} masks were looked at before training."))
    table = label_table(list(classes))
    return MaskSource(root.name, found.parts, tuple(classes.values()), table, unknown, notes)


def read_mask(path: Path, table: np.ndarray, unknown: frozenset[int]) -> np.ndarray:
    """Return the training labels of a mask, uint8 (H, W), 255 for pixels that are ignored.

    Args:
        path: the file.
        table: uint8 (256,), the label of each value (see `MaskSource`).
        unknown: values that are refused.

    Raises:
        RequestError: the file cannot be read, is no mask, or has an unknown value.
    """
    try:
        values = mask_values(path)
    except UnreadableImageError as error:
        raise RequestError(f"{path}: {error}") from error
    refused = np.zeros(256, dtype=bool)
    refused[list(unknown)] = True
    if refused[values].any():
        raise unknown_values([path], sorted(unknown.intersection(np.unique(values).tolist())))
    return table[values]
