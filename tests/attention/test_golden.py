"""A value worked out by hand for every mechanism: 2 channels on a 1×2 map, weights set to simple numbers.

Logits are multiples of ln 3, because σ(ln 3) = 3/4 and σ(-ln 3) = 1/4. Batch norms run in eval with mean 0,
variance 1 and no epsilon, so they change nothing. Of a spatial kernel only the middle is not 0. GELU(10) is
10 and GELU(-10) is 0, to sixteen digits.
"""

import math

import pytest
import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from foveate import create_attention, list_attention
from foveate.attention.norm import AnySizeBatchNorm2d

LN3 = math.log(3)

Rows = list[list[float]]


def build(name: str, channels: int = 2, **options) -> nn.Module:
    """Build the mechanism in float64 and eval, with exact norms and all weights 0."""
    module = create_attention(name, channels, **options).double().eval()
    for part in module.modules():
        if isinstance(part, AnySizeBatchNorm2d | LayerNorm2d):
            part.eps = 0.0
        elif isinstance(part, nn.Conv1d | nn.Conv2d):
            for parameter in part.parameters():
                nn.init.zeros_(parameter)
    return module


@torch.no_grad()
def put(conv: nn.Conv2d, middle: Rows, bias: list[float] | None = None) -> None:
    """Set the middle of the kernel, (out, in per group), and the bias."""
    height, width = conv.kernel_size
    conv.weight[:, :, height // 2, width // 2] = torch.tensor(middle, dtype=conv.weight.dtype)
    if bias is not None:
        conv.bias.copy_(torch.tensor(bias))


def run(module: nn.Module, x: Rows) -> Tensor:
    """Apply the module to one image of 1×2 pixels, given and returned a channel a row."""
    with torch.no_grad():
        return module(torch.tensor(x, dtype=torch.float64)[None, :, None, :])[0, :, 0, :]


def check(module: nn.Module, x: Rows, expected: Rows) -> None:
    torch.testing.assert_close(run(module, x), torch.tensor(expected, dtype=torch.float64))


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


@pytest.mark.parametrize("name", list_attention())
def test_every_mechanism_has_a_golden_value(name):
    assert f"test_{name}" in globals()
