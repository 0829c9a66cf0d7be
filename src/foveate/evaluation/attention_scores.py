"""Scores of attention maps; some have no definition in the articles that use them, and foveate's is here.

Maps are (B, H, W) with values in 0..1, objects (B, H, W) of bool. A score that is undefined for an image,
such as a share of a map that is 0 everywhere, is NaN; means exclude these images and count them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

__all__ = [
    "VIEWS",
    "ClassConsistency",
    "View",
    "energies",
    "focus_ratio",
    "pointing_game",
    "tolerance_of",
    "view_consistency",
]

POINTING_TOLERANCE = 15 / 224
"""As a share of an image's side: the 15 of 224 pixels of Zhang et al. 2018 (Excitation Backprop)."""


def focus_ratio(maps: Tensor, objects: Tensor) -> Tensor:
    """Return the share of a map's energy inside the object, Σ_inside M / Σ M: (B,). Chance gives its area."""
    total = maps.sum(dim=(1, 2))
    return torch.where(total > 0, (maps * objects).sum(dim=(1, 2)) / total, torch.nan)


def energies(maps: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean value of a map outside of the object, and inside of it, each (B,).

    They are NaN where there are no such pixels, and for a map of 0. The noise suppression ratio of a set is
    the mean of the first divided by the mean of the second: a ratio of means, because the ratio of a single
    image whose object has the value 0 would be infinite.
    """
    something = maps.flatten(1).amax(dim=1) > 0
    outside, inside = (
        torch.where(something, (maps * part).sum(dim=(1, 2)) / part.sum(dim=(1, 2)), torch.nan)
        for part in (~objects, objects)
    )
    return outside, inside


def tolerance_of(height: int, width: int) -> int:
    """Return the distance in pixels from an object up to which the pointing game counts a hit."""
    return round(POINTING_TOLERANCE * min(height, width))


def pointing_game(maps: Tensor, objects: Tensor, tolerance: int) -> Tensor:
    """Return 1 where the map's highest pixel is within `tolerance` pixels of the object, else 0: (B,).

    Of equal pixels the first counts. A map of 0 gives NaN. Distances are between the centres of pixels.
    """
    H, W = maps.shape[1:]
    highest = maps.flatten(1).argmax(dim=1)
    y, x = (highest // W)[:, None, None], (highest % W)[:, None, None]
    rows, columns = torch.arange(H)[None, :, None], torch.arange(W)[None, None, :]
    near = (rows - y) ** 2 + (columns - x) ** 2 <= tolerance**2
    hit = (near & objects).flatten(1).any(dim=1).to(maps.dtype)
    return torch.where(maps.flatten(1).amax(dim=1) > 0, hit, torch.nan)


class View(NamedTuple):
    """A transformed view of an image (values in 0..1): mirrored, shifted down and right, darker."""

    name: str
    mirrored: bool = False
    shift: float = 0.0  # of the image's side
    brightness: float = 1.0

    def see(self, images: Tensor) -> Tensor:
        """Return the view of images (B, C, H, W); a shift fills the uncovered border by reflection."""
        pixels = self._pixels(images)
        if self.mirrored:
            images = images.flip(3)
        if pixels:
            H, W = images.shape[2:]
            images = pad(images, (pixels, 0, pixels, 0), mode="reflect")[:, :, :H, :W]
        return images * self.brightness

    def undo(self, maps: Tensor) -> Tensor:
        """Return maps (B, H, W) of the view in the original's coordinates, without what a shift moved out."""
        pixels = self._pixels(maps)
        maps = maps[:, pixels:, pixels:]
        return maps.flip(2) if self.mirrored else maps

    def seen(self, maps: Tensor) -> Tensor:
        """Return the part of the originals' maps (B, H, W) that `undo` keeps of the view's maps."""
        pixels, (H, W) = self._pixels(maps), maps.shape[1:]
        if self.mirrored:
            return maps[:, : H - pixels, pixels:]
        return maps[:, : H - pixels, : W - pixels]

    def _pixels(self, images: Tensor) -> int:
        return math.floor(self.shift * min(images.shape[-2:]))


VIEWS = (View("mirrored", mirrored=True), View("moved and darker", shift=1 / 8, brightness=0.8))


def view_consistency(maps: Tensor, maps_of_view: Tensor, view: View) -> Tensor:
    """Return the cosine similarity of each map and the map of its view, once undone: (B,), 1 if equal.

    Values are not centred, so unrelated maps have a similarity well above 0. NaN where a map is 0 everywhere.
    """
    a, b = view.seen(maps).flatten(1), view.undo(maps_of_view).flatten(1)
    whole = (a.amax(dim=1) > 0) & (b.amax(dim=1) > 0)
    return torch.where(whole, cosine_similarity(a, b, dim=1), torch.nan)


class ClassConsistency:
    """Mean cosine similarity of the maps of two different images of a class; keeps one map per class.

    With u = M / |M|, the mean over the n (n - 1) pairs is (|Σ u|² - n) / (n (n - 1)).
    """

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}
        self._counts: dict[int, int] = {}

    def add(self, maps: Tensor, labels: Tensor) -> None:
        """Add maps (B, H, W) and the classes (B,) of their images; maps of 0 are skipped."""
        flat = maps.flatten(1).double()
        for unit, label, norm in zip(flat, labels.tolist(), flat.norm(dim=1), strict=True):
            if norm > 0:
                self._sums[label] = self._sums.get(label, 0) + unit / norm
                self._counts[label] = self._counts.get(label, 0) + 1

    def values(self) -> list[float]:
        """Return the mean similarity of each class with at least two maps."""
        return [
            float((self._sums[label].square().sum() - n) / (n * (n - 1)))
            for label, n in sorted(self._counts.items())
            if n > 1
        ]
