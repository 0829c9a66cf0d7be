"""A value worked out by hand for every mechanism: 2 channels on a small map, weights set to simple numbers.

Logits are multiples of ln 3, because σ(ln 3) = 3/4 and σ(-ln 3) = 1/4. Batch norms run in eval with mean 0,
variance 1 and no epsilon, so they change nothing. Of a spatial kernel only the middle is not 0. GELU(10) is
10 and GELU(-10) is 0, to sixteen digits.
"""

import math

import pytest
import torch
from by_hand import LN3, build, check, put
from torch import nn

from foveate import list_attention


def test_se():
    module = build("se", reduction=2)
    # Means (2, 4); hidden 2 + 4/2 - 1 = 3; logits (ln 3, -ln 3); gates (3/4, 1/4).
    put(module.reduce, [[1, 0.5]], [-1])
    put(module.expand, [[LN3 / 3], [-LN3 / 3]])
    check(module, [[1, 3], [4, 4]], [[0.75, 2.25], [1, 1]])


def test_cbam():
    module = build("cbam", reduction=2)
    # Means (2, 2) and maxima (3, 4) give hidden 1 and 4; logits ±(1 + 4)/5 ln 3; gates (3/4, 1/4).
    put(module.channel.mlp[0], [[1, 1]], [-3])
    put(module.channel.mlp[2], [[LN3 / 5], [-LN3 / 5]])
    # Gated: [.75, 2.25], [1, 0]. Over channels, means (7/8, 9/8) and maxima (1, 9/4). Logits with weights
    # (-32, 28)/27 ln 3: (-28 + 28)/27 = 0 and (-36 + 63)/27 = 1 times ln 3; gates (1/2, 3/4).
    put(module.spatial.conv, [[-32 / 27 * LN3, 28 / 27 * LN3]])
    check(module, [[1, 3], [4, 0]], [[0.375, 1.6875], [0.5, 0]])


def test_eca():
    module = build("eca", channels=4, kernel_size=3)
    # Means (1, 1, 0, 0), beyond the ends 0. A logit is (mean before - mean after) ln 3:
    # (0 - 1, 1 - 0, 1 - 0, 0 - 0) ln 3; gates (1/4, 3/4, 3/4, 1/2).
    with torch.no_grad():
        module.conv.weight.copy_(torch.tensor([LN3, 0, -LN3]))
    check(
        module,
        [[0, 2], [1, 1], [-1, 1], [2, -2]],
        [[0, 0.5], [0.75, 0.75], [-0.75, 0.75], [1, -1]],
    )


def test_ca():
    module = build("ca", channels=1, reduction=1, min_channels=1)
    put(module.embed[0], [[1]])
    # [[1, 3], [5, 7]]: row means (2, 6), column means (3, 5). h-swish: 2 · 5/6 = 5/3, and 6, 3, 5 stay.
    # Rows: (18 - 3 f)/13 ln 3 = ln 3 and 0, gates (3/4, 1/2).
    # Columns: (f - 4) ln 3 = -ln 3 and ln 3, gates (1/4, 3/4).
    put(module.rows, [[-3 * LN3 / 13]], [18 * LN3 / 13])
    put(module.columns, [[LN3]], [-4 * LN3])
    with torch.no_grad():
        y = module(torch.tensor([[1.0, 3.0], [5.0, 7.0]], dtype=torch.float64)[None, None])
    expected = [[1 * 3 / 4 * 1 / 4, 3 * 3 / 4 * 3 / 4], [5 * 1 / 2 * 1 / 4, 7 * 1 / 2 * 3 / 4]]
    torch.testing.assert_close(y[0, 0], torch.tensor(expected, dtype=torch.float64))


def set_channel_mask(module: nn.Module) -> None:
    """For means (2, 4): hidden GELU(5 · 2) = 10, logits ±ln 3, M_c = (3/4, 1/4)."""
    put(module.mlp[0], [[5, 0]])
    put(module.mlp[2], [[LN3 / 10], [-LN3 / 10]])


def set_scpa(module: nn.Module) -> None:
    """For [1, 3], [4, 4] make SCPA give [3.25, 7.25], [5.25, 5.75]."""
    set_channel_mask(module.channel)  # M_c ⊙ X = [.75, 2.25], [1, 1]
    # Maxima (4, 4) and means (2.5, 3.5) over channels: logits (-6 + 5, -6 + 7) ln 3, M_s = (1/4, 3/4),
    # M_s ⊙ X = [.25, 2.25], [1, 3].
    put(module.spatial.conv, [[-1.5 * LN3, 2 * LN3]])
    # First spatial + 2 · second channel = [2.25, 4.25]; second spatial - first channel + 1 = [1.25, 1.75].
    put(module.fuse, [[1, 0, 0, 2], [0, 1, -1, 0]], [0, 1])


def set_sgu(module: nn.Module) -> None:
    """The norm of two channels is -1 and 1: the smaller gets 0 · 1/4 more, the larger 1 · 3/4."""
    put(module.expand, [[10, 0], [0, 10]])
    put(module.reduce, [[0.1, 0], [0, 0.1]])
    put(module.gate, [[LN3], [LN3]])


def test_sgfa_ca():
    module = build("sgfa_ca", reduction=2)
    set_channel_mask(module)
    check(module, [[1, 3], [4, 4]], [[0.75, 2.25], [1, 1]])


def test_scpa():
    module = build("scpa", reduction=2)
    set_scpa(module)
    check(module, [[1, 3], [4, 4]], [[3.25, 7.25], [5.25, 5.75]])


def test_sgu():
    module = build("sgu", expansion=1)
    set_sgu(module)
    check(module, [[1, 6], [3, 2]], [[1, 6.75], [3.75, 2]])


def test_sgfa():
    module = build("sgfa", reduction=2, expansion=1)
    set_scpa(module.scpa)
    set_sgu(module.sgu)
    # SCPA gives [3.25, 7.25], [5.25, 5.75]; the larger channel is the second, then the first.
    check(module, [[1, 3], [4, 4]], [[3.25, 8], [6, 5.75]])


def test_dmsca():
    module = build("dmsca", reduction=2, kernel_sizes=(3, 5), mid_channels=1)
    # GCE: means (2, 2) plus maxima (3, 4) are (5, 6); hidden 5 - 3 = 2; f = (2 ln 3, 0).
    put(module.gce.mlp[0], [[1, -0.5]])
    put(module.gce.mlp[2], [[LN3], [0]])
    # TCA with τ = 2: A_c = (σ(ln 3), σ(0)) = (3/4, 1/2); X_c = [3/4, 9/4], [2, 0].
    nn.init.constant_(module.tca.log_tau, math.log(2))
    # MSCE: means (11/8, 9/8), maxima (2, 9/4). First branch, weights (320, -112)/27 ln 3:
    # (440 - 224)/27 = 8 and (360 - 252)/27 = 4 times ln 3; second branch below 0. F_multi = (4 ln 3, 2 ln 3).
    put(module.msce.branches[0][0], [[320 / 27 * LN3, -112 / 27 * LN3]])
    put(module.msce.branches[1][0], [[0, -1]])
    # DII: Z_h = 3/2, 1 and Z_w = X_c. F_h = 3 - 1 = 2, F_w = (3/2 - 2, 9/2) = (-1/2, 9/2).
    # F_inter = ReLU(F_h - F_w) = (5/2, 0); times F_h + F_w = (3/2, 13/2): (15/4, 0).
    # P = ±4/15 ln 3: A_dir = (σ(ln 3), σ(0)), (σ(-ln 3), σ(0)) = [3/4, 1/2], [1/4, 1/2].
    put(module.dii.embed[0], [[2, -1]])
    put(module.dii.interact[0], [[1, -1]])
    put(module.dii.project, [[4 / 15 * LN3], [-4 / 15 * LN3]])
    # F_multi ⊙ A_dir = [3, 1], [1, 1] times ln 3, σ of it [27/28, 3/4], [3/4, 3/4]:
    # X_s = [81/112, 27/16], [3/2, 0].
    # DFF: logits 4/3 ln 3 times (first of X_c, second of X_s) = (1, 2) ln 3 and (3, 0) ln 3;
    # w = (3, 9)/12 and (27, 1)/28. X_out = [327/448, 999/448], [13/8, 0].
    put(module.dff.conv, [[4 / 3 * LN3, 0, 0, 0], [0, 0, 0, 4 / 3 * LN3]])
    # AA: 16/13 ln 3 · second of X_out - ln 3 = (ln 3, -ln 3); α = (3/4, 1/4).
    put(module.aa.conv, [[0, 16 / 13 * LN3]], [-LN3])
    check(module, [[1, 3], [4, 0]], [[981 / 1792, 999 / 1792], [39 / 32, 0]])


def test_bam():
    module = build("bam", reduction=2)
    # Means (2, 4); hidden 2 + 4/2 - 1 = 3; M_c = (ln 3, -ln 3).
    put(module.channel.mlp[0], [[1, 0.5]], [-1])
    put(module.channel.mlp[2], [[LN3 / 3], [-LN3 / 3]])
    # First - second/2: (-1, 1), ReLU (0, 1); twice plus 1: (1, 3); minus 1: (0, 2). M_s = (0, ln 3).
    put(module.spatial.convs[0], [[1, -0.5]])
    put(module.spatial.convs[2], [[2]], [1])
    put(module.spatial.convs[4], [[1]], [-1])
    put(module.spatial.convs[6], [[LN3 / 2]])
    # M_c + M_s = (ln 3, 2 ln 3), (-ln 3, 0): M = (3/4, 9/10), (1/4, 1/2). F + F ⊗ M:
    check(module, [[1, 3], [4, 4]], [[1 + 3 / 4, 3 + 27 / 10], [4 + 1, 4 + 2]])


def test_simam():
    module = build("simam", e_lambda=1.0)
    # First channel: μ = 2, (t - μ)² = (1, 1, 1, 9), σ² = 12/4 = 3, 4 (σ² + λ) = 16.
    # 1/E = 1/16 + 1/2 = 9/16 and 9/16 + 1/2 = 17/16. Second: all at the mean, 1/E = 1/2.
    low, high, flat = (1 / (1 + math.exp(-z)) for z in (9 / 16, 17 / 16, 1 / 2))
    check(
        module,
        [[1, 1, 1, 5], [2, 2, 2, 2]],
        [[low, low, low, 5 * high], [2 * flat, 2 * flat, 2 * flat, 2 * flat]],
    )


def test_gam():
    module = build("gam", reduction=2)
    # First + second - 3: hidden (2, 0). Logits ±hidden/2 ln 3: gates (3/4, 1/2), (1/4, 1/2).
    put(module.mlp[0], [[1, 1]], [-3])
    put(module.mlp[2], [[LN3 / 2], [-LN3 / 2]])
    # F₂ = [3/4, 3/2], [1, 0]. Twice the second - 4/3 of the first: (1, -2), ReLU (1, 0).
    # Logits (ln 3, 0), (-ln 3, 0): gates (3/4, 1/2), (1/4, 1/2).
    put(module.spatial[0], [[-4 / 3, 2]])
    put(module.spatial[3], [[LN3], [-LN3]])
    check(module, [[1, 3], [4, 0]], [[9 / 16, 3 / 4], [1 / 4, 0]])


def test_a2():
    module = build("a2", reduction=1)
    # A = X. B over the positions: logits (1/2, 3/2) ln 3 and (1, 0) ln 3 give (1/4, 3/4) and (3/4, 1/4).
    put(module.phi, [[1, 0], [0, 1]])
    put(module.theta, [[LN3 / 2, 0], [0, LN3 / 4]])
    # G = A Bᵀ = [1/4 + 9/4, 3/4 + 3/4], [4/4 + 0, 12/4 + 0] = [5/2, 3/2], [1, 3].
    # V over the features: logits (-ln 3, 0) at the first position, (ln 3, 0) at the second: columns
    # (1/4, 3/4) and (3/4, 1/4).
    put(module.rho, [[LN3, 0], [0, 0]], [-2 * LN3, 0])
    # Z = G V: first position (5/8 + 9/8, 1/4 + 9/4) = (7/4, 5/2),
    # second (15/8 + 3/8, 3/4 + 3/4) = (9/4, 3/2).
    # First + twice the second = (27/4, 21/4); 1 - second = (-3/2, -1/2); each added to X.
    put(module.expand, [[1, 2], [0, -1]], [0, 1])
    check(module, [[1, 3], [4, 0]], [[1 + 27 / 4, 3 + 21 / 4], [4 - 3 / 2, 0 - 1 / 2]])


def test_triplet():
    module = build("triplet")
    # Over the height of 1 maximum and mean are X: logits (2 X - X - 2) ln 3 = (-1, 1), (0, -2) times ln 3;
    # gates (1/4, 3/4), (1/2, 1/10); gated [1/4, 9/4], [1, 0].
    put(module.channel_width.conv, [[2 * LN3, -LN3]])
    nn.init.constant_(module.channel_width.norm.bias, -2 * LN3)
    # Over the width maxima (3, 2), means (2, 1): (-9 + 10, -6 + 5) ln 3; gates (3/4, 1/4);
    # gated [3/4, 9/4], [1/2, 0].
    put(module.height_channel.conv, [[-3 * LN3, 5 * LN3]])
    # Over the channels maxima (2, 3), means (3/2, 3/2): (2 - 2, 3 - 2) ln 3; gates (1/2, 3/4);
    # gated [1/2, 9/4], [1, 0].
    put(module.height_width.conv, [[LN3, -4 / 3 * LN3]])
    # Sums (1/4 + 3/4 + 1/2, 27/4), (1 + 1/2 + 1, 0); a third of them:
    check(module, [[1, 3], [2, 0]], [[1 / 2, 9 / 4], [5 / 6, 0]])


def test_nam():
    module = build("nam")
    with torch.no_grad():
        module.norm.weight.copy_(torch.tensor([1, -3]))
        module.norm.bias.copy_(torch.tensor([0, 4 / 3 * LN3]))
    # W_γ = (1/4, 3/4). First: x/4 = (ln 3, -ln 3), gates (3/4, 1/4).
    # Second: 3/4 (-3 x + 4/3 ln 3) = -9/4 x + ln 3 = (-ln 3, 0), gates (1/4, 1/2).
    check(
        module,
        [[4 * LN3, -4 * LN3], [8 / 9 * LN3, 4 / 9 * LN3]],
        [[3 * LN3, -LN3], [2 / 9 * LN3, 2 / 9 * LN3]],
    )


@pytest.mark.parametrize("name", list_attention())
def test_every_mechanism_has_a_golden_value(name):
    assert f"test_{name}" in globals()
