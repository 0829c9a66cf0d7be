"""Built-ins as they circulate: code in the style of others, with the mistakes that it is known for."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Channel(nn.Module):
    """CBAM's channel gate over Linear layers."""

    def __init__(self, channels: int, reduction: int = 16, shared: bool = True, pools: str = "am") -> None:
        super().__init__()
        self.pools = pools
        self.fc1 = self._mlp(channels, reduction)
        self.fc2 = self.fc1 if shared else self._mlp(channels, reduction)

    @staticmethod
    def _mlp(channels: int, reduction: int) -> nn.Sequential:
        hidden = channels // reduction
        return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))

    def scores(self, x: Tensor) -> Tensor:
        branches = []
        if "a" in self.pools:
            branches.append(self.fc1(F.adaptive_avg_pool2d(x, 1).flatten(1)))
        if "m" in self.pools:
            branches.append(self.fc2(F.adaptive_max_pool2d(x, 1).flatten(1)))
        return torch.stack(branches).sum(0)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.scores(x))


class Spatial(nn.Module):
    """CBAM's spatial gate."""

    def __init__(
        self, kernel: int = 7, swapped: bool = False, bias: bool = False, norm: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=bias)
        self.bn = nn.BatchNorm2d(1) if norm else nn.Identity()
        self.swapped = swapped

    def forward(self, x: Tensor) -> Tensor:
        maps = [torch.mean(x, dim=1, keepdim=True), torch.max(x, dim=1, keepdim=True)[0]]
        return torch.sigmoid(self.bn(self.conv(torch.cat(maps[::-1] if self.swapped else maps, dim=1))))


class MyCBAM(nn.Module):
    """CBAM, spatial part defined first, with whatever makes copies differ."""

    def __init__(
        self,
        channels: int,
        order: str = "cs",
        sigmoid: bool = True,
        spatial: dict | None = None,
        **channel: object,
    ) -> None:
        super().__init__()
        self.sa = Spatial(**(spatial or {}))
        self.ca = Channel(channels, **channel)
        self.order, self.sigmoid = order, sigmoid

    def forward(self, x: Tensor) -> Tensor:
        for part in self.order:
            gate = self.sa if part == "s" else self.ca if self.sigmoid else self.ca.scores
            x = gate(x) * x
        return x


class MySE(nn.Module):
    def __init__(self, channels: int, reduction: int = 16, bias: bool = False, sigmoid: bool = True) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(channels // reduction, channels) * 0.1)
        self.w2 = nn.Parameter(torch.randn(channels, channels // reduction) * 0.1)
        self.b1 = nn.Parameter(torch.zeros(channels // reduction)) if bias else None
        self.b2 = nn.Parameter(torch.zeros(channels)) if bias else None
        self.sigmoid = sigmoid

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(F.relu(F.linear(x.mean((2, 3)), self.w1, self.b1)), self.w2, self.b2)
        return x * (torch.sigmoid(y) if self.sigmoid else y)[..., None, None]


class MyECA(nn.Module):
    def __init__(self, channels: int, k_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size=k_size, padding=(k_size - 1) // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * torch.sigmoid(y).expand_as(x)


class MySimAM(nn.Module):
    """The listing of the paper."""

    def __init__(self, channels: int, e_lambda: float = 1e-4) -> None:
        super().__init__()
        self.e_lambda = e_lambda

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[2] * x.shape[3] - 1
        d = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        y = d / (4 * (d.sum(dim=[2, 3], keepdim=True) / n + self.e_lambda)) + 0.5
        return x * torch.sigmoid(y)


class MyBAM(nn.Module):
    """The authors' layers: norms between them, biases everywhere."""

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        dilation: int = 4,
        multiplied: bool = False,
        depth: tuple[int, int] = (1, 2),
    ) -> None:
        super().__init__()
        hidden = channels // reduction
        mlp: list[nn.Module] = []
        for before, after in itertools.pairwise([channels, *[hidden] * depth[0]]):
            mlp += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.channel = nn.Sequential(*mlp, nn.Linear(hidden, channels))
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        for _ in range(depth[1]):
            layers += [
                nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
                nn.BatchNorm2d(hidden),
                nn.ReLU(),
            ]
        self.spatial = nn.Sequential(*layers, nn.Conv2d(hidden, 1, 1))
        self.multiplied = multiplied

    def forward(self, x: Tensor) -> Tensor:
        c, s = self.channel(x.mean((2, 3)))[..., None, None], self.spatial(x)
        return (1 + torch.sigmoid(c * s if self.multiplied else c + s)) * x


class MyCA(nn.Module):
    """The authors' names; a bias before the norm, as they have it."""

    def __init__(
        self, inp: int, reduction: int = 32, act: type[nn.Module] = nn.Hardswish, bias: bool = True
    ) -> None:
        super().__init__()
        mip = max(8, inp // reduction)
        self.conv1 = nn.Conv2d(inp, mip, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(mip)
        self.act = act()
        self.conv_h, self.conv_w = nn.Conv2d(mip, inp, 1), nn.Conv2d(mip, inp, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        y = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)], dim=2)
        y_h, y_w = torch.split(self.act(self.bn1(self.conv1(y))), [h, w], dim=2)
        return x * self.conv_w(y_w.permute(0, 1, 3, 2)).sigmoid() * self.conv_h(y_h).sigmoid()


class MyA2(nn.Module):
    """Without `dim` the softmax of a 3-D tensor runs over the batch; nothing is added to the output."""

    def __init__(self, in_channels: int, right: bool = False) -> None:
        super().__init__()
        m = in_channels // 2
        self.convA, self.convB, self.convV = (nn.Conv2d(in_channels, m, 1) for _ in range(3))
        self.conv_reconstruct = nn.Conv2d(m, in_channels, 1)
        self.right = right

    def forward(self, x: Tensor) -> Tensor:
        A, B, V = self.convA(x).flatten(2), self.convB(x).flatten(2), self.convV(x).flatten(2)
        maps, vectors = F.softmax(B, dim=2 if self.right else 0), F.softmax(V, dim=1 if self.right else 0)
        Z = torch.bmm(torch.bmm(A, maps.permute(0, 2, 1)), vectors).view(x.shape[0], -1, *x.shape[2:])
        y = self.conv_reconstruct(Z)
        return x + y if self.right else y


class Cubic(nn.Module):
    """SE with a gate that no copy is known to have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 16), nn.ReLU(), nn.Linear(channels // 16, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.sigmoid(self.fc(x.mean((2, 3)))) ** 3)[..., None, None]


KERNEL = 2 * int((math.log2(64) + 1) / 4) + 1
"""ECA's own kernel for 64 channels."""
