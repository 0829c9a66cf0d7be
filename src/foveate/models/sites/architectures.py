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

_HF_RESNET = Block("after", "layer.-1.normalization", "layer.-1.convolution")
BLOCKS: dict[str, Block] = {
    "segmentation_models_pytorch.encoders._efficientnet.MBConvBlock": Block("after", "_bn2", "_project_conv"),
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
    "transformers.models.convnext.modeling_convnext.ConvNextLayer": Block("before", "drop_path", "dwconv"),
    "transformers.models.convnextv2.modeling_convnextv2.ConvNextV2Layer": Block(
        "before", "drop_path", "dwconv"
    ),
    "transformers.models.resnet.modeling_resnet.ResNetBasicLayer": _HF_RESNET,
    "transformers.models.resnet.modeling_resnet.ResNetBottleNeckLayer": _HF_RESNET,
}

# The stages of a network in order. Stages that a shorter network of the class lacks are skipped.
_FOUR = ("stages.0", "stages.1", "stages.2", "stages.3")
STAGES: dict[str, tuple[str, ...]] = {
    "timm.models.convnext.ConvNeXt": _FOUR,
    "timm.models.regnet.RegNet": ("s1", "s2", "s3", "s4"),
    "timm.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.convnext.ConvNeXt": ("features.1", "features.3", "features.5", "features.7"),
    "torchvision.models.regnet.RegNet": tuple(f"trunk_output.block{i}" for i in (1, 2, 3, 4)),
    "torchvision.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.shufflenetv2.ShuffleNetV2": ("stage2", "stage3", "stage4"),
    "transformers.models.convnext.modeling_convnext.ConvNextEncoder": _FOUR,
    "transformers.models.convnextv2.modeling_convnextv2.ConvNextV2Encoder": _FOUR,
    "transformers.models.resnet.modeling_resnet.ResNetEncoder": _FOUR,
}

# Networks whose code does not group blocks by map size: consecutive blocks of one size are a stage.
RUNS: dict[str, tuple[str, ...]] = {
    "segmentation_models_pytorch.encoders._efficientnet.EfficientNet": ("_blocks",),
    "timm.models.efficientnet.EfficientNet": ("blocks",),
    "timm.models.efficientnet.EfficientNetFeatures": ("blocks",),
    "timm.models.mobilenetv3.MobileNetV3": ("blocks",),
    "timm.models.mobilenetv3.MobileNetV3Features": ("blocks",),
    "torchvision.models.detection.ssdlite.SSDLiteFeatureExtractorMobileNet": ("features",),
    "torchvision.models.efficientnet.EfficientNet": ("features",),
    "torchvision.models.mobilenetv2.MobileNetV2": ("features",),
    "torchvision.models.mobilenetv3.MobileNetV3": ("features",),
}

# Dicts of the children of a network, as detectors and feature extractors make them, without its class. Each
# child with blocks is a stage, unless the blocks are those of the networks in `RUNS`. Some keep the network
# whole, as a child.
TAKEN_APART: dict[str, bool] = {
    "timm.models._features.FeatureDictNet": True,
    "timm.models._features.FeatureHookNet": True,
    "torchvision.models._utils.IntermediateLayerGetter": True,
}
GROUPED_BY_SIZE = (
    "segmentation_models_pytorch.encoders._efficientnet",
    "timm.models._efficientnet_blocks",
    "torchvision.models.efficientnet",
    "torchvision.models.mobilenetv2",
    "torchvision.models.mobilenetv3",
)
"""Modules that define the blocks of which consecutive ones of one map size are a stage."""

# Networks without residual blocks: each stage, and the norm that it feeds. A network that was taken apart has
# them without its first level of names, or with it in one name; those that it does not have are skipped.
_DENSENET = {
    "denseblock1": "transition1.norm",
    "denseblock2": "transition2.norm",
    "denseblock3": "transition3.norm",
    "denseblock4": "norm5",
}
_INSIDE_FEATURES = {f"features.{stage}": f"features.{joint}" for stage, joint in _DENSENET.items()}
_IN_ONE_NAME = {f"features_{stage}": f"features_{joint}" for stage, joint in _DENSENET.items()}
JOINTS: dict[str, dict[str, str]] = {
    "timm.models._features.FeatureDictNet": _IN_ONE_NAME,
    "timm.models._features.FeatureHookNet": _IN_ONE_NAME,
    "timm.models.densenet.DenseNet": _INSIDE_FEATURES,
    "torchvision.models._utils.IntermediateLayerGetter": _DENSENET,
    "torchvision.models.densenet.DenseNet": _INSIDE_FEATURES,
}
