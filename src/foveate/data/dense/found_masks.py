"""Images with masks as a layout's reader finds them, before a mask was opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foveate.data.dense.annotated import MaskPart
from foveate.data.notes import Note
from foveate.records.masks import IGNORED

__all__ = ["FoundMasks", "label_table"]


@dataclass(frozen=True, eq=False)
class FoundMasks:
    """Parts of a set and what its files say of the classes.

    Attributes:
        parts: by role.
        classes: the name of each value that stands for a class, or None if no file names them.
        named_in: what names the classes, for messages: a file, or a format.
        ignored: values without a class that are not refused.
        notes: sentences on what was found and what was excluded.
    """

    parts: Mapping[str, MaskPart]
    classes: Mapping[int, str] | None
    named_in: str
    ignored: frozenset[int]
    notes: Sequence[Note]


def label_table(values: Sequence[int]) -> np.ndarray:
    """Return the training label of each value, uint8 (256,): the position in `values`, or 255 (ignored)."""
    table = np.full(256, IGNORED, dtype=np.uint8)
    table[np.asarray(values, dtype=np.int64)] = np.arange(len(values), dtype=np.uint8)
    return table
