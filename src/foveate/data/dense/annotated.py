"""Images with boxes or masks as a reader finds them: parts by role, classes, and what it has to say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.data.notes import Note
from foveate.records.boxes import ImageBoxes

__all__ = ["BoxPart", "BoxSource", "MaskPart", "MaskSource"]


@dataclass(frozen=True, eq=False)
class BoxPart:
    """Images of one part and their boxes.

    Attributes:
        images: the file of each image.
        boxes: the boxes of each image, of which there may be none.
        ids: the number of each image in COCO's results; those of the file, or from 1 in the order of images.
    """

    images: tuple[Path, ...]
    boxes: tuple[ImageBoxes, ...]
    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray) -> "BoxPart":
        """Return a part with only the images at these positions."""
        return BoxPart(
            tuple(self.images[i] for i in indices),
            tuple(self.boxes[i] for i in indices),
            tuple(self.ids[i] for i in indices),
        )


@dataclass(frozen=True, eq=False)
class MaskPart:
    """Images of one part and the file of the mask of each."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray) -> "MaskPart":
        """Return a part with only the images at these positions."""
        return MaskPart(tuple(self.images[i] for i in indices), tuple(self.masks[i] for i in indices))


@dataclass(frozen=True, eq=False)
class BoxSource:
    """A set of images with boxes as found.

    Attributes:
        name: of the folder.
        parts: by role, "train", "validation" or "test"; a single part may have any of these names.
        classes: names; labels are indices into them.
        categories: the number of each class in the format's own files (COCO's category ids), for results.
        notes: sentences on what was found and what was excluded.
    """

    name: str
    parts: Mapping[str, BoxPart]
    classes: tuple[str, ...]
    categories: tuple[int, ...]
    notes: Sequence[Note]


@dataclass(frozen=True, eq=False)
class MaskSource:
    """A set of images with masks as found.

    Attributes:
        name: of the folder.
        parts: by role, "train", "validation" or "test"; a single part may have any of these names.
        classes: names, in the order of the labels that training uses.
        table: uint8 (256,); the training label of each value in a mask, or 255 for pixels that are ignored.
        unknown: values of masks that are refused: neither a class nor ignored.
        notes: sentences on what was found and what was excluded.
    """

    name: str
    parts: Mapping[str, MaskPart]
    classes: tuple[str, ...]
    table: np.ndarray
    unknown: frozenset[int]
    notes: Sequence[Note]
