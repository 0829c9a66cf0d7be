"""The third pass in Triton: six products of a pixel's channels, and the fused, weighed map from them.

x is read once where a pixel's channels fit into one tile. Otherwise it is read again, from the cache, and g
is recomputed from it; g is never stored.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.channels import load_scaled, offsets

__all__ = ["arguments", "flat", "fuse", "load_gate", "load_weights", "mix"]


@triton.jit
def load_gate(multi, product, project, c, p, inside, C, step_m, step_p, M: tl.constexpr):
    """Compute h = σ(project · product) and g = σ(multi ⊙ h) of a tile; g is 0 outside of the map.

    `multi` (pixels,) is loaded already; `product` points at the image, with steps `step_m` between its maps
    and `step_p` between its pixels.
    """
    logits = tl.zeros(inside.shape, tl.float32)
    for m in tl.static_range(M):
        weight = tl.load(project + m * C + c, c < C, 0.0).to(tl.float32)
        of_pixel = tl.load(product + m * step_m + p * step_p).to(tl.float32)
        logits += weight[:, None] * of_pixel[None, :]
    h = tl.sigmoid(logits)
    return h, tl.where(inside, tl.sigmoid(multi[None, :] * h), 0.0)


@triton.jit
def load_weights(dff_weight, aa_weight, c, C):
    """Load the five weights of each channel: DFF's two of X_c, its two of X_s, and AA's."""
    in_c = c < C
    c_0 = tl.load(dff_weight + c, in_c, 0.0).to(tl.float32)
    s_0 = tl.load(dff_weight + C + c, in_c, 0.0).to(tl.float32)
    c_1 = tl.load(dff_weight + 2 * C + c, in_c, 0.0).to(tl.float32)
    s_1 = tl.load(dff_weight + 3 * C + c, in_c, 0.0).to(tl.float32)
    return c_0, c_1, s_0, s_1, tl.load(aa_weight + c, in_c, 0.0).to(tl.float32)


@triton.jit
def mix(logit_0, logit_1, of_c, of_s, aa_bias):
    """Compute [w₀ ; w₁] = softmax of the logits, and α = σ(w₀ of_c + w₁ of_s + bias)."""
    top = tl.maximum(logit_0, logit_1, propagate_nan=tl.PropagateNan.ALL)
    e_0, e_1 = tl.exp(logit_0 - top), tl.exp(logit_1 - top)
    w_0, w_1 = e_0 / (e_0 + e_1), e_1 / (e_0 + e_1)
    return w_0, w_1, tl.sigmoid(w_0 * of_c + w_1 * of_s + aa_bias)


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
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Accumulate a pixel block's products over tiles of channels; write the last tile, then the others."""
    N = N_units * UNIT
    blocks_p = tl.cdiv(N, BLOCK_P)
    b = (tl.program_id(0) // blocks_p).to(tl.int64)
    p = (tl.program_id(0) % blocks_p) * BLOCK_P + tl.arange(0, BLOCK_P)
    F = tl.load(multi + b * N + p, p < N, 0.0).to(tl.float32)
    product += b * (M * N)
    p_safe = tl.minimum(p, N - 1)
    y += b * (C * N)

    logit_0 = tl.zeros([BLOCK_P], tl.float32) + tl.load(dff_bias).to(tl.float32)
    logit_1 = tl.zeros([BLOCK_P], tl.float32) + tl.load(dff_bias + 1).to(tl.float32)
    of_c, of_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    X, g = tl.zeros([BLOCK_C, BLOCK_P], tl.float32), tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, _, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M)
        c_0, c_1, s_0, s_1, a = load_weights(dff_weight, aa_weight, c, C)
        X_s = g * X
        logit_0 += tl.sum(c_0[:, None] * X + s_0[:, None] * X_s, 0)
        logit_1 += tl.sum(c_1[:, None] * X + s_1[:, None] * X_s, 0)
        of_c += tl.sum(a[:, None] * X, 0)
        of_s += tl.sum(a[:, None] * X_s, 0)
    w_0, w_1, alpha = mix(logit_0, logit_1, of_c, of_s, tl.load(aa_bias).to(tl.float32))
    k_0, k_1 = (alpha * w_0)[None, :], (alpha * w_1)[None, :]

    tail = (tl.cdiv(C, BLOCK_C) - 1) * BLOCK_C
    c = tail + tl.arange(0, BLOCK_C)
    inside = (c < C)[:, None] & (p < N)[None, :]
    tl.store(y + offsets(c, p, C, N, CHANNELS_LAST), X * (k_0 + k_1 * g), inside)
    for start in range(0, tail, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M)
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
) -> list[Tensor]:
    """Check the arguments of `fuse`; return the small ones but product contiguous, project as (M, C)."""
    B, C, H, W = maps.sizes(x)
    M = project.shape[-1]
    small = {"scale": (scale, (B, C)), "multi": (multi, (B, 1, H, W)), "project": (project, (C, M))}
    small |= {"dff_weight": (dff_weight, (2, 2 * C)), "dff_bias": (dff_bias, (2,))}
    small |= {"aa_weight": (aa_weight, (C,)), "aa_bias": (aa_bias, (1,))}
    maps.check(x, product=(product, (B, M, H, W)), **small)
    small["project"] = (project.t(), (M, C))
    return [given.contiguous() for given, _ in small.values()]


def flat(product: Tensor) -> tuple[Tensor, int, int]:
    """Return product (B, M, H, W) dense, and the steps between its maps and between its pixels."""
    product, channels_last = maps.lay(product)
    return (
        (product, 1, product.shape[1]) if channels_last else (product, product.shape[2] * product.shape[3], 1)
    )


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
    small = arguments(x, scale, multi, product, project, dff_weight, dff_bias, aa_weight, aa_bias)
    x, channels_last = maps.lay(x)
    product, step_m, step_p = flat(product)
    B, C, H, W = x.shape
    N, unit = H * W, maps.unit(H * W)
    block_c, block_p = maps.flat_tile(x.shape, channels_last, 2048)
    y = maps.empty(x.shape, x, x.dtype, channels_last)
    programs = B * maps.blocks(N, block_p)
    if programs:
        with maps.device_of(x):
            fuse_kernel[(programs,)](
                x, *small[:2], product, *small[2:], y, C, N // unit, step_m, step_p,
                project.shape[1], unit, channels_last, block_c, block_p,
                num_warps=maps.warps(block_c * block_p),
            )  # fmt: skip
    return y
