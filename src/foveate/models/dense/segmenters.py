"""Segmenters over any backbone that gives feature maps: DeepLabV3, DeepLabV3+, FPN and U-Net."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveate.errors import RequestError
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.call import BackboneCall, record_call
from foveate.models.dense.features import Features, copy_weights, create_features
from foveate.models.dense.names import SEGMENTATION, check_norm, check_segmenter
from foveate.models.dense.norms import freeze_norms, group_norms

__all__ = ["Encoder", "Segmenter", "create_segmenter", "stride_of"]

STRIDES = {"deeplabv3": 8, "deeplabv3plus": 16}
"""Segmenters over a dilated backbone, and the stride of its last map, as their papers have it."""
UNET_CHANNELS = (256, 128, 64, 32, 16)
"""Of the blocks of a U-Net for maps of stride 16, 8, 4, 2 and 1."""


class Encoder(nn.Module):
    """The maps of a backbone at strides 1, 2, 4 …, as segmentation-models-pytorch takes them.

    Where the backbone has no map of a stride there is one without channels; of stride 1, the image.
    """

    def __init__(self, features: Features, channels: int) -> None:
        super().__init__()
        self.model = features.network
        self.layout = features.layout
        strides = self.layout.strides
        self.stride = strides[-1]
        self.depth = self.stride.bit_length() - 1
        at = dict(zip(strides, self.layout.channels, strict=True))
        if any(one != 1 << (one.bit_length() - 1) for one in strides):
            raise RequestError(
                f"a segmenter needs maps whose strides are powers of 2, and these have {list(strides)}: give "
                "e.g. resnet50 or convnext_tiny as backbone"
            )
        self.out_channels = [
            at.get(1, channels),
            *(at.get(2**power, 0) for power in range(1, self.depth + 1)),
        ]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps for images (B, C, H, W), the finest first."""
        maps = dict(zip(self.layout.strides, self.layout.maps(self.model(x)), strict=True))
        found = [maps.get(1, x)]
        for power in range(1, self.depth + 1):
            stride = 2**power
            if stride not in maps:
                B, _, H, W = x.shape
                maps[stride] = x.new_zeros(B, 0, H // stride, W // stride)
            found.append(maps[stride])
        return found


class Segmenter(nn.Module):
    """From images (B, C, H, W) to logits (B, K, H, W), where H and W are multiples of `stride` pixels.

    Its children are called as in segmentation-models-pytorch: encoder, decoder and segmentation_head.
    """

    def __init__(
        self, encoder: Encoder, decoder: nn.Module, head: nn.Module, *, reads: Sequence[int], resizes: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.segmentation_head = head
        self.reads = tuple(reads)
        self.resizes = resizes
        self.stride = encoder.stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K, H, W); RequestError for a size that is not a multiple of the stride."""
        H, W = x.shape[-2:]
        if not torch.compiler.is_compiling() and (H % self.stride or W % self.stride):
            raise RequestError(
                f"images of {W}×{H} pixels: expected multiples of {self.stride}, the stride of the backbone. "
                "Pad or resize them"
            )
        maps = self.encoder(x)
        logits = self.segmentation_head(self.decoder([maps[index] for index in self.reads]))
        if self.resizes:
            logits = F.interpolate(logits, size=(H, W), mode="bilinear", align_corners=False)
        return logits


def create_segmenter(
    name: str,
    backbone: str,
    *,
    classes: int,
    channels: int = 3,
    norm: str = "batch",
    features_from: nn.Module | None = None,
    backbone_args: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
    decoder_channels: int | Sequence[int] | None = None,
    atrous_rates: Sequence[int] = (12, 24, 36),
) -> nn.Module:
    """Build the segmenter called `name` over `backbone`: images (B, C, H, W) to logits (B, classes, H, W).

    - "deeplabv3" (Chen et al. 2017): torchvision's head, on maps of stride 8.
    - "deeplabv3plus" (Chen et al. 2018), on maps of stride 16; "fpn" (Kirillov et al. 2019); "unet"
      (Ronneberger et al. 2015): the decoders of segmentation-models-pytorch, with its defaults.

    `decoder_channels` is the width of the decoder: by default 256 for the DeepLabs and the pyramid of "fpn"
    (its segmentation branch is half as wide), and for "unet" a list, from the coarsest block to the finest,
    by default 256, 128, 64, 32, 16 (the last ones for a backbone of fewer sizes). `atrous_rates` are those of
    the DeepLabs.

    `features_from` is the classifier of the same name whose weights the backbone takes. `norm` is "batch",
    "frozen" (the backbone's norms keep their weights and statistics: with pretrained weights only) or
    "group". Weights are drawn from torch's global generator, first those of the backbone. `foveate.save` and
    `load` rebuild the segmenter.

    Raises:
        RequestError: an unknown name, a backbone without the feature maps that are needed, sizes that do not
            fit, or segmentation-models-pytorch is not installed.
    """
    check_segmenter(name)
    check_norm(norm)
    if name != "deeplabv3" and find_spec("segmentation_models_pytorch") is None:
        raise RequestError(f"the segmenter {name} needs: pip install 'foveate[dense]'")
    for what, value in {"classes": classes, "channels": channels}.items():
        if type(value) is not int or value < 1:
            raise RequestError(f"{what}={value!r}: expected a whole number of at least 1")
    arguments, rates = dict(backbone_args), [int(rate) for rate in atrous_rates]
    features = create_features(backbone, channels=channels, stride=STRIDES.get(name), backbone_args=arguments)
    if features_from is not None:
        copy_weights(features, features_from)
    if norm == "frozen":
        freeze_norms(features.network)
    encoder = Encoder(features, channels)
    widths = _widths(name, decoder_channels, encoder)
    if name == "deeplabv3":
        network = _deeplabv3(encoder, classes, widths[0], rates)
    elif name == "deeplabv3plus":
        network = _deeplabv3plus(encoder, classes, widths[0], rates)
    elif name == "fpn":
        network = _fpn(backbone, encoder, classes, widths[0])
    else:
        network = _unet(encoder, classes, widths)
    if norm == "group":
        group_norms(network)

    built: Arguments = {
        "backbone": backbone,
        "classes": classes,
        "channels": channels,
        "norm": norm,
        "backbone_args": [[key, value] for key, value in arguments.items()],
        "decoder_channels": widths,
        "atrous_rates": rates,
    }
    record_call(network, BackboneCall(SEGMENTATION + name, built))
    network.pretrained_cfg = {  # type: ignore[assignment]
        "architecture": SEGMENTATION + name,
        "input_size": (channels, 224, 224),
        "crop_pct": 1.0,
    }
    return network


def stride_of(model: nn.Module) -> int:
    """Return the number of pixels of which the sides of images for the segmenter `model` are multiples.

    Detectors resize and pad images themselves: it is 1 for them, and for any network that states no stride.
    """
    stride = getattr(model, "stride", 1)
    return stride if isinstance(stride, int) else 1


def _widths(name: str, given: int | Sequence[int] | None, encoder: Encoder) -> list[int]:
    """Return the widths of the decoder: one, or one for each block of a U-Net."""
    if given is None:
        given = UNET_CHANNELS[-encoder.depth :] if name == "unet" else 256
    widths = [given] if isinstance(given, int) else list(given)
    count = encoder.depth if name == "unet" else 1
    step = 64 if name == "fpn" else 1  # it has group norms of 32 groups, in a branch half as wide
    if len(widths) != count or any(type(one) is not int or one < 1 or one % step for one in widths):
        multiple = " that is a multiple of 64" * (step > 1)
        raise RequestError(
            f"decoder_channels={given!r}: expected {count} whole number{'s' * (count > 1)} above 0{multiple} "
            f"for {name} over maps down to stride {encoder.stride}"
        )
    return widths


def _deeplabv3(encoder: Encoder, classes: int, width: int, rates: list[int]) -> Segmenter:
    from torchvision.models.segmentation.deeplabv3 import ASPP

    decoder = nn.Sequential(  # torchvision's DeepLabHead, but for its last layer, and for any width
        ASPP(encoder.out_channels[-1], rates, width),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
    head = nn.Conv2d(width, classes, 1)
    return Segmenter(encoder, DeepLabV3Decoder(decoder), head, reads=[encoder.depth], resizes=True)


class DeepLabV3Decoder(nn.Module):
    """A decoder that reads the last map alone."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the map (B, width, H/8, W/8)."""
        found: Tensor = self.layers(maps[-1])
        return found


def _deeplabv3plus(encoder: Encoder, classes: int, width: int, rates: list[int]) -> Segmenter:
    from segmentation_models_pytorch.base import SegmentationHead
    from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder

    last = encoder.depth
    # The fine map has stride 4, as in the paper, or is as much finer in networks whose last map has that.
    fine = 2 if last > 2 else 0
    channels = encoder.out_channels
    if not channels[fine] or last - fine not in (1, 2):
        raise RequestError(
            f"deeplabv3plus needs a map two or four times as fine as the last, of stride {encoder.stride}: "
            "choose another backbone or segmenter, e.g. resnet50 or unet"
        )
    decoder = DeepLabV3PlusDecoder(
        encoder_channels=[0, 0, channels[fine], channels[last]],
        encoder_depth=4,
        out_channels=width,
        atrous_rates=rates,
        output_stride=16 if last - fine == 2 else 8,  # by which it enlarges, four times or twice
        aspp_separable=True,
        aspp_dropout=0.5,
    )
    head = SegmentationHead(width, classes, kernel_size=1, upsampling=2**fine)
    _draw(decoder, head)
    return Segmenter(encoder, decoder, head, reads=[0, 0, fine, last], resizes=False)


def _fpn(backbone: str, encoder: Encoder, classes: int, width: int) -> Segmenter:
    from segmentation_models_pytorch.base import SegmentationHead
    from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder

    if encoder.depth < 5 or not all(encoder.out_channels[2:]):
        raise RequestError(
            f"the segmenter fpn needs maps of strides 4, 8, 16 and 32, and {backbone} has "
            f"{', '.join(map(str, encoder.layout.strides))}: choose another backbone, or unet"
        )
    decoder = FPNDecoder(
        encoder.out_channels, encoder.depth, pyramid_channels=width, segmentation_channels=width // 2
    )
    head = SegmentationHead(decoder.out_channels, classes, kernel_size=1, upsampling=encoder.stride // 8)
    _draw(decoder, head)
    return Segmenter(encoder, decoder, head, reads=range(encoder.depth + 1), resizes=False)


def _unet(encoder: Encoder, classes: int, widths: list[int]) -> Segmenter:
    from segmentation_models_pytorch.base import SegmentationHead
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

    decoder = UnetDecoder(encoder.out_channels, widths, n_blocks=encoder.depth)
    head = SegmentationHead(widths[-1], classes, kernel_size=3)
    _draw(decoder, head)
    return Segmenter(encoder, decoder, head, reads=range(encoder.depth + 1), resizes=False)


def _draw(decoder: nn.Module, head: nn.Module) -> None:
    """Draw the weights of decoder and head as segmentation-models-pytorch does."""
    from segmentation_models_pytorch.base import initialization

    initialization.initialize_decoder(decoder)
    initialization.initialize_head(head)
