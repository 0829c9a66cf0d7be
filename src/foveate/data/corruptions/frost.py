"""Frost: ice on a window, blended over the image."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from foveate.data.corruptions.filters import blur

__all__ = ["frost", "frost_sheets"]

SHEETS, SHEET_SIDE = 5, 640
TINT = (0.90, 0.97, 1.0)
"""Colour of ice in daylight, slightly blue."""


def frost(images: Tensor, generator: Generator, kept: float, laid_over: float, scale: float) -> Tensor:
    """Return kept · x + laid_over · ice, ice a random crop of one of five sheets shrunk by `scale`.

    Known difference: the published sets use five photographs of frosted windows, which may not be
    redistributed. `frost_sheets` draws such sheets instead, so figures for frost can be compared with each
    other, but not with those measured on the published sets.
    """
    batch, channels, height, width = images.shape
    side = max(round(SHEET_SIDE * scale), height + 1, width + 1)
    sheets = _shrunk(side).to(images)
    sheet = torch.randint(SHEETS, (batch,), generator=generator, device=images.device)
    place = torch.rand((2, batch), generator=generator, device=images.device)
    free = torch.tensor([[side - height + 1], [side - width + 1]], device=images.device)
    top, left = (place * free).long()
    windows = sheets.unfold(2, height, 1).unfold(3, width, 1)  # (sheets, 3, places, places, H, W), a view
    ice = windows[sheet, :, top, left]
    return kept * images + laid_over * (ice if channels == 3 else ice.mean(dim=1, keepdim=True))


@lru_cache(maxsize=4)
def _shrunk(side: int) -> Tensor:
    """Return all sheets, (5, 3, side, side), shrunk by averaging."""
    sheets = frost_sheets()
    if side == SHEET_SIDE:
        return sheets
    return F.interpolate(sheets, size=(side, side), mode="bilinear", align_corners=False, antialias=True)


@lru_cache(maxsize=1)
def frost_sheets() -> Tensor:
    """Draw five sheets of ice, (5, 3, 640, 640) in 0..1, always the same.

    Ice grows from random points in needles at 60° to each other, which have barbs at 60° that are shorter
    towards the tip, with haze between them.
    """
    random = np.random.default_rng(2019)
    sheets = torch.stack([_sheet(random) for _ in range(SHEETS)])
    return sheets[:, None] * torch.tensor(TINT).view(1, 3, 1, 1)


def _sheet(random: np.random.Generator) -> Tensor:
    ice = np.zeros((SHEET_SIDE, SHEET_SIDE), dtype=np.float32)
    for _ in range(int(random.integers(34, 52))):
        germ, turn = random.uniform(0, SHEET_SIDE, 2), random.uniform(0, math.pi / 3)
        for arm in range(6):
            _grow(ice, random, germ, turn + arm * math.pi / 3, length=random.uniform(30, 190))
    lines = torch.from_numpy(ice)
    noise = torch.from_numpy(random.standard_normal((SHEET_SIDE, SHEET_SIDE)).astype(np.float32))
    haze = torch.stack([blur(noise, sigma) * sigma for sigma in (3.0, 12.0, 40.0)]).sum(dim=0)
    glow = 0.9 * blur(lines, 0.7) + 0.9 * blur(lines, 3.0) + 0.5 * blur(lines, 14.0)
    return 0.97 - 0.82 * torch.exp(-(glow + 0.2 * haze.clamp(min=0)))


def _grow(
    ice: np.ndarray, random: np.random.Generator, root: np.ndarray, angle: float, length: float
) -> None:
    """Draw a needle from `root` and its barbs."""
    along = np.arange(0, length, 0.7)
    bend = angle + random.normal(0, 0.25) * along / length
    path = root + np.stack([np.sin(bend), np.cos(bend)], axis=1) * along[:, None]
    _draw(ice, path, 1.0)
    for at in np.flatnonzero(random.random(len(along)) < 0.16):
        size = 0.45 * (length - along[at]) * random.uniform(0.3, 1)
        for side in (-1, 1):
            steps = np.arange(0, size, 0.7)[:, None]
            barb = bend[at] + side * math.pi / 3
            _draw(ice, path[at] + steps * [math.sin(barb), math.cos(barb)], 0.6)


def _draw(ice: np.ndarray, points: np.ndarray, strength: float) -> None:
    """Make the pixels at `points` (n, 2) at least as bright as `strength`, wrapping around."""
    y, x = np.rint(points).astype(np.int64).T % SHEET_SIDE
    ice[y, x] = np.maximum(ice[y, x], strength)
