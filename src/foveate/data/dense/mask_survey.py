"""Look at the masks of a set before training: which values they have, and whether they fit their images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.data.dense.annotated import MaskPart
from foveate.data.dense.mask_files import mask_values, other_size, shown_size
from foveate.data.images import UnreadableImageError
from foveate.data.survey import in_threads
from foveate.errors import RequestError
from foveate.notation import count

__all__ = ["MOST_MASKS", "MaskSurvey", "survey_masks"]

MOST_MASKS = 2_000
"""Of a set with more masks, this many are looked at, spread evenly over its parts."""
MOST_LISTED = 3


@dataclass(frozen=True, eq=False)
class MaskSurvey:
    """The masks that were looked at.

    Attributes:
        masks: their files, by role.
        pixels: of each value in each of them, int64 (masks, 256), by role.
        is_complete: whether they are all masks of the set.
    """

    masks: Mapping[str, Sequence[Path]]
    pixels: Mapping[str, np.ndarray]
    is_complete: bool

    @property
    def values(self) -> list[int]:
        """All values that occur, ascending."""
        return self.values_of(*self.pixels)

    def values_of(self, *roles: str) -> list[int]:
        """Return the values that occur in these parts, ascending."""
        totals = sum((self.pixels[role].sum(axis=0) for role in roles), np.zeros(256, dtype=np.int64))
        return np.flatnonzero(totals).tolist()

    def with_values(self, values: Sequence[int]) -> list[Path]:
        """Return the masks that have one of these values."""
        chosen = np.asarray(values, dtype=np.int64)
        return [
            self.masks[role][k]
            for role, pixels in self.pixels.items()
            for k in np.flatnonzero(pixels[:, chosen].sum(axis=1)).tolist()
        ]


def survey_masks(parts: Mapping[str, MaskPart]) -> MaskSurvey:
    """Decode the masks of a set, at most `MOST_MASKS`, in threads.

    Raises:
        RequestError: a file that is no mask, or a mask of another size than its image. All of them are
            counted, and the first are named.
    """
    total = sum(map(len, parts.values()))
    is_complete = total <= MOST_MASKS
    if not is_complete:
        parts = {role: part.take(_spread(len(part), total)) for role, part in parts.items()}
    pairs = [pair for part in parts.values() for pair in zip(part.images, part.masks, strict=True)]
    results = in_threads(lambda k: _look(*pairs[k]), len(pairs))
    if wrong := [result for result in results if isinstance(result, RequestError)]:
        raise _refused(wrong, len(pairs))
    pixels = np.array([result for result in results if isinstance(result, np.ndarray)])
    starts = np.cumsum([len(part) for part in parts.values()])[:-1]
    by_role = dict(zip(parts, np.split(pixels, starts), strict=True))
    return MaskSurvey({role: part.masks for role, part in parts.items()}, by_role, is_complete)


def _spread(length: int, total: int) -> np.ndarray:
    share = max(MOST_MASKS * length // total, 1)
    return np.linspace(0, length, share, endpoint=False).astype(np.int64)


def _look(image: Path, mask: Path) -> np.ndarray | RequestError:
    """Return the number of pixels of each value, int64 (256,), or what is wrong with the mask."""
    path = mask
    try:
        values = mask_values(mask)
        path = image
        size = shown_size(image)
    except UnreadableImageError as error:
        return RequestError(f"{path}: {error}")
    height, width = values.shape
    if size != (width, height):
        return other_size(image, size, mask, (width, height))
    return np.bincount(values.ravel(), minlength=256)


def _refused(wrong: Sequence[RequestError], looked_at: int) -> RequestError:
    if len(wrong) == 1:
        return wrong[0]
    listed = "".join(f"\n  {error}" for error in wrong[:MOST_LISTED])
    more = f"\n  and {len(wrong) - MOST_LISTED:,} more" if len(wrong) > MOST_LISTED else ""
    return RequestError(f"{len(wrong):,} of {count(looked_at, 'mask')} cannot be used:{listed}{more}")
