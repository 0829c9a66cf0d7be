"""Modules as people write them, in files; tests of several folders share them."""

from pathlib import Path

__all__ = ["MINE", "write_mine"]

MINE = '''
import torch
from torch import nn

from helper import SCALE


class Mine(nn.Module):
    """A gate for each channel, x · σ(s · W mean(x))."""

    def __init__(self, dim, reduction=4, bias: bool = True, spatial: bool = False):
        super().__init__()
        self.down = nn.Conv2d(dim, dim // reduction, 1, bias=bias)
        self.up = nn.Conv2d(dim // reduction, dim, 1, bias=bias)
        self.place = nn.Conv2d(dim, 1, 1) if spatial else None

    def forward(self, x):
        y = x * torch.sigmoid(SCALE * self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))
        return y if self.place is None else y * torch.sigmoid(self.place(y))


class Bare(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


class Named(nn.Module):
    def __init__(self, groups=2, *, inplanes):
        super().__init__()
        self.conv = nn.Conv2d(inplanes, inplanes, 1, groups=groups)

    def forward(self, x):
        return self.conv(x)


class First(nn.Module):
    def __init__(self, n, k=3):
        super().__init__()
        self.conv = nn.Conv2d(n, n, k, padding=k // 2)

    def forward(self, x):
        return self.conv(x)


class Open(nn.Module):
    def __init__(self, channels, **kwargs):
        super().__init__()
        self.given = kwargs

    def forward(self, x):
        return x


class TwoWidths(nn.Module):
    def __init__(self, inp, oup, groups):
        super().__init__()


class Pair(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x, x


class Pooled(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


class Failing(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, groups=channels + 1)


class NoModule:
    pass


def make(channels, kernel_size=1):
    return First(channels, kernel_size)


def make_nothing(channels):
    return "nothing"


NUMBER = 5
'''


def write_mine(folder: Path, scale: float = 1.0) -> Path:
    """Write mine.py, and helper.py beside it, into `folder`, and return the path of mine.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    (folder / "helper.py").write_text(f"SCALE = {scale}\n")
    return folder / "mine.py"
