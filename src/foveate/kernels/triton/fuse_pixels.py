"""The third pass and its gradients in Triton, a pixel at a time: for maps in channels_last of many channels.

A program keeps the weights of all channels in registers and walks over pixels. What belongs to one pixel is a
number to it and not a tile, so nothing is moved between threads but the sums over channels. The backward
kernel reads x and dy once and writes dx once; with X = scale ⊙ x, Δ the difference of DFF's two rows of
weights (the softmax depends on it alone), h = σ(logits), g = σ(multi h) and α = σ(β):

    dα = Σ dy (w₀ + w₁ g) X, dβ = dα α (1 - α);
    dw₀ = α Σ dy X + dβ Σ a X, dw₁ = α Σ dy g X + dβ Σ a g X, dl = w₀ w₁ (dw₀ - dw₁);
    u_s = dl Δ_s + dβ w₁ a, dX = α (w₀ + w₁ g) dy + dl Δ_c + dβ w₀ a + g u_s;
    dg = X (α w₁ dy + u_s), dq = dg g (1 - g), d_logits = dq multi h (1 - h).
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

from typing import Any, NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.places import pixels_of
from foveate.kernels.triton.sigmoid import arithmetic, sigmoid

__all__ = ["Arguments", "Gradients", "allocate_gradients", "fuse", "fuse_backward", "load_weights", "mix"]


@triton.jit
def load_weights(dff_weight, aa_weight, c, C):
    """Load the three weights of each channel: the logits' difference of X_c, that of X_s, and AA's."""
    in_c = c < C
    c_0 = tl.load(dff_weight + c, in_c, 0.0).to(tl.float32)
    s_0 = tl.load(dff_weight + C + c, in_c, 0.0).to(tl.float32)
    c_1 = tl.load(dff_weight + 2 * C + c, in_c, 0.0).to(tl.float32)
    s_1 = tl.load(dff_weight + 3 * C + c, in_c, 0.0).to(tl.float32)
    return c_0 - c_1, s_0 - s_1, tl.load(aa_weight + c, in_c, 0.0).to(tl.float32)


@triton.jit
def mix(logit, of_c, of_s, dff_bias, aa_bias, ARITHMETIC: tl.constexpr):
    """Compute [w₀ ; w₁] = softmax of two logits, from their difference, and α = σ(w₀ of_c + w₁ of_s + bias).

    `logit` is the difference without the biases. If it is infinite, w₀ and w₁ are NaN, as in a softmax.
    """
    logit += tl.load(dff_bias).to(tl.float32) - tl.load(dff_bias + 1).to(tl.float32)
    logit += 0.0 * logit
    FORM: tl.constexpr = 1 if ARITHMETIC > 1 else ARITHMETIC
    w_0, w_1 = sigmoid(logit, FORM), sigmoid(-logit, FORM)
    return w_0, w_1, sigmoid(w_0 * of_c + w_1 * of_s + tl.load(aa_bias).to(tl.float32), FORM)


@triton.jit
def gate(P, of_pixel, F, in_c, ARITHMETIC: tl.constexpr, WHOLE: tl.constexpr):
    """Compute h and g of a pixel's channels; 0 beyond the last, where an infinite product would give NaN."""
    h = sigmoid(tl.sum(P * of_pixel[:, None], 0), ARITHMETIC)
    g = sigmoid(F * h, ARITHMETIC)
    if not WHOLE:
        h, g = tl.where(in_c, h, 0.0), tl.where(in_c, g, 0.0)
    return h, g


@triton.jit
def fuse_kernel(
    x,  # (B, N, C)
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
    N,
    step_m,
    step_p,
    pixels,  # pixels that a program walks
    M: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    WHOLE: tl.constexpr,  # C == BLOCK_C
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Compute y = α (w₀ + w₁ g) X."""
    b, first, end = pixels_of(N, pixels)
    c, m = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_M)
    in_c, in_m = c < C, m < M
    s = tl.load(scale + b * C + c, in_c, 0.0).to(tl.float32)
    P = tl.load(project + m[:, None] * C + c[None, :], in_m[:, None] & in_c[None, :], 0.0).to(tl.float32)
    delta_c, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
    x += b * (N * C) + c
    y += b * (N * C) + c
    multi += b * N
    product += b * (M * N) + m * step_m
    for p in range(first, end):
        X = s * tl.load(x + p * C, in_c, 0.0).to(tl.float32)
        F = tl.load(multi + p).to(tl.float32)
        of_pixel = tl.load(product + p * step_p, in_m, 0.0).to(tl.float32)
        _, g = gate(P, of_pixel, F, in_c, ARITHMETIC, WHOLE)
        X_s = g * X
        logit = tl.sum(delta_c * X + delta_s * X_s, 0)
        w_0, w_1, alpha = mix(logit, tl.sum(a * X, 0), tl.sum(a * X_s, 0), dff_bias, aa_bias, ARITHMETIC)
        tl.store(y + p * C, alpha * w_0 * X + alpha * w_1 * X_s, in_c)


@triton.jit
def fuse_backward_kernel(
    x,  # (B, N, C)
    scale,  # (B, C)
    multi,  # (B, N)
    product,  # (B, M, N), its maps step_m apart, its pixels step_p
    project,  # (M, C)
    dff_weight,  # (2, 2C)
    dff_bias,  # (2,)
    aa_weight,  # (C,)
    aa_bias,  # (1,)
    dy,  # as x
    dx,  # as x
    d_multi,  # (B, N)
    d_product,  # as product
    d_scale,  # (B, parts of N, C)
    d_weights,  # (programs, 3, C): of the logits' difference of X_c and of X_s, and of a
    d_project,  # (programs, M, C)
    d_biases,  # (programs, 2)
    B,
    C,
    N,
    step_m,
    step_p,
    pixels,  # pixels that a program walks before it takes the next part of an image
    programs,
    M: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    WHOLE: tl.constexpr,  # C == BLOCK_C
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Compute all gradients of y; those of weights are sums over this program's pixels."""
    program, parts = tl.program_id(0).to(tl.int64), tl.cdiv(N, pixels)
    c, m = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_M)
    in_c, in_m = c < C, m < M
    P = tl.load(project + m[:, None] * C + c[None, :], in_m[:, None] & in_c[None, :], 0.0).to(tl.float32)
    delta_c, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
    d_c, d_s = tl.zeros([BLOCK_C], tl.float32), tl.zeros([BLOCK_C], tl.float32)
    d_a = tl.zeros([BLOCK_C], tl.float32)
    d_P = tl.zeros([BLOCK_M, BLOCK_C], tl.float32)
    of_logit, of_beta = 0.0, 0.0
    for item in range(program, B * parts, programs):
        b = item // parts
        first = (item % parts) * pixels
        s = tl.load(scale + b * C + c, in_c, 0.0).to(tl.float32)
        d_A = tl.zeros([BLOCK_C], tl.float32)
        for p in range(first, tl.minimum(first + pixels, N)):
            at = b * (N * C) + p * C + c
            tile = tl.load(x + at, in_c, 0.0).to(tl.float32)
            d = tl.load(dy + at, in_c, 0.0).to(tl.float32)
            F = tl.load(multi + b * N + p).to(tl.float32)
            of_map = b * (M * N) + m * step_m + p * step_p
            of_pixel = tl.load(product + of_map, in_m, 0.0).to(tl.float32)
            h, g = gate(P, of_pixel, F, in_c, ARITHMETIC, WHOLE)
            X = s * tile
            X_s = g * X
            of_c, of_s = tl.sum(a * X, 0), tl.sum(a * X_s, 0)
            dy_c, dy_s = tl.sum(d * X, 0), tl.sum(d * X_s, 0)
            logit = tl.sum(delta_c * X + delta_s * X_s, 0)
            w_0, w_1, alpha = mix(logit, of_c, of_s, dff_bias, aa_bias, ARITHMETIC)
            d_beta = (w_0 * dy_c + w_1 * dy_s) * alpha * (1 - alpha)
            d_l = w_0 * w_1 * (alpha * (dy_c - dy_s) + d_beta * (of_c - of_s))
            e_0, e_1 = d_beta * w_0, d_beta * w_1
            u_s = d_l * delta_s + e_1 * a
            d_X = alpha * (w_0 + w_1 * g) * d + d_l * delta_c + e_0 * a + g * u_s
            tl.store(dx + at, s * d_X, in_c)
            d_q = X * (alpha * w_1 * d + u_s) * g * (1 - g)
            tl.store(d_multi + b * N + p, tl.sum(d_q * h, 0))
            d_logits = d_q * F * h * (1 - h)
            tl.store(d_product + of_map, tl.sum(P * d_logits[None, :], 1), in_m)
            d_A += tile * d_X
            d_c += d_l * X
            d_s += d_l * X_s
            d_a += e_0 * X + e_1 * X_s
            d_P += of_pixel[:, None] * d_logits[None, :]
            of_logit += d_l
            of_beta += d_beta
        tl.store(d_scale + item * C + c, d_A, in_c)
    to = d_weights + program * (3 * C) + c
    tl.store(to, d_c, in_c)
    tl.store(to + C, d_s, in_c)
    tl.store(to + 2 * C, d_a, in_c)
    to = d_project + program * (M * C) + m[:, None] * C + c[None, :]
    tl.store(to, d_P, in_m[:, None] & in_c[None, :])
    tl.store(d_biases + 2 * program, of_logit)
    tl.store(d_biases + 2 * program + 1, of_beta)


class Arguments(NamedTuple):
    """What `fuse` takes beside x, checked and dense.

    Attributes:
        step_m: elements between two maps of product.
        step_p: elements between two of its pixels.
        scale: A_c, (B, C).
        multi: F_multi, (B, 1, H, W).
        product: F_inter ⊙ (F_h + F_w), (B, M, H, W).
        project: P, (M, C).
        dff_weight: (2, 2C).
        dff_bias: (2,).
        aa_weight: (C,).
        aa_bias: (1,).
    """

    step_m: int
    step_p: int
    scale: Tensor
    multi: Tensor
    product: Tensor
    project: Tensor
    dff_weight: Tensor
    dff_bias: Tensor
    aa_weight: Tensor
    aa_bias: Tensor

    @property
    def tensors(self) -> tuple[Any, ...]:
        """The tensors, in the order of the kernels' arguments."""
        return self[2:]

    @property
    def mid(self) -> int:
        """The number of maps M of product."""
        return len(self.project)


class Gradients(NamedTuple):
    """The gradients of `fuse`: those of weights summed up, in float32.

    Attributes:
        x: as x.
        scale: (B, C).
        multi: (B, 1, H, W).
        product: as product.
        project: (C, M).
        of_channels: (3, C): of the logits' difference of X_c and of X_s, and of AA's weight.
        of_biases: (2,): of the logits' difference, and of AA's bias.
    """

    x: Tensor
    scale: Tensor
    multi: Tensor
    product: Tensor
    project: Tensor
    of_channels: Tensor
    of_biases: Tensor


def fuse(x: Tensor, given: Arguments) -> Tensor:
    """Return the output of `fuse` for x in channels_last, of at most 4096 channels."""
    B, C, H, W = x.shape
    whole = maps.power(C)
    y = maps.empty(x.shape, x, x.dtype, True)
    pixels, num_warps = maps.pixels_of_program(x.shape, 256)
    if B:
        with maps.device_of(x):
            fuse_kernel[(B * maps.blocks(H * W, pixels),)](
                x, *given.tensors, y, C, H * W, given.step_m, given.step_p, pixels,
                given.mid, arithmetic(x), whole == C, whole, maps.power(given.mid), num_warps=num_warps,
            )  # fmt: skip
    return y


def allocate_gradients(x: Tensor, given: Arguments, channels_last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Allocate the gradients of x, multi and product, which kernels write whole."""
    by_place = given.step_m == 1 and given.step_p == given.mid
    return (
        maps.empty(x.shape, x, x.dtype, channels_last),
        maps.empty(given.multi.shape, x, given.multi.dtype),
        maps.empty(given.product.shape, x, given.product.dtype, by_place),
    )


def fuse_backward(x: Tensor, given: Arguments, dy: Tensor) -> Gradients:
    """Return the gradients of `fuse` for x and dy in channels_last."""
    B, C, H, W = x.shape
    M, whole = given.mid, maps.power(C)
    pixels, num_warps = maps.pixels_of_program(x.shape, 128, least=16)
    parts = maps.blocks(H * W, pixels)
    programs = min(B * parts, maps.blocks(8 * maps.FEW, num_warps))
    dx, d_multi, d_product = allocate_gradients(x, given, True)
    d_scale, d_weights = maps.empty((B, parts, C), x), maps.empty((programs, 3, C), x)
    d_project, d_biases = maps.empty((programs, M, C), x), maps.empty((programs, 2), x)
    with maps.device_of(x):
        fuse_backward_kernel[(programs,)](
            x, *given.tensors, dy, dx, d_multi, d_product, d_scale, d_weights, d_project, d_biases,
            B, C, H * W, given.step_m, given.step_p, pixels, programs,
            M, arithmetic(x), whole == C, whole, maps.power(M), num_warps=num_warps,
        )  # fmt: skip
    sums = d_project.sum(0).t(), d_weights.sum(0), d_biases.sum(0)
    return Gradients(dx, d_scale.sum(1), d_multi, d_product, *sums)
