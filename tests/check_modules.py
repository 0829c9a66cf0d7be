"""Modules as people write them outside of foveate: three that are right, ten broken in known ways."""

import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ALSO_BROKEN", "BROKEN", "RIGHT"]


class GlobalContext(nn.Module):
    """Global context by `in_channels`: a softmax over the positions, a transform, a sum."""

    def __init__(self, in_channels: int, ratio: float = 0.25) -> None:
        super().__init__()
        hidden = max(1, int(in_channels * ratio))
        self.mask = nn.Conv2d(in_channels, 1, 1)
        self.transform = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1),
            nn.LayerNorm([hidden, 1, 1]),
            nn.ReLU(),
            nn.Conv2d(hidden, in_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        weights = self.mask(x).flatten(2).softmax(dim=-1)
        context = torch.einsum("bcn,bn->bc", x.flatten(2), weights.squeeze(1).to(x.dtype))
        return x + self.transform(context[:, :, None, None])


class MixedGate(nn.Module):
    """A gate by `dim` with options: Linear layers, a mixture of pools, a residual that starts at zero."""

    def __init__(self, dim: int, reduction: int = 8, bias: bool = True, act: str = "relu") -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(dim, dim // reduction, bias=bias),
            {"relu": nn.ReLU, "gelu": nn.GELU}[act](),
            nn.Linear(dim // reduction, dim, bias=bias),
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = 0.5 * (F.adaptive_avg_pool2d(x, 1) + F.adaptive_max_pool2d(x, 1)).flatten(1)
        return x + self.gamma * x * torch.sigmoid(self.fc(pooled))[..., None, None]


class Contrast(nn.Module):
    """No parameters: each element is weighted by its distance from the mean of its channel."""

    def forward(self, x: Tensor) -> Tensor:
        distance = (x - x.mean((2, 3), keepdim=True)).abs()
        return x * torch.sigmoid(distance / (1 + distance.mean((2, 3), keepdim=True)))


RIGHT = {
    "in_channels": GlobalContext,
    "dim": MixedGate,
    "parameterless": lambda channels: Contrast(),
}


class BatchSoftmax(nn.Module):
    """The softmax of a 3-D tensor without `dim`, as in copies of A²-Nets, is one over the batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.softmax(self.key(x).flatten(2), dim=0)
        return x + (x.flatten(2) * weights).sum(2)[..., None, None]


class FixedPooling(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(7)
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(self.pool(x)))


class InPlace(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))
        x *= gate
        return x


class NoSigmoid(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1), nn.ReLU(), nn.Conv2d(channels // 4, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3), keepdim=True))


class IdleParameter(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.unused = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class BatchMean(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x.mean((0, 2, 3), keepdim=True)))


class Float32Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.full((1, self.channels, 1, 1), 0.5, dtype=torch.float32, device=x.device)
        return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True))) * scale


class CudaInside(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ones(1).cuda()
        return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True))) * one


class NumpyInside(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc(x.mean((2, 3), keepdim=True)).detach().numpy()
        return x * torch.from_numpy(1 / (1 + np.exp(-gate)))


class SmallBatchNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))


BROKEN = {
    "softmax over the batch": (BatchSoftmax, "batch_independent"),
    "pooling of a fixed size": (FixedPooling, "odd_maps"),
    "input changed in place": (InPlace, "input_unchanged"),
    "gate without a bound": (NoSigmoid, "bounded"),
    "parameter without a gradient": (IdleParameter, "gradients"),
    "statistic over the batch": (BatchMean, "batch_independent"),
    "tensor of a fixed dtype": (Float32Constant, "dtype"),
    "CUDA call inside": (CudaInside, "device"),
    "numpy inside": (NumpyInside, "in_torch"),
    "BatchNorm of one value": (SmallBatchNorm, "batch_of_one"),
}
"""By its cause: the module, and the promise that it breaks."""


class Without(nn.Module):
    """A module without parameters; `f` is its forward."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x)


def channels_first_strides(x: Tensor) -> Tensor:
    """Take the memory of x for a contiguous map's."""
    C, H, W = x.shape[1:]
    return x * torch.sigmoid(x.as_strided(x.shape, (C * H * W, H * W, W, 1)))


class Alternating(nn.Module):
    """The second forward, as under checkpointing, is another function."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * torch.sigmoid(self.calls * self.scale)


class Locked(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return x * torch.sigmoid(x)


class Forgetful(nn.Module):
    """What it learns in training lies in no state dict."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = float(x.mean())
        return x * torch.sigmoid(x - self.mean)


class ReadsValues(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x) if x.mean().item() > 0 else x


ALSO_BROKEN = {
    "shape": lambda channels: Without(lambda x: x[..., 1:]),
    "memory_format": lambda channels: Without(
        lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    ),
    "channels_last": lambda channels: Without(channels_first_strides),
    "deterministic": lambda channels: Without(lambda x: x * F.dropout(torch.ones_like(x))),
    "gradcheck": lambda channels: Without(lambda x: x * torch.sigmoid(x.detach())),
    "finite_full": lambda channels: Without(lambda x: x * torch.exp(x)),
    "finite_bfloat16": lambda channels: Without(lambda x: x * torch.exp(x)),
    "finite_float16": lambda channels: Without(lambda x: x * x.square().mean((1, 2, 3), keepdim=True)),
    "finite_autocast": NoSigmoid,
    "identity": InPlace,
    "checkpointing": Alternating,
    "deepcopy": Locked,
    "pickle": Locked,
    "state_dict": Forgetful,
    "compile": ReadsValues,
    "export": NumpyInside,
    "onnx": NumpyInside,
    "parallel": IdleParameter,
}
"""By the promise that a module breaks: those of which none of the ten above is made."""
