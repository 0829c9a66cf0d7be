"""Batch normalisation that also trains where a channel holds a single value."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


@torch.fx.wrap  # symbolic tracing, which does not know the sizes, takes it as one step
def any_size_batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    batches: Tensor,
    weight: Tensor,
    bias: Tensor,
    momentum: float | None,
    eps: float,
    training: bool,
) -> Tensor:
    """Normalise x by its own statistics and update the running ones; in eval or of one value, by these."""
    if not training or x.shape[0] * x.shape[2] * x.shape[3] == 1:
        return batch_norm(x, mean, variance, weight, bias, eps=eps)
    batches.add_(1)
    share = 1 / float(batches) if momentum is None else momentum
    return batch_norm(x, mean, variance, weight, bias, training=True, momentum=share, eps=eps)


class AnySizeBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d for maps of any size, (B, C, H, W) -> (B, C, H, W).

    A single value per channel (one image with a 1×1 map) has no variance, and `nn.BatchNorm2d` raises an
    error in training. Here such a batch is normalised by the running statistics, as in eval, and does not
    change them. Otherwise, and in its state dict, it is `nn.BatchNorm2d`.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x."""
        return any_size_batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.num_batches_tracked,
            self.weight,
            self.bias,
            self.momentum,
            self.eps,
            self.training,
        )
