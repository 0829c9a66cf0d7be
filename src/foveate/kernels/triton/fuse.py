"""The third pass in Triton: four sums over a pixel's channels, and the fused, weighed map from them.

x is read once where a pixel's channels fit into one tile. Otherwise it is read again, from the cache, and g
is recomputed from it; g is never stored. Maps in channels_last of many channels take the kernel of
fuse_pixels.py instead.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import fuse_pixels
from foveate.kernels.triton import map as maps
from foveate.kernels.triton.channels import load_scaled, offsets
from foveate.kernels.triton.fuse_pixels import Arguments, load_weights, mix
from foveate.kernels.triton.places import block_of
from foveate.kernels.triton.sigmoid import arithmetic, sigmoid

__all__ = ["arguments", "fuse", "load_gate"]


@triton.jit
def load_gate(
    multi, product, project, c, p, inside, C, step_m, step_p, M: tl.constexpr, ARITHMETIC: tl.constexpr
):
    """Compute h = σ(project · product) and g = σ(multi ⊙ h) of a tile; g is 0 outside of the map.

    `multi` (pixels,) is loaded already; `product` points at the image, with steps `step_m` between its maps
    and `step_p` between its pixels.
    """
    logits = tl.zeros(inside.shape, tl.float32)
    for m in tl.static_range(M):
        weight = tl.load(project + m * C + c, c < C, 0.0).to(tl.float32)
        of_pixel = tl.load(product + m * step_m + p * step_p).to(tl.float32)
        logits += weight[:, None] * of_pixel[None, :]
    h = sigmoid(logits, ARITHMETIC)
    return h, tl.where(inside, sigmoid(multi[None, :] * h, ARITHMETIC), 0.0)


@triton.jit
def fuse_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    multi,  # (B, N)
    product,  # (B, M, N), its maps step_m apart, its pixels step_p
    project,  # (M, C)
    dff_weight,  # (2, 2C)
    dff_bias,  # (2,)
    aa_weight,  # (C,)
    aa_bias,  # (1,)
    y,  # as x
    C,
    N_units,  # N / UNIT
    step_m,
    step_p,
    M: tl.constexpr,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Accumulate a pixel block's sums over tiles of channels; write the last tile, then the others."""
    N = N_units * UNIT
    b, p = block_of(N, BLOCK_P)
    F = tl.load(multi + b * N + p, p < N, 0.0).to(tl.float32)
    product += b * (M * N)
    p_safe = tl.minimum(p, N - 1)
    y += b * (C * N)

    logit = tl.zeros([BLOCK_P], tl.float32)
    of_c, of_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    X, g = tl.zeros([BLOCK_C, BLOCK_P], tl.float32), tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, _, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M, ARITHMETIC)
        delta_c, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
        X_s = g * X
        logit += tl.sum(delta_c[:, None] * X + delta_s[:, None] * X_s, 0)
        of_c += tl.sum(a[:, None] * X, 0)
        of_s += tl.sum(a[:, None] * X_s, 0)
    w_0, w_1, alpha = mix(logit, of_c, of_s, dff_bias, aa_bias, ARITHMETIC)
    k_0, k_1 = (alpha * w_0)[None, :], (alpha * w_1)[None, :]

    tail = (tl.cdiv(C, BLOCK_C) - 1) * BLOCK_C
    c = tail + tl.arange(0, BLOCK_C)
    inside = (c < C)[:, None] & (p < N)[None, :]
    tl.store(y + offsets(c, p, C, N, CHANNELS_LAST), X * (k_0 + k_1 * g), inside)
    for start in range(0, tail, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M, ARITHMETIC)
        tl.store(y + at, X * (k_0 + k_1 * g), inside)


def arguments(
    x: Tensor,
    scale: Tensor,
    multi: Tensor,
    product: Tensor,
    project: Tensor,
    dff_weight: Tensor,
    dff_bias: Tensor,
    aa_weight: Tensor,
    aa_bias: Tensor,
) -> Arguments:
    """Check the arguments of `fuse`, and return those behind x as the kernels read them."""
    B, C, H, W = maps.sizes(x)
    M = project.shape[-1]
    small = {"scale": (scale, (B, C)), "multi": (multi, (B, 1, H, W)), "project": (project, (C, M))}
    small |= {"dff_weight": (dff_weight, (2, 2 * C)), "dff_bias": (dff_bias, (2,))}
    small |= {"aa_weight": (aa_weight, (C,)), "aa_bias": (aa_bias, (1,))}
    maps.check(x, product=(product, (B, M, H, W)), **small)
    small["project"] = (project.t(), (M, C))
    product, by_place = maps.lay(product)
    steps = (1, M) if by_place else (H * W, 1)
    scale, multi, *of_channels = (given.contiguous() for given, _ in small.values())
    return Arguments(*steps, scale, multi, product, *of_channels)


def fuse(
    x: Tensor,
    scale: Tensor,
    multi: Tensor,
    product: Tensor,
    project: Tensor,
    dff_weight: Tensor,
    dff_bias: Tensor,
    aa_weight: Tensor,
    aa_bias: Tensor,
) -> Tensor:
    """Return α ⊙ (w₀ + w₁ ⊙ g) ⊙ X_c with X_c = scale ⊙ x: see `reference.fuse`."""
    given = arguments(x, scale, multi, product, project, dff_weight, dff_bias, aa_weight, aa_bias)
    x, channels_last = maps.lay(x)
    if maps.by_pixel(x.shape, channels_last):
        return fuse_pixels.fuse(x, given)
    B, C, H, W = x.shape
    N, unit = H * W, maps.unit(H * W)
    block_c, block_p = maps.flat_tile(x.shape, channels_last, 2048)
    y = maps.empty(x.shape, x, x.dtype, channels_last)
    programs = B * maps.blocks(N, block_p)
    if programs:
        with maps.device_of(x):
            fuse_kernel[(programs,)](
                x, *given.tensors, y, C, N // unit, given.step_m, given.step_p,
                given.mid, unit, channels_last, arithmetic(x), block_c, block_p,
                num_warps=maps.warps(block_c * block_p),
            )  # fmt: skip
    return y
