"""ResNets for small images, registered with timm: a 3×3 stem of stride 1 and no max-pool.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385. `cifar_resnet18/34/50`
are the ImageNet networks behind the small stem, as the field trains them on CIFAR; `cifar_resnet8/20` are of
the paper's own CIFAR family of 6n + 2 layers (section 4.2).
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from foveate.models.backbones.arguments import Arguments

__all__ = [
    "CifarResNet",
    "cifar_resnet8",
    "cifar_resnet18",
    "cifar_resnet20",
    "cifar_resnet34",
    "cifar_resnet50",
]


class CifarResNet(ResNet):
    """timm's ResNet behind a 3×3 stride-1 stem without max-pool, for images from 8×8 pixels up.

    The arguments are timm's. Three stages are allowed as well as four. Maps are four times as wide and high
    as those of the ImageNet network at the same depth, as `feature_info` states.
    """

    feature_info: list[Arguments]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = next(module for module in self.conv1.modules() if isinstance(module, nn.Conv2d))
        stem = nn.Conv2d(first.in_channels, self.feature_info[0]["num_chs"], 3, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        self.set_submodule("conv1", stem.to(first.weight))
        self.set_submodule("maxpool", nn.Identity())
        if not hasattr(self, "layer4"):
            self.layer4 = nn.Sequential()  # timm's forward names four
        for info in self.feature_info:
            info["reduction"] = max(info["reduction"] // 4, 1)

    def forward_intermediates(
        self, x: Tensor, indices: int | list[int] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Call the method of timm's ResNet, with `indices` counted over the stages that exist."""
        taken, _ = feature_take_indices(len(self.feature_info), indices)
        return super().forward_intermediates(x, taken, *args, **kwargs)

    def prune_intermediate_layers(self, indices: int | list[int] = 1, *args: Any, **kwargs: Any) -> list[int]:
        """Call the method of timm's ResNet, with `indices` counted over the stages that exist."""
        taken, _ = feature_take_indices(len(self.feature_info), indices)
        return super().prune_intermediate_layers(taken, *args, **kwargs)


def _cfg(pool_size: int) -> Arguments:
    return {
        "num_classes": 10,
        "input_size": (3, 32, 32),
        "pool_size": (pool_size, pool_size),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4914, 0.4822, 0.4465),  # CIFAR-10's
        "std": (0.2470, 0.2435, 0.2616),
        "first_conv": "conv1",
        "classifier": "fc",
    }


default_cfgs = generate_default_cfgs(
    {
        "cifar_resnet8": _cfg(pool_size=8),
        "cifar_resnet18": _cfg(pool_size=4),
        "cifar_resnet20": _cfg(pool_size=8),
        "cifar_resnet34": _cfg(pool_size=4),
        "cifar_resnet50": _cfg(pool_size=4),
    }
)


def _three_stages(
    name: str, pretrained: bool, blocks: tuple[int, int, int], kwargs: Arguments
) -> CifarResNet:
    """The paper's own CIFAR networks: three stages of 16, 32 and 64 channels.

    Where the map shrinks, the shortcut is timm's 1×1 projection (the paper's option B); the paper's own CIFAR
    networks pad with zeros there (option A), which saves 2,752 parameters.
    """
    # The deep stem makes the 2 × 8 = 16 channels that the first stage takes; CifarResNet then replaces it.
    args = {
        "block": BasicBlock,
        "layers": blocks,
        "channels": (16, 32, 64),
        "stem_type": "deep",
        "stem_width": 8,
        **kwargs,
    }
    features = {"out_indices": (0, 1, 2, 3)}
    return build_model_with_cfg(CifarResNet, name, pretrained, feature_cfg=features, **args)


@register_model
def cifar_resnet8(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-8: three stages of one block, 16, 32 and 64 channels, 0.08 M parameters."""
    return _three_stages("cifar_resnet8", pretrained, (1, 1, 1), kwargs)


@register_model
def cifar_resnet18(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-18 behind the small stem, 11.2 M parameters."""
    args = {"block": BasicBlock, "layers": (2, 2, 2, 2), **kwargs}
    return build_model_with_cfg(CifarResNet, "cifar_resnet18", pretrained, **args)


@register_model
def cifar_resnet20(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-20: three stages of three blocks, 16, 32 and 64 channels, 0.27 M parameters."""
    return _three_stages("cifar_resnet20", pretrained, (3, 3, 3), kwargs)


@register_model
def cifar_resnet34(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-34 behind the small stem, 21.3 M parameters."""
    args = {"block": BasicBlock, "layers": (3, 4, 6, 3), **kwargs}
    return build_model_with_cfg(CifarResNet, "cifar_resnet34", pretrained, **args)


@register_model
def cifar_resnet50(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-50 behind the small stem, 23.5 M parameters."""
    args = {"block": Bottleneck, "layers": (3, 4, 6, 3), **kwargs}
    return build_model_with_cfg(CifarResNet, "cifar_resnet50", pretrained, **args)
