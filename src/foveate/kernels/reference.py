"""The reference of the passes over a map, in torch: kernels must equal it in outputs and all gradients.

A mechanism whose equations are rearranged needs the whole map only in these; everything else is small. Each
takes x (B, C, H, W) first, and has the same name and arguments in every backend.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["convolve_pair", "fuse", "gate", "pool", "pool_channels", "simam"]


def pool(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the means of rows (B, C, H) and of columns (B, C, W) and the maximum (B, C) of every channel."""
    return x.mean(dim=3), x.mean(dim=2), x.amax(dim=(2, 3))


def pool_channels(x: Tensor, scale: Tensor | None) -> Tensor:
    """Return [mean over channels ; max over channels] of scale ⊙ x, (B, 2, H, W).

    `scale` is (B, C); None stands for 1.
    """
    scaled = x if scale is None else x * scale[:, :, None, None]
    return torch.cat([scaled.mean(dim=1, keepdim=True), scaled.amax(dim=1, keepdim=True)], dim=1)


def gate(
    x: Tensor,
    channels: Tensor | None = None,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """Return x ⊙ channels (B, C) ⊙ rows (B, C, H) ⊙ columns (B, C, W) ⊙ positions (B, 1, H, W).

    Factors that are None are skipped.
    """
    if channels is not None:
        x = x * channels[:, :, None, None]
    if rows is not None:
        x = x * rows[:, :, :, None]
    if columns is not None:
        x = x * columns[:, :, None, :]
    return x if positions is None else x * positions


def convolve_pair(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution (B, 1, H, W) of two maps, x (B, 2, H, W), with `weight` (1, 2, k, k), k odd."""
    return conv2d(x, weight, padding=weight.shape[2] // 2)


def simam(x: Tensor, e_lambda: float) -> Tensor:
    """Return x ⊙ σ((x - μ)² / (4 (σ² + λ)) + ½), μ and σ² the mean and variance of each channel."""
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    return x * torch.sigmoid((x - mean).square() / (4 * (variance + e_lambda)) + 0.5)


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
    """Return DMSCA's output from its small maps, α ⊙ (w₀ + w₁ ⊙ g) ⊙ X_c with X_c = scale ⊙ x.

    g = σ(multi ⊙ σ(project · product)); [w₀ ; w₁] = softmax(dff_weight · [X_c ; g ⊙ X_c] + dff_bias);
    α = σ(aa_weight · (w₀ + w₁ ⊙ g) ⊙ X_c + aa_bias). The weights of DFF and AA are linear in X_c and in
    g ⊙ X_c, so three products with each give all of them.

    | argument   | shape           | what it is                           |
    |------------|-----------------|--------------------------------------|
    | scale      | (B, C)          | A_c                                  |
    | multi      | (B, 1, H, W)    | F_multi                              |
    | product    | (B, M, H, W)    | F_inter ⊙ (F_h + F_w), M = C_mid     |
    | project    | (C, M)          | P                                    |
    | dff_weight | (2, 2C)         | of [X_c ; X_s]                       |
    | dff_bias   | (2,)            |                                      |
    | aa_weight  | (C,)            |                                      |
    | aa_bias    | (1,)            |                                      |
    """
    C = x.shape[1]
    X_c = x * scale[:, :, None, None]
    g = torch.sigmoid(multi * torch.sigmoid(conv2d(product, project[:, :, None, None])))
    of_c = conv2d(X_c, torch.cat([dff_weight[:, :C], aa_weight[None]])[:, :, None, None])
    of_s = conv2d(g * X_c, torch.cat([dff_weight[:, C:], aa_weight[None]])[:, :, None, None])
    logits = of_c[:, :2] + of_s[:, :2] + dff_bias.to(x.dtype)[:, None, None]
    w_0, w_1 = logits.softmax(dim=1).to(x.dtype).split(1, dim=1)
    alpha = torch.sigmoid(w_0 * of_c[:, 2:] + w_1 * of_s[:, 2:] + aa_bias.to(x.dtype))
    return X_c * (alpha * w_0 + alpha * w_1 * g)
