"""Batch normalisation that also trains where a channel holds a single value."""

from torch import Tensor, nn
from torch.nn.functional import batch_norm


class AnySizeBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d for maps of any size, (B, C, H, W) -> (B, C, H, W).

    A single value per channel (one image, a 1×1 map) has no variance, and `nn.BatchNorm2d` refuses to train
    on it. Here such a batch is normalised by the running statistics, as in eval, and leaves them as they are.
    Everywhere else, and in its state dict, it is `nn.BatchNorm2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)
