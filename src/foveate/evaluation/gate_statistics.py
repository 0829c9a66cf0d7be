"""How the gates of attention vary: their means over images, and the share of their variance between images.

With g the gate of image i at element e of N images and E elements, both variances with the divisor N or E:

    between images = mean over e of Var over i of g,     fixed = Var over e of (mean over i of g),
    share between images = between images / (between images + fixed).

The sum is the variance of all N · E values. The elements are those of the gate itself (C · H · W), of its
mean over positions (C), or of its mean over channels (H · W).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["GateMeans", "GateStatistics", "GateVariance"]

ROUNDING = 1e-6
"""A gate whose values differ by less than this share of its mean does not vary: it is computed in float32."""


@dataclass(frozen=True)
class GateMeans:
    """The mean of a gate over images, and over positions or channels as well.

    Attributes:
        channel: one number a channel, (C, 1, 1).
        spatial: one number a position, (1, H, W).
        whole: one number an element, (C, H, W).
    """

    channel: Tensor
    spatial: Tensor
    whole: Tensor


@dataclass(frozen=True)
class GateVariance:
    """The mean of a gate, and how it varies.

    Attributes:
        mean: over images and elements.
        between_images: standard deviation over images, the root of its mean square over elements.
        share: of the variance that lies between images; None where the gate does not vary.
        channel_share: the same share for the mean over positions; None where that does not vary.
        spatial_share: the same share for the mean over channels; None where that does not vary.
    """

    mean: float
    between_images: float
    share: float | None
    channel_share: float | None
    spatial_share: float | None


class GateStatistics:
    """Collects a gate over batches of images; memory does not grow with their number."""

    def __init__(self) -> None:
        self._whole, self._channel, self._spatial = _Moments(), _Moments(), _Moments()

    def add(self, gate: Tensor) -> None:
        """Add the gates of a batch, (B, C, H, W); a dimension that the gate does not have is 1."""
        gate = (gate.cpu() if gate.device.type == "mps" else gate).double()  # MPS has no float64
        self._whole.add(gate)
        self._channel.add(gate.mean(dim=(2, 3)))
        self._spatial.add(gate.mean(dim=1))

    def means(self) -> GateMeans:
        """Return the means over all images, in float32."""
        whole = self._whole.mean
        return GateMeans(
            channel=whole.mean(dim=(1, 2), keepdim=True).float(),
            spatial=whole.mean(dim=0, keepdim=True).float(),
            whole=whole.float(),
        )

    def variance(self) -> GateVariance:
        """Return how the gate varies."""
        return GateVariance(
            mean=self._whole.mean.mean().item(),
            between_images=math.sqrt(self._whole.between.mean().item()),
            share=self._whole.share(),
            channel_share=self._channel.share(),
            spatial_share=self._spatial.share(),
        )


class _Moments:
    """Mean and sum of squared deviations over images, of each element (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.images = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    @property
    def between(self) -> Tensor:
        """The variance over images of each element."""
        return self.squares / self.images

    def add(self, values: Tensor) -> None:
        count, mean = len(values), values.mean(dim=0)
        squares = (values - mean).square().sum(dim=0)
        if self.images == 0:
            self.images, self.mean, self.squares = count, mean, squares
            return
        total, difference = self.images + count, mean - self.mean
        self.squares = self.squares + squares + difference.square() * (self.images * count / total)
        self.mean = self.mean + difference * (count / total)
        self.images = total

    def share(self) -> float | None:
        between = self.between.mean().item()
        total = between + self.mean.var(correction=0).item()
        smallest = (ROUNDING * self.mean.abs().mean().item()) ** 2
        return between / total if total > smallest else None
