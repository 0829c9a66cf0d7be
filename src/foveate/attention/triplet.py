"""Triplet attention: Misra et al., "Rotate to Attend", WACV 2021, arXiv:2010.03045."""

from torch import Tensor, nn

from foveate.attention.options import check_count
from foveate.attention.spatial import SpatialMask


class TripletAttention(nn.Module):
    """⅓ (gate over (C, W) + gate over (H, C) + gate over (H, W)), (B, C, H, W) -> (B, C, H, W) (eq. 3).

    Each gate is a SpatialMask; the first two see the map rotated, so that they pool over its height and over
    its width. Their convolutions have no bias, as in the authors' code. The three share no weights, so
    a module has 3 · (2 k² + 2) parameters. The authors' code updates the running statistics with a momentum
    of 0.01; here it is torch's 0.1.
    """

    def __init__(self, channels: int, kernel_size: int = 7) -> None:
        super().__init__()
        check_count("channels", channels)
        self.channel_width = SpatialMask(kernel_size, "channel_width")
        self.height_channel = SpatialMask(kernel_size, "height_channel")
        self.height_width = SpatialMask(kernel_size, "height_width")

    def forward(self, x: Tensor) -> Tensor:
        """Weight x by the interaction of each pair of its dimensions."""
        y_cw = self.channel_width(x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)
        y_hc = self.height_channel(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
        y_hw = self.height_width(x)
        return (y_cw + y_hc + y_hw) / 3
