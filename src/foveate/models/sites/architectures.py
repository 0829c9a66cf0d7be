"""The networks that foveate knows: their residual blocks, and where their stages end.

Classes are named by strings, so that no library is imported to look for its networks; a subclass counts as
its base class. A new network is a line in one of `STAGES`, `RUNS` and `JOINTS`, and one in `BLOCKS` if its
blocks are new. In a path, a negative number counts the children of a module from its end.
"""

from typing import Literal, NamedTuple

__all__ = ["BLOCKS", "GROUPED_BY_SIZE", "JOINTS", "NO_BLOCK", "RUNS", "STAGES", "TAKEN_APART", "Block"]


class Block(NamedTuple):
    """Where a residual branch ends: after or before which module of its block, and its width there."""

    position: Literal["after", "before"]
    module: str
    channels: str  # the convolution whose out_channels is the width
    only_if: str | None = None  # the block's attribute that is true if it has an addition
    widening: int = 1  # the block's output is that many times as wide


NO_BLOCK = Block("after", "", "")
"""The entry of a class that is not in `BLOCKS`."""

BLOCKS: dict[str, Block] = {
    "timm.models._efficientnet_blocks.ConvBnAct": Block("after", "bn1", "conv", only_if="has_skip"),
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": Block("after", "bn2", "conv_pw"),
    "timm.models._efficientnet_blocks.EdgeResidual": Block("after", "bn2", "conv_pwl"),
    "timm.models._efficientnet_blocks.InvertedResidual": Block("after", "bn3", "conv_pwl"),
    "timm.models._efficientnet_blocks.UniversalInvertedResidual": Block(
        "after", "layer_scale", "pw_proj.conv"
    ),
    "timm.models.convnext.ConvNeXtBlock": Block("before", "drop_path", "conv_dw"),
    "timm.models.regnet.Bottleneck": Block("after", "conv3", "conv3.conv"),
    "timm.models.resnet.BasicBlock": Block("after", "bn2", "conv2"),
    "timm.models.resnet.Bottleneck": Block("after", "bn3", "conv3"),
    "torchvision.models.convnext.CNBlock": Block("before", "stochastic_depth", "block.0"),
    "torchvision.models.efficientnet.FusedMBConv": Block("after", "block.-1.1", "block.-1.0"),
    "torchvision.models.efficientnet.MBConv": Block("after", "block.-1.1", "block.-1.0"),
    "torchvision.models.mobilenetv2.InvertedResidual": Block("after", "conv.-1", "conv.-2"),
    "torchvision.models.mobilenetv3.InvertedResidual": Block("after", "block.-1.1", "block.-1.0"),
    "torchvision.models.regnet.ResBottleneckBlock": Block("after", "f.c.1", "f.c.0"),
    "torchvision.models.resnet.BasicBlock": Block("after", "bn2", "conv2"),
    "torchvision.models.resnet.Bottleneck": Block("after", "bn3", "conv3"),
    # Its branches are concatenated, not added; attention goes to the one that computes.
    "torchvision.models.shufflenetv2.InvertedResidual": Block(
        "after", "branch2.-2", "branch2.-3", widening=2
    ),
}

# The stages of a network in order. Stages that a shorter network of the class lacks are skipped.
STAGES: dict[str, tuple[str, ...]] = {
    "timm.models.convnext.ConvNeXt": ("stages.0", "stages.1", "stages.2", "stages.3"),
    "timm.models.regnet.RegNet": ("s1", "s2", "s3", "s4"),
    "timm.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.convnext.ConvNeXt": ("features.1", "features.3", "features.5", "features.7"),
    "torchvision.models.regnet.RegNet": tuple(f"trunk_output.block{i}" for i in (1, 2, 3, 4)),
    "torchvision.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.shufflenetv2.ShuffleNetV2": ("stage2", "stage3", "stage4"),
}

# Networks whose code does not group blocks by map size: consecutive blocks of one size are a stage.
RUNS: dict[str, tuple[str, ...]] = {
    "timm.models.efficientnet.EfficientNet": ("blocks",),
    "timm.models.efficientnet.EfficientNetFeatures": ("blocks",),
    "timm.models.mobilenetv3.MobileNetV3": ("blocks",),
    "timm.models.mobilenetv3.MobileNetV3Features": ("blocks",),
    "torchvision.models.efficientnet.EfficientNet": ("features",),
    "torchvision.models.mobilenetv2.MobileNetV2": ("features",),
    "torchvision.models.mobilenetv3.MobileNetV3": ("features",),
}

# Dicts of the children of a network, as detectors and feature extractors make them, without its class. Each
# child with blocks is a stage, unless the blocks are those of the networks in `RUNS`.
TAKEN_APART: dict[str, bool] = {
    "timm.models._features.FeatureDictNet": True,
    "torchvision.models._utils.IntermediateLayerGetter": True,
}
GROUPED_BY_SIZE = (
    "timm.models._efficientnet_blocks",
    "torchvision.models.efficientnet",
    "torchvision.models.mobilenetv2",
    "torchvision.models.mobilenetv3",
)
"""Modules that define the blocks of which consecutive ones of one map size are a stage."""

# Networks without residual blocks: each stage, and the norm that it feeds.
_DENSENET = {
    "features.denseblock1": "features.transition1.norm",
    "features.denseblock2": "features.transition2.norm",
    "features.denseblock3": "features.transition3.norm",
    "features.denseblock4": "features.norm5",
}
JOINTS: dict[str, dict[str, str]] = {
    "timm.models.densenet.DenseNet": _DENSENET,
    "torchvision.models.densenet.DenseNet": _DENSENET,
}
