"""DMSCA's inference in Triton: seven launches, where the passes and the operations between them are 33.

Beside the three passes there are four kernels of small maps (small_maps.py). Two compute A_c from the means
and maxima of the channels, one F_h and F_w, and one F_multi and F_inter ⊙ (F_h + F_w). The batch norms are
those of inference.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

from collections.abc import Sequence

import torch
from torch import Tensor

from foveate.kernels.anatomy import ON_GPU
from foveate.kernels.triton import channels, fuse, pool
from foveate.kernels.triton import map as maps
from foveate.kernels.triton.sigmoid import arithmetic
from foveate.kernels.triton.small_maps import (
    EDGES,
    embed_kernel,
    hidden_kernel,
    scale_kernel,
    small_maps_kernel,
)

__all__ = ["attend"]

TILE = 4096
"""Elements of a tile of rows or columns."""


def attend(x: Tensor, weights: Sequence[Tensor], numbers: Sequence[float]) -> Tensor:
    """Return DMSCA of x (B, C, H, W) by a module's weights, in the order of its state dict, and its numbers.

    The numbers are a fixed temperature (0: it is learned) and the eps of every norm.
    """
    maps.check(x)
    x, channels_last = maps.lay(x)
    if not x.shape[0]:
        return x.clone()
    temperature, *eps = numbers
    reduce, expand, *others = (weight.contiguous() for weight in weights)
    log_tau = expand if temperature else others.pop(0)
    branches, (embed, *embed_norm), (interact, *interact_norm) = others[:-15], others[-15:-10], others[-10:-5]
    project, dff, dff_bias, aa, aa_bias = others[-5:]
    with maps.device_of(x):
        rows, columns, maximum = pool.pool_parts(x, channels_last)
        A_c = _weigh(x, rows, maximum, reduce, expand, log_tau, temperature, channels_last)
        pooled = channels.pool_channels(x, A_c)
        lines = _embed(x, rows, columns, A_c, embed, embed_norm, eps[-2], interact, channels_last)
        F_multi, product = _small_maps(x, pooled, *lines, branches, interact_norm, eps)
    of_channels = project.flatten(1), dff.flatten(1), dff_bias, aa.flatten(), aa_bias
    return fuse.fuse(x, A_c, F_multi, product, *of_channels)


def _weigh(
    x: Tensor,
    rows: Tensor,
    maximum: Tensor,
    reduce: Tensor,
    expand: Tensor,
    log_tau: Tensor,
    temperature: float,
    channels_last: bool,
) -> Tensor:
    """Return A_c (B, C)."""
    B, C, H, _ = x.shape
    R = len(reduce)
    hidden, scale = maps.empty((B, R), x), maps.empty((B, C), x, x.dtype)
    block_r, block_c, block_l = _block(R, 64, B), _block(C, 128, B), min(maps.power(H), 64)
    hidden_kernel[(B * maps.blocks(R, block_r),)](
        rows, maximum, reduce, hidden, B, C, H, R, len(rows), len(maximum), channels_last,
        block_r, min(maps.power(C), TILE // block_l), block_l, num_warps=4,
    )  # fmt: skip
    scale_kernel[(B * maps.blocks(C, block_c),)](
        hidden, expand, log_tau, temperature, scale, C, R, temperature == 0, min(arithmetic(x), 1),
        block_c, min(maps.power(R), 64), num_warps=4,
    )  # fmt: skip
    return scale


def _embed(
    x: Tensor,
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    embed: Tensor,
    norm: Sequence[Tensor],
    eps: float,
    interact: Tensor,
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    """Return F_h and F_w (B, M, H + W), and G of both (B, 3, EDGES, M, H + W)."""
    B, C, H, W = x.shape
    M = len(embed)
    embedded, turned = maps.empty((B, M, H + W), x), maps.empty((B, 3, EDGES, M, H + W), x)
    block_l = min(_block(H, 64, B), _block(W, 64, B))
    embed_kernel[(B * (maps.blocks(H, block_l) + maps.blocks(W, block_l)),)](
        rows, columns, scale, embed, *norm, eps, interact, embedded, turned, B, C, H, W,
        len(rows), len(columns), M, channels_last,
        maps.power(M), min(maps.power(C), TILE // block_l), block_l, num_warps=4,
    )  # fmt: skip
    return embedded, turned


def _small_maps(
    x: Tensor,
    pooled: Tensor,
    embedded: Tensor,
    turned: Tensor,
    branches: Sequence[Tensor],
    norm: Sequence[Tensor],
    eps: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Return F_multi (B, 1, H, W), and F_inter ⊙ (F_h + F_w) (B, M, H, W) in channels_last."""
    B, _, H, W = x.shape
    M, n = embedded.shape[1], len(branches) // 5
    multi, product = maps.empty((B, 1, H, W), x, x.dtype), maps.empty((B, H, W, M), x, x.dtype)
    taken = [min(i, n - 1) for i in range(ON_GPU["dmsca"])]  # the kernel leaves out those beyond n
    of_branches = [part for i in taken for part in (*branches[5 * i : 5 * i + 5], eps[i])]
    block_p = _block(H * W, 128, B)
    small_maps_kernel[(B * maps.blocks(H * W, block_p),)](
        pooled, embedded, turned, multi, product, *of_branches, *norm, eps[-1], H, W,
        torch.finfo(x.dtype).max, n, *(branches[5 * i].shape[-1] for i in taken), M, block_p,
        num_warps=maps.warps(8 * block_p),
    )  # fmt: skip
    return multi, product.permute(0, 3, 1, 2)


def _block(n: int, most: int, images: int) -> int:
    """Return the block, a power of two, that cuts an axis of each image so that no processor is idle."""
    block = min(maps.power(n), most)
    while block > 8 and images * maps.blocks(n, block) < maps.FEW:
        block //= 2
    return block
