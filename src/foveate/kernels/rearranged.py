"""Rearranged mechanisms: the same equations, computed so that only the passes read or write the whole map.

Maps are not concatenated, linear projections are applied before the means that they follow, and the mean of
a weighted map is a weighted mean. `passes` is the module `reference`, or `operators`, which has the same
names. The parts of a module are called as they are, so training, batch norms included, is the same as with
its own forward. On a CPU two kinds of convolution are computed otherwise, if they are as foveate made them:
those of 2 -> 1 channels, whose gradients take oneDNN long, and that of maps that are constant along an axis.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from foveate.kernels import reference
from foveate.kernels.anatomy import describe_part
from foveate.torch_private import forward_hooks_of

__all__ = ["cbam", "coordinate", "dmsca", "simam", "spatial_mask"]


def dmsca(module: Any, x: Tensor, passes: ModuleType = reference) -> Tensor:
    """Compute DMSCA in three passes: statistics of the channels, statistics of the pixels, the fusion."""
    rows, columns, maximum = passes.pool(x)
    f = module.gce.encode(rows.mean(dim=2)[:, :, None, None], maximum[:, :, None, None])
    A_c = module.tca.weights(f).flatten(1)
    F_multi = _multi_scale(module.msce, passes.pool_channels(x, A_c), passes)
    Z_h, Z_w = rows * A_c[:, :, None], columns * A_c[:, :, None]  # A_c is one number per channel
    product = _interaction(module.dii, Z_h.unsqueeze(3), Z_w.unsqueeze(3))
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
    M_s = torch.sigmoid(_convolve_pair(module.spatial.conv, passes.pool_channels(x, M_c), passes))
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


def _multi_scale(msce: Any, s: Tensor, passes: ModuleType) -> Tensor:
    """Return F_multi (B, 1, H, W) of S (B, 2, H, W)."""
    if not all(_is_own(branch) and _takes_pair(branch[0], s) for branch in msce.branches):
        return msce.encode(s)
    scales = [branch[2](branch[1](passes.convolve_pair(s, branch[0].weight))) for branch in msce.branches]
    return msce.combine(scales)


def _convolve_pair(conv: Any, pair: Tensor, passes: ModuleType) -> Tensor:
    if not _takes_pair(conv, pair):
        return conv(pair)
    return passes.convolve_pair(pair, conv.weight)


def _interaction(dii: Any, z_h: Tensor, z_w: Tensor) -> Tensor:
    """Return F_inter ⊙ (F_h + F_w), (B, C_mid, H, W), from Z_h (B, C, H, 1) and Z_w (B, C, W, 1).

    The convolution of [F_h expanded ; F_w expanded] is a sum of a number per row and one per column, but for
    the borders, where taps fall outside of the map. With F_h's taps to the left and to the right, and F_w's
    above and below, as further terms of a product over six, it is exact there, too.
    """
    conv = dii.interact[0]
    if z_h.device.type != "cpu" or not _is_own(dii.interact, conv) or describe_part(conv) != "conv":
        return dii.interaction(z_h, z_w)
    F_h, F_w = dii.directions(z_h, z_w)
    M = conv.weight.shape[0]
    of_h, of_w = conv.weight.split(M, dim=1)
    of_h, of_w = of_h.permute(3, 0, 1, 2).flatten(0, 1), of_w.permute(2, 0, 1, 3).flatten(0, 1)
    left, middle, right = conv1d(F_h.squeeze(3), of_h, padding=1).split(M, 1)
    above, centre, below = conv1d(F_w.squeeze(2), of_w, padding=1).split(M, 1)
    rows, columns = _borders(F_h, z_h.shape[2]), _borders(F_w, z_w.shape[2])
    by_row = [left + middle + right, left, right, *(one.expand_as(left) for one in rows)]
    by_column = [*(one.expand_as(above) for one in columns), above + centre + below, above, below]
    inter = torch.stack(by_row, dim=3) @ torch.stack(by_column, dim=2)
    return dii.weigh(dii.interact[2](dii.interact[1](inter)), F_h, F_w)


def _borders(like: Tensor, length: int) -> Tensor:
    """Return three rows (3, length): ones, minus one at the first place, minus one at the last."""
    found = like.new_zeros(3, length)
    found[0], found[1, 0], found[2, -1] = 1, -1, -1
    return found


def _takes_pair(conv: Any, pair: Tensor) -> bool:
    """Return whether a convolution of 2 -> 1 channels can be a pass over them on a CPU."""
    return pair.device.type == "cpu" and _is_own(conv) and describe_part(conv) == "conv" and conv.bias is None


def _is_own(*modules: nn.Module) -> bool:
    """Return whether nothing but their forward runs when the modules are called."""
    return not any(any(forward_hooks_of(one)) or "forward" in one.__dict__ for one in modules)
