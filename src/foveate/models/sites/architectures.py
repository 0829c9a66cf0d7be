"""The networks that foveate knows: their residual blocks, and where their stages end.

Classes are named by strings, so that no library is imported to look for its networks; a subclass counts as
its base class. A new network is a line in one of `STAGES`, `RUNS` and `JOINTS`, and one in `BLOCKS` if its
blocks are new. In a path, a negative number counts the children of a module from its end.
"""

from typing import Literal, NamedTuple

__all__ = [
    "BLOCKS",
    "CHANNELS_LAST",
    "CSP_BLOCKS",
    "CSP_CHILDREN",
    "GRIDS",
    "GROUPED_BY_SIZE",
    "JOINTS",
    "NO_BLOCK",
    "NO_GRID",
    "RUNS",
    "STAGES",
    "TAKEN_APART",
    "Block",
    "GridSource",
    "MapLayout",
]

MapLayout = Literal["map", "channels_last", "tokens"]
"""(B, C, H, W); (B, H, W, C); or (B, N, C), the tokens of a grid, behind class and register tokens."""


class Block(NamedTuple):
    """Where a residual branch ends: after or before which module of its block, and its width there."""

    position: Literal["after", "before"]
    module: str
    channels: str  # the convolution (or linear layer) whose out_channels (or out_features) is the width
    only_if: str | None = None  # path of an attribute of the block that is there and true if it is a block
    widening: int = 1  # the block's output is that many times as wide
    layout: MapLayout = "map"  # at the module
    output: MapLayout | None = None  # of the block's output, if it is another
    reads_input: bool = False  # the grid of its tokens is that of its input (B, H, W, C)


NO_BLOCK = Block("after", "", "")
"""The entry of a class that is not in `BLOCKS`."""

_LAST = Block("before", "drop_path2", "mlp.fc2", layout="channels_last")
_SWIN = Block(
    "before", "drop_path2", "mlp.fc2", layout="tokens", output="channels_last", reads_input=True
)  # it flattens the map before its MLP, when its windows are put back together
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
    "timm.models.byobnet.BasicBlock": Block("before", "drop_path", "conv2_kxk.conv"),
    "timm.models.byobnet.BottleneckBlock": Block("before", "drop_path", "conv3_1x1.conv"),
    "timm.models.byobnet.DarkBlock": Block("before", "drop_path", "conv2_kxk.conv"),
    "timm.models.byobnet.EdgeBlock": Block("before", "drop_path", "conv2_1x1.conv"),
    "timm.models.byobnet.SelfAttnBlock": Block("before", "drop_path", "conv3_1x1.conv"),
    "timm.models.convnext.ConvNeXtBlock": Block("before", "drop_path", "conv_dw"),
    "timm.models.efficientformer.MetaBlock1d": Block("before", "drop_path2", "mlp.fc2", layout="tokens"),
    "timm.models.efficientformer.MetaBlock2d": Block("before", "drop_path2", "mlp.fc2"),
    "timm.models.efficientformer_v2.EfficientFormerV2Block": Block("before", "drop_path2", "mlp.fc2.conv"),
    "timm.models.efficientvit_mit.ResidualBlock": Block(
        "after", "main", "main.point_conv.conv", only_if="main.point_conv"
    ),
    "timm.models.efficientvit_msra.EfficientVitBlock": Block("after", "ffn1.m", "ffn1.m.pw2.conv"),
    "timm.models.fastvit.AttentionBlock": Block("before", "drop_path2", "mlp.fc2"),
    "timm.models.fastvit.RepMixerBlock": Block("before", "drop_path", "mlp.fc2"),
    "timm.models.maxxvit.ConvNeXtBlock": Block("before", "drop_path", "conv_dw"),
    "timm.models.maxxvit.MbConvBlock": Block("before", "drop_path", "conv3_1x1"),
    "timm.models.maxxvit.ParallelPartitionAttention": _LAST,
    "timm.models.maxxvit.PartitionAttention2d": Block("before", "drop_path2", "mlp.fc2"),
    "timm.models.maxxvit.PartitionAttentionCl": _LAST,
    "timm.models.maxxvit.TransformerBlock2d": Block("before", "drop_path2", "mlp.fc2"),
    # What its transformer sees are the pixels of one place in each patch. Attention goes to the whole map
    # behind it, which MobileViT concatenates with the input of the block.
    "timm.models.mobilevit.MobileVitBlock": Block("after", "conv_proj", "conv_proj.conv"),
    "timm.models.mobilevit.MobileVitV2Block": Block("after", "conv_proj", "conv_proj.conv"),
    "timm.models.regnet.Bottleneck": Block("after", "conv3", "conv3.conv"),
    "timm.models.resnet.BasicBlock": Block("after", "bn2", "conv2"),
    "timm.models.resnet.Bottleneck": Block("after", "bn3", "conv3"),
    "timm.models.swin_transformer.SwinTransformerBlock": _SWIN,
    "timm.models.swin_transformer_v2.SwinTransformerV2Block": _SWIN,
    "timm.models.vision_transformer.Block": Block("before", "drop_path2", "mlp.fc2", layout="tokens"),
    "timm.models.vision_transformer.ResPostBlock": Block("before", "drop_path2", "mlp.fc2", layout="tokens"),
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
    "torchvision.models.swin_transformer.SwinTransformerBlock": Block(
        "after", "mlp.-1", "mlp.-2", layout="channels_last"
    ),
    "torchvision.models.swin_transformer.SwinTransformerBlockV2": Block(
        "after", "norm2", "mlp.-2", layout="channels_last"
    ),
    "torchvision.models.vision_transformer.EncoderBlock": Block("after", "mlp.-1", "mlp.-2", layout="tokens"),
    "transformers.models.convnext.modeling_convnext.ConvNextLayer": Block("before", "drop_path", "dwconv"),
    "transformers.models.convnextv2.modeling_convnextv2.ConvNextV2Layer": Block(
        "before", "drop_path", "dwconv"
    ),
    "transformers.models.resnet.modeling_resnet.ResNetBasicLayer": _HF_RESNET,
    "transformers.models.resnet.modeling_resnet.ResNetBottleNeckLayer": _HF_RESNET,
}

CSP_BLOCKS = ("A2C2f", "C2", "C2f", "C2PSA", "C3", "SPP", "SPPF")
"""Classes of blocks of YOLO networks, whatever module defines them: their code is often copied."""
CSP_CHILDREN = ("cv1", "cv2", "m")
"""What such a block consists of at least; its last convolution is the `conv` of the last `cv`."""

# The stages of a network in order. Stages that a shorter network of the class lacks are skipped.
_FOUR = ("stages.0", "stages.1", "stages.2", "stages.3")
_FOUR_LAYERS = ("layers.0", "layers.1", "layers.2", "layers.3")
STAGES: dict[str, tuple[str, ...]] = {
    "timm.models.byobnet.ByobNet": (*_FOUR, "stages.4"),
    "timm.models.convnext.ConvNeXt": _FOUR,
    "timm.models.efficientformer.EfficientFormer": _FOUR,
    "timm.models.efficientformer_v2.EfficientFormerV2": _FOUR,
    "timm.models.efficientvit_mit.EfficientVit": _FOUR,
    "timm.models.efficientvit_mit.EfficientVitLarge": _FOUR,
    "timm.models.efficientvit_msra.EfficientVitMsra": _FOUR,
    "timm.models.fastvit.FastVit": _FOUR,
    "timm.models.maxxvit.MaxxVit": _FOUR,
    "timm.models.regnet.RegNet": ("s1", "s2", "s3", "s4"),
    "timm.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "timm.models.swin_transformer.SwinTransformer": _FOUR_LAYERS,
    "timm.models.swin_transformer_v2.SwinTransformerV2": _FOUR_LAYERS,
    "timm.models.vision_transformer.VisionTransformer": ("blocks",),
    "torchvision.models.convnext.ConvNeXt": ("features.1", "features.3", "features.5", "features.7"),
    "torchvision.models.regnet.RegNet": tuple(f"trunk_output.block{i}" for i in (1, 2, 3, 4)),
    "torchvision.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.shufflenetv2.ShuffleNetV2": ("stage2", "stage3", "stage4"),
    "torchvision.models.swin_transformer.SwinTransformer": (
        "features.1",
        "features.3",
        "features.5",
        "features.7",
    ),
    "torchvision.models.vision_transformer.VisionTransformer": ("encoder.layers",),
    "transformers.models.convnext.modeling_convnext.ConvNextEncoder": _FOUR,
    "transformers.models.convnextv2.modeling_convnextv2.ConvNextV2Encoder": _FOUR,
    "transformers.models.resnet.modeling_resnet.ResNetEncoder": _FOUR,
}


class GridSource(NamedTuple):
    """The module of a network whose output (B, C, H, W) has the size of the grid of the tokens."""

    source: str
    prefix: int | str = 0  # of class and register tokens: their number, or the attribute that holds it
    class_token_only: bool | str = (
        False  # or the value of `global_pool` with which it classifies by one alone
    )


NO_GRID = GridSource("")
"""The entry of a class that is not in `GRIDS`."""

# Where a network classifies by its class token alone, the tokens of the image no longer reach the output
# after the last attention: its last block has no place for a mechanism on their grid.
GRIDS: dict[str, GridSource] = {
    "timm.models.efficientformer.EfficientFormer": GridSource("stages.-1.downsample"),
    "timm.models.vision_transformer.VisionTransformer": GridSource(
        "patch_embed.proj", "num_prefix_tokens", "token"
    ),
    "torchvision.models.vision_transformer.VisionTransformer": GridSource("conv_proj", 1, True),
}

CHANNELS_LAST: dict[str, bool] = {"torchvision.models.swin_transformer.SwinTransformer": True}
"""Networks whose maps are (B, H, W, C) outside of their blocks too, and that do not declare it."""

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
