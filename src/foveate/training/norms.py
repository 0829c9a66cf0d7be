"""Batch norms whose statistics are of the images of all processes that train one network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers import BatchNormAct2d, SyncBatchNormAct
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn.functional import batch_norm

from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.errors import RequestError
from foveate.models.sites.insertion import change_class, original_class

__all__ = ["GatheredBatchNorm", "synchronised_norms"]


class _Sum(Function):
    """The sum of a tensor over all processes; so is that of its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


class GatheredBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes, for devices that `nn.SyncBatchNorm` has no kernels for.

    (B, C, …) -> (B, C, …). Mean and variance (biased to normalise, unbiased to keep) are those of
    `nn.BatchNorm2d` on the batches of all processes in one (Ioffe and Szegedy 2015, algorithm 1). The batches
    may differ in size.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x; every process must call it."""
        if not self.training:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        values = x.float()
        here = values.new_full((1,), x.numel() // x.shape[1])
        total, count = _Sum.apply(torch.cat([values.sum(dims), here])).split([x.shape[1], 1])
        mean = total / count.detach()
        centred = values - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(dims)) / count.detach()
        self._keep(mean.detach(), variance.detach(), float(count.detach()))
        normalised = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(x.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class GatheredBatchNormAct(GatheredBatchNorm):
    """The same with the activation that timm's `BatchNormAct2d` has in it."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate x; every process must call it."""
        activated: Tensor = self.act(self.drop(super().forward(x)))
        return activated


PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, AnySizeBatchNorm2d)
"""The batch norms that do nothing else."""


@contextmanager
def synchronised_norms(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Let every batch norm of `network`, those of attention included, be of all processes in the block.

    On a GPU they become torch's `nn.SyncBatchNorm`, elsewhere `GatheredBatchNorm`. The modules stay, with
    their parameters, their keys in the state dict and the attention at them: their classes change.

    Raises:
        RequestError: a batch norm of another class, of which it is not known what else it computes.
    """
    on_gpu = device.type == "cuda"
    plain, activating = (
        (nn.SyncBatchNorm, SyncBatchNormAct) if on_gpu else (GatheredBatchNorm, GatheredBatchNormAct)
    )
    kinds = dict.fromkeys(PLAIN, plain) | {BatchNormAct2d: activating}
    own: list[tuple[Any, Any]] = []
    for name, norm in network.named_modules():
        if isinstance(norm, PLAIN):
            own.append((norm, original_class(norm)))
            if original_class(norm) not in kinds:
                raise RequestError(
                    f"sync_batchnorm: {name} is a {original_class(norm).__name__}, which cannot be "
                    "synchronised: train without sync_batchnorm, or on one device"
                )
    for norm, kind in own:
        norm.process_group = None  # all processes
        change_class(norm, kinds[kind])
    try:
        yield
    finally:
        for norm, kind in own:
            del norm.process_group
            change_class(norm, kind)
