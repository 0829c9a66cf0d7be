"""The neck of a detector: a feature pyramid over the maps of a backbone."""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from foveate.models.dense.features import Features

__all__ = ["Pyramid"]


class Pyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017) over the maps of `features`, as torchvision's detectors take it.

    Images (B, C, H, W) become maps (B, channels, H_i, W_i) by the names "0", "1", …: one for each of the
    coarsest maps of the backbone, `most` of them, and then still coarser ones. `convolved` is the number of
    those: 0 is one more map, the last of the backbone's pooled at stride 2 (Faster R-CNN); 2 are P6 and P7,
    by convolutions (RetinaNet, FCOS).

    Attributes:
        out_channels: of each map.
        strides: of each map, in pixels of the image, as far as they are exact halves.
    """

    def __init__(self, features: Features, channels: int, *, most: int, convolved: int) -> None:
        super().__init__()
        self.body = features.network
        self.layout = layout = features.layout.last(most)
        extra = LastLevelP6P7(channels, channels) if convolved else LastLevelMaxPool()
        self.fpn = FeaturePyramidNetwork(list(layout.channels), channels, extra_blocks=extra)
        self.out_channels = channels
        coarser = (2 * layout.strides[-1], 4 * layout.strides[-1])[: convolved or 1]
        self.strides = (*layout.strides, *coarser)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps by their names, the finest first."""
        maps: dict[str, Tensor] = self.fpn(OrderedDict(self._named(images)))
        return maps

    def _named(self, images: Tensor) -> list[tuple[str, Tensor]]:
        given = self.layout.maps(self.body(images))
        return [(str(number), one) for number, one in enumerate(given)]
