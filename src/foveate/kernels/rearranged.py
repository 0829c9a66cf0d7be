"""Rearranged mechanisms: the same equations, computed so that only the passes read or write the whole map.

Maps are not concatenated, linear projections are applied before the means that they follow, and the mean of
a weighted map is a weighted mean. `passes` is the module `reference`, or `operators`, which has the same
names. The parts of a module are called as they are, so training, batch norms included, is the same as with
its own forward.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from foveate.kernels import reference

__all__ = ["cbam", "coordinate", "dmsca", "simam", "spatial_mask"]


def dmsca(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute DMSCA in three passes: statistics of the channels, statistics of the pixels, the fusion."""
    rows, columns, maximum = passes.pool(x)
    f = module.gce.encode(rows.mean(dim=2)[:, :, None, None], maximum[:, :, None, None])
    A_c = module.tca.weights(f).flatten(1)
    F_multi = module.msce.encode(passes.pool_channels(x, A_c))
    Z_h, Z_w = rows * A_c[:, :, None], columns * A_c[:, :, None]  # A_c is one number per channel
    product = module.dii.interaction(Z_h.unsqueeze(3), Z_w.unsqueeze(3))
    dff, aa = module.dff.conv, module.aa.conv
    project = module.dii.project.weight.flatten(1)
    return passes.fuse(
        x, A_c, F_multi, product, project, dff.weight.flatten(1), dff.bias, aa.weight.flatten(), aa.bias
    )


def cbam(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute CBAM in three passes; one applies both gates, so the map between them is never written."""
    rows, _, maximum = passes.pool(x)
    mlp = module.channel.mlp
    M_c = torch.sigmoid(mlp(rows.mean(dim=2)[:, :, None, None]) + mlp(maximum[:, :, None, None])).flatten(1)
    M_s = torch.sigmoid(module.spatial.conv(passes.pool_channels(x, M_c)))
    return passes.gate(x, channels=M_c, positions=M_s)


def coordinate(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute coordinate attention in two passes: one for both means, one for both gates."""
    rows, columns, _ = passes.pool(x)
    g_h, g_w = module.gates(rows.unsqueeze(3), columns.unsqueeze(3))
    return passes.gate(x, rows=g_h.squeeze(3), columns=g_w.squeeze(3))


def simam(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute SimAM in one pass, which has the statistics and the gate of a channel."""
    return passes.simam(x, module.e_lambda)


def spatial_mask(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute the spatial gate of SGFA and triplet attention in two passes."""
    mean_and_maximum = passes.pool_channels(x, None)
    M_s = torch.sigmoid(module.norm(module.conv(mean_and_maximum.flip(1))))  # its maximum is first
    return passes.gate(x, positions=M_s)
