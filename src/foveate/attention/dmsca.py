"""Dynamic multi-scale channel-spatial attention: Zong et al., "DMSCA", Scientific Reports 16, 8044 (2026).

doi 10.1038/s41598-026-37546-3. Six parts, each a class below with its equation. What the article does not
specify is marked "chosen", and was chosen so that the cost on ResNet-50 is the one that the article states.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foveate.attention import options
from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.errors import RequestError
from foveate.kernels import fast_paths

FLOAT16_MAX = torch.finfo(torch.float16).max


class GCE(nn.Module):
    """Global context encoder, f = W₂ · ReLU(W₁ · (GAP(X) + GMP(X))): (B, C, H, W) -> (B, C, 1, 1).

    W₁: C -> C/r, W₂: C/r -> C. Chosen: no biases.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = options.hidden_channels(channels, reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )

    def encode(self, mean: Tensor, maximum: Tensor) -> Tensor:
        """Return f from GAP(X) and GMP(X), each (B, C, 1, 1)."""
        return self.mlp(mean + maximum)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each channel of x."""
        return self.encode(x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True))


class TCA(nn.Module):
    """Temperature-controlled channel attention, A_c = σ(f / τ), X_c = A_c ⊙ X.

    τ is one learnable scalar per module. Chosen: it is exp(log_tau), so that it stays positive, and starts at
    exactly 1. A `temperature` fixes it instead; with 1, A_c = σ(f).
    """

    def __init__(self, temperature: float | None) -> None:
        super().__init__()
        if temperature is not None:
            options.check_positive("temperature", temperature, ", or None to learn it")
        self.temperature = temperature
        if temperature is None:
            self.log_tau = nn.Parameter(torch.zeros(()))

    def weights(self, f: Tensor) -> Tensor:
        """Return A_c from f, both (B, C, 1, 1)."""
        tau = intermediate("tau", self.log_tau.exp() if self.temperature is None else self.temperature)
        return intermediate("A_c", torch.sigmoid(f / tau))

    def learned_numbers(self) -> dict[str, float]:
        """Return what was learned as a few numbers by name; training records them after each epoch."""
        return {"tau": self.log_tau.exp().item()} if self.temperature is None else {}

    def forward(self, f: Tensor, x: Tensor) -> Tensor:
        """Weight the channels of x (B, C, H, W) by f (B, C, 1, 1)."""
        return x * self.weights(f)


class MSCE(nn.Module):
    """Multi-scale spatial context encoder: (B, C, H, W) -> (B, 1, H, W).

    S = [mean over channels of X_c ; max over channels of X_c]; L_i = ReLU(BN(Conv_{k_i×k_i}(S))), 2 -> 1;
    F_multi = (1/n) Σ L_i.
    """

    def __init__(self, kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2, 1, k, padding=k // 2, bias=False), AnySizeBatchNorm2d(1), nn.ReLU())
            for k in options.check_kernel_sizes("kernel_sizes", kernel_sizes)
        )

    def encode(self, s: Tensor) -> Tensor:
        """Return F_multi (B, 1, H, W) from s, which is S of the equation, (B, 2, H, W)."""
        return self.combine([branch(s) for branch in self.branches])

    def combine(self, scales: list[Tensor]) -> Tensor:
        """Return F_multi from all L_i, each (B, 1, H, W)."""
        return intermediate("F_multi", torch.stack(scales).mean(dim=0))

    def forward(self, x_c: Tensor) -> Tensor:
        """Return the spatial context of each position of x_c at several scales."""
        return self.encode(torch.cat([x_c.mean(dim=1, keepdim=True), x_c.amax(dim=1, keepdim=True)], dim=1))


class DII(nn.Module):
    """Directional information interaction: (B, C, H, W) -> (B, C, H, W).

    Z_h = mean over width of X_c, Z_w = mean over height of X_c;
    F_h = BN(Conv1×1(Z_h)), F_w = BN(Conv1×1(Z_w)), C -> C_mid;
    F_inter = ReLU(BN(Conv([F_h expanded ; F_w expanded]))), 2 C_mid -> C_mid;
    A_dir = σ(P(F_inter ⊙ F_h) + P(F_inter ⊙ F_w)), P: C_mid -> C.

    Chosen: C_mid = 8; both directions share the 1×1 and its batch norm, which sees them as one axis of length
    H + W, as in Coordinate Attention; the interaction is 3×3; P is shared and has no bias, so that its two
    terms are P(F_inter ⊙ (F_h + F_w)). In float16 that product is clamped to finite numbers.
    """

    def __init__(self, channels: int, mid_channels: int) -> None:
        super().__init__()
        options.check_count("mid_channels", mid_channels)
        self.embed = nn.Sequential(
            nn.Conv2d(channels, mid_channels, 1, bias=False), AnySizeBatchNorm2d(mid_channels)
        )
        self.interact = nn.Sequential(
            nn.Conv2d(2 * mid_channels, mid_channels, 3, padding=1, bias=False),
            AnySizeBatchNorm2d(mid_channels),
            nn.ReLU(),
        )
        self.project = nn.Conv2d(mid_channels, channels, 1, bias=False)

    def interaction(self, z_h: Tensor, z_w: Tensor) -> Tensor:
        """Return F_inter ⊙ (F_h + F_w), (B, C_mid, H, W), from Z_h (B, C, H, 1) and Z_w (B, C, W, 1)."""
        H, W = z_h.shape[2], z_w.shape[2]
        F_h, F_w = self.directions(z_h, z_w)
        F_inter = self.interact(torch.cat([F_h.expand(-1, -1, -1, W), F_w.expand(-1, -1, H, -1)], dim=1))
        return self.weigh(F_inter, F_h, F_w)

    def directions(self, z_h: Tensor, z_w: Tensor) -> tuple[Tensor, Tensor]:
        """Return F_h (B, C_mid, H, 1) and F_w (B, C_mid, 1, W)."""
        H, W = z_h.shape[2], z_w.shape[2]
        F_h, F_w = self.embed(torch.cat([z_h, z_w], dim=2)).split([H, W], dim=2)
        return intermediate("F_h", F_h), intermediate("F_w", F_w.transpose(2, 3))

    def weigh(self, inter: Tensor, f_h: Tensor, f_w: Tensor) -> Tensor:
        """Return F_inter ⊙ (F_h + F_w), (B, C_mid, H, W)."""
        product = inter * (f_h + f_w)
        if product.dtype == torch.float16:
            # It grows with the square of the activations: beyond 256 it can be inf, and P would give NaN.
            product = product.clamp(-FLOAT16_MAX, FLOAT16_MAX)
        return product

    def forward(self, x_c: Tensor) -> Tensor:
        """Return A_dir: a weight of each element of x_c from its row, its column and their interaction."""
        Z_h = x_c.mean(dim=3, keepdim=True)
        Z_w = x_c.mean(dim=2, keepdim=True).transpose(2, 3)
        return intermediate("A_dir", torch.sigmoid(self.project(self.interaction(Z_h, Z_w))))


class DFF(nn.Module):
    """Dynamic feature fusion, X_out = w₀ ⊙ X_c + w₁ ⊙ X_s: (B, C, H, W) twice -> (B, C, H, W).

    [w₀ ; w₁] = softmax over the two of Conv1×1([X_c ; X_s]), 2C -> 2, per pixel. Chosen: with a bias.
    The article compares initial weights without naming them. `fusion_init` is the initial w₀ of all pixels,
    set by a kernel of zeros and the biases ln w₀ and ln(1 - w₀); None is PyTorch's own initialisation.
    """

    def __init__(self, channels: int, fusion_init: float | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, 2, 1)
        if fusion_init is not None:
            w_0 = options.check_share("fusion_init", fusion_init)
            nn.init.zeros_(self.conv.weight)
            self.conv.bias = nn.Parameter(torch.tensor([w_0, 1 - w_0]).log())

    def forward(self, x_c: Tensor, x_s: Tensor) -> Tensor:
        """Fuse the channel-refined x_c and the spatially refined x_s."""
        weights = self.conv(torch.cat([x_c, x_s], dim=1)).softmax(dim=1)
        w_0, w_1 = weights.to(x_c.dtype).split(1, dim=1)  # CUDA's autocast computes a softmax in float32
        return intermediate("w_0", w_0) * x_c + intermediate("w_1", w_1) * x_s


class AA(nn.Module):
    """Adaptive activation, X_final = α ⊙ X_out with α = σ(Conv1×1(X_out) + b), C -> 1, no batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x_out: Tensor) -> Tensor:
        """Weight the positions of x_out (B, C, H, W)."""
        alpha = intermediate("alpha", torch.sigmoid(self.conv(x_out)))
        return x_out * alpha


class DMSCA(nn.Module):
    """The six parts in sequence, (B, C, H, W) -> (B, C, H, W).

    X_s = X_c ⊙ σ(F_multi ⊙ A_dir). Chosen: the article's overview has a sigmoid over the fused spatial map,
    and its detail section weights F_multi by A_dir; this does both.

    Options: `reduction` r of the GCE, `kernel_sizes` of the MSCE, `mid_channels` C_mid of the DII, a
    fixed `temperature` for τ (None: it is learned; 1: no TCA, A_c = σ(f)), `fusion_init` of the DFF.

    `gce`, `msce`, `dii`, `dff` and `aa` set to False exclude a part, with its weights and its work. Chosen,
    as the article does not say what replaces it: without the GCE, X_c = X; an absent factor of F_multi ⊙
    A_dir is 1, and without both factors X_out = X_c; without the DFF, X_out = X_s; without the AA, X_final =
    X_out.

    Raises RequestError for an invalid value, an option of an excluded part, and too few parts.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel_sizes: Sequence[int] = (3, 5, 7),
        mid_channels: int = 8,
        temperature: float | None = None,
        *,
        gce: bool = True,
        msce: bool = True,
        dii: bool = True,
        dff: bool = True,
        aa: bool = True,
        fusion_init: float | None = None,
    ) -> None:
        super().__init__()
        options.check_count("channels", channels)
        options.check_part("gce", gce, reduction=(reduction, 16), temperature=(temperature, None))
        options.check_part("msce", msce, kernel_sizes=(kernel_sizes, (3, 5, 7)))
        options.check_part("dii", dii, mid_channels=(mid_channels, 8))
        options.check_part("dff", dff, fusion_init=(fusion_init, None))
        options.check_part("aa", aa)
        if not (gce or msce or dii or aa):
            raise RequestError("all parts of DMSCA are excluded: keep at least one of gce, msce, dii and aa")
        if dff and not (msce or dii):
            raise RequestError(
                "dff fuses X_c with the result of msce and dii, which are excluded: pass dff=False"
            )
        self.gce = GCE(channels, reduction) if gce else None
        self.tca = TCA(temperature) if gce else None
        self.msce = MSCE(kernel_sizes) if msce else None
        self.dii = DII(channels, mid_channels) if dii else None
        self.dff = DFF(channels, fusion_init) if dff else None
        self.aa = AA(channels) if aa else None

    @property
    def excluded(self) -> list[str]:
        """Return the names of the excluded parts; the kernels compute the equations with all parts only."""
        return [part for part in ("gce", "tca", "msce", "dii", "dff", "aa") if getattr(self, part) is None]

    @fast_paths("dmsca")
    def forward(self, x: Tensor) -> Tensor:
        """Refine x by its channels, by its positions and by the fusion of both."""
        X_c = self.tca(self.gce(x), x) if self.gce and self.tca else x
        F_multi = self.msce(X_c) if self.msce else None
        A_dir = self.dii(X_c) if self.dii else None
        factors = [factor for factor in (F_multi, A_dir) if factor is not None]
        X_s = X_c * torch.sigmoid(functools.reduce(torch.mul, factors)) if factors else X_c
        X_out = self.dff(X_c, X_s) if self.dff else X_s
        return self.aa(X_out) if self.aa else X_out
