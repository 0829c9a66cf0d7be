"""Whether a network depends on the pixels that its map marks: Rong et al., "ROAD", ICML 2022.

arXiv:2202.00449. Pixels are removed, the most marked first or the least marked first, and imputed from their
neighbours, so that the gap itself carries no information. The equations are those of the authors, which the
grad-cam package implements too; it takes 8 to 30 ms per share for an image of 64×64, this banded solver 1 to
4 ms. Where many pixels of a map are equal, such as 0, the package removes all of them at once; here ties are
broken at random, and exactly the stated share is removed.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.linalg import solveh_banded
from scipy.sparse import csr_matrix
from torch import Tensor

__all__ = ["SHARES", "impute", "most_marked", "road"]

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the pixels that are removed."""
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels, in units of the normalised image: the authors' value."""


def road(
    predict: Callable[[Tensor], Tensor],
    images: Tensor,
    maps: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    shares: Sequence[float] = SHARES,
) -> Tensor:
    """Return (p without the least marked pixels - p without the most marked) / 2, mean over shares: (B,).

    p is the probability of the class `targets` (B,), `predict` returns logits (B, K) for normalised images
    (B, C, H, W), `maps` are (B, H, W). Scores run from -0.5 to 0.5; higher is more faithful, and a random map
    has 0. It is the package's `ROADCombined` on the softmax. Random numbers come from `generator`, on the
    CPU, in an order that depends on the shapes alone, so that each network gets the same ones.
    """
    rows = torch.arange(len(images))
    total = torch.zeros(len(images))
    for share in shares:
        for sign, values in ((1, -maps), (-1, maps)):
            gaps = most_marked(values, share, generator)
            noise = NOISE * torch.randn(images.shape, generator=generator)
            p = predict(impute(images, gaps, noise)).float().softmax(dim=1).cpu()
            total += sign * p[rows, targets.cpu()]
    return total / (2 * len(shares))


def most_marked(maps: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Whether each pixel of `maps` (B, H, W) is among the `share` of highest values, ties at random."""
    values = maps.flatten(1).cpu()
    shuffled = torch.rand(values.shape, generator=generator).argsort(dim=1)
    order = shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    marked = torch.zeros(values.shape, dtype=torch.bool)
    marked.scatter_(1, order[:, : round(share * values.shape[1])], True)
    return marked.view(maps.shape)


def impute(images: Tensor, gaps: Tensor, noise: Tensor) -> Tensor:
    """Impute the pixels of `images` (B, C, H, W) at `gaps` (B, H, W), and add `noise` (B, C, H, W) there.

    Each becomes the weighted mean of its neighbours within the image, with 1/6 for the four adjacent and 1/12
    for the four diagonal ones, imputed ones included. At least one pixel of each image must remain.
    """
    H, W = gaps.shape[1:]
    weights = _neighbours(H, W)
    sums = np.asarray(weights.sum(axis=1)).ravel()
    filled = images.flatten(2).cpu().clone()
    for pixels, gap, added in zip(
        filled.numpy(), gaps.flatten(1).cpu().numpy(), noise.flatten(2), strict=True
    ):
        missing = np.flatnonzero(gap)
        if not len(missing):
            continue
        around = weights[missing]
        inside = around[:, missing].tocoo()
        # diag(sums) - inside, above the diagonal, in the banded form that LAPACK takes.
        above = inside.col > inside.row
        row, column = inside.row[above], inside.col[above]
        width = int((column - row).max(initial=0))
        band = np.zeros((width + 1, len(missing)))
        band[width - (column - row), column] = -inside.data[above]
        band[width] = sums[missing]
        known = around @ np.where(gap, 0, pixels).T.astype(np.float64)
        solved = solveh_banded(band, known, overwrite_ab=True, check_finite=False)
        pixels[:, missing] = solved.T + added.numpy()[:, missing]
    return filled.view(images.shape).to(images.device)


@functools.lru_cache(maxsize=4)
def _neighbours(height: int, width: int) -> csr_matrix:
    """Return the weight of each pixel in the mean of each of its neighbours."""
    place = np.arange(height * width).reshape(height, width)
    rows, columns, values = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = place[: height - down, max(0, -right) : width - max(0, right)].ravel()
        b = place[down:, max(0, right) : width + min(0, right)].ravel()
        rows += [a, b]
        columns += [b, a]
        values.append(np.full(2 * len(a), 1 / 12 if down and right else 1 / 6))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(height * width, height * width))
