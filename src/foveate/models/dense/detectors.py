"""Detectors over any backbone that gives feature maps: torchvision's Faster R-CNN, RetinaNet and FCOS."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from foveate.errors import RequestError
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.call import BackboneCall, record_call
from foveate.models.dense.features import copy_weights, create_features
from foveate.models.dense.names import DETECTION, check_detector, check_norm
from foveate.models.dense.norms import freeze_norms, group_norms
from foveate.models.dense.options import (
    PYRAMID_CHANNELS,
    SIZES,
    FasterRCNNOptions,
    OneStageOptions,
    read_options,
)
from foveate.models.dense.pyramid import Pyramid
from foveate.models.dense.stages import freeze_stages

__all__ = ["create_detector"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHORT_SIDE, LONG_SIDE = 800, 1333
"""torchvision's sizes of images in pixels, to which its sizes of anchors belong."""
RATIOS = (0.5, 1.0, 2.0)
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
LEARNING = 3
"""How many of the last stages of a pretrained backbone learn, as in torchvision."""


def create_detector(
    name: str,
    backbone: str,
    *,
    classes: int,
    channels: int = 3,
    image_size: int = SHORT_SIDE,
    max_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    norm: str = "batch",
    trainable_stages: int | None = None,
    features_from: nn.Module | None = None,
    backbone_args: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
    anchor_scale: float | None = None,
    size: str = SIZES[0],
    fpn_channels: int | None = None,
    **options: Any,
) -> nn.Module:
    """Build the detector called `name` over `backbone`, for `classes` kinds of objects.

    It takes images with values in 0..1, as a list of (C, H, W) or a batch (B, C, H, W), normalises them by
    `mean` and `std`, and resizes them so that the short side is `image_size` pixels and the long one at most
    `max_size` (by default 1333/800 times as much). With targets, in training, it returns the losses; in
    evaluation a dict for each image: boxes (N, 4) as x1, y1, x2, y2 in pixels of the image, labels (N,) from
    1 (0 is the background), and scores (N,).

    The pyramid has `fpn_channels`, over the last four maps of the backbone (fasterrcnn) or the last three
    (retinanet, fcos). With the usual strides these are 4 to 32, and 8 to 32. The anchors are torchvision's
    times `anchor_scale`: by default image_size/800, so that they are as large in proportion to the image; 1
    for fcos, which has none, and for which it scales the ranges of sizes that each map is responsible for.

    `features_from` is the classifier of the same name whose weights the backbone takes. Then the last three
    stages of the backbone learn, else all; `trainable_stages` is another number. `norm` is "batch", "frozen"
    (the backbone's norms keep their weights and statistics: with pretrained weights only) or "group".
    `size` is "standard", torchvision's sizes with a pyramid of 256 channels, or "small", for small machines:
    a pyramid of 64 channels, and for fasterrcnn fewer proposals and a narrower head. `fpn_channels` and
    `options`, those of `FasterRCNNOptions` or `OneStageOptions` in torchvision's names, come before it.

    Weights are drawn from torch's global generator, first those of the backbone. `foveate.save` and `load`
    rebuild the detector.

    Raises:
        RequestError: an unknown name or option, a backbone without feature maps, a size that does not fit.
    """
    check_detector(name)
    check_norm(norm)
    chosen = read_options(name, options, size)
    fpn_channels = PYRAMID_CHANNELS[size] if fpn_channels is None else fpn_channels
    _check_sizes(name, classes=classes, channels=channels, image_size=image_size, fpn_channels=fpn_channels)
    long_side = round(LONG_SIDE / SHORT_SIDE * image_size) if max_size is None else max_size
    scale = (1.0 if name == "fcos" else image_size / SHORT_SIDE) if anchor_scale is None else anchor_scale
    if not 0 < scale < float("inf"):
        raise RequestError(f"anchor_scale={anchor_scale!r}: expected a number above 0")
    arguments = dict(backbone_args)
    mean, std = _statistics("mean", mean, channels), _statistics("std", std, channels)

    features = create_features(backbone, channels=channels, backbone_args=arguments)
    if features_from is not None:
        copy_weights(features, features_from)
    if features_from is not None or trainable_stages is not None:
        freeze_stages(features, LEARNING if trainable_stages is None else trainable_stages)
    if norm == "frozen":
        freeze_norms(features.network)
    images = {"min_size": image_size, "max_size": long_side, "image_mean": mean, "image_std": std}
    if isinstance(chosen, FasterRCNNOptions):
        pyramid = Pyramid(features, fpn_channels, most=4, convolved=0)
        network = _two_stages(pyramid, classes + 1, scale, chosen, images)
    else:
        pyramid = Pyramid(features, fpn_channels, most=3, convolved=2)
        network = _one_stage(name, pyramid, classes + 1, scale, chosen, images)
    if norm == "group":
        group_norms(network)

    built: Arguments = {
        "backbone": backbone,
        "classes": classes,
        "channels": channels,
        "image_size": image_size,
        "max_size": long_side,
        "mean": mean,
        "std": std,
        "norm": norm,
        "backbone_args": [[key, value] for key, value in arguments.items()],
        "anchor_scale": scale,
        "fpn_channels": fpn_channels,
        **asdict(chosen),
    }
    record_call(network, BackboneCall(DETECTION + name, built))
    network.pretrained_cfg = {  # type: ignore[assignment]  # what it takes: it normalises images by itself
        "architecture": DETECTION + name,
        "input_size": (channels, image_size, image_size),
        "mean": (0.0,) * channels,
        "std": (1.0,) * channels,
        "crop_pct": 1.0,
    }
    return network


def _two_stages(
    pyramid: Pyramid, outputs: int, scale: float, options: FasterRCNNOptions, images: Mapping[str, Any]
) -> nn.Module:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.rpn import RPNHead
    from torchvision.ops import MultiScaleRoIAlign

    sizes = asdict(options)
    width = sizes.pop("representation_size")
    anchors = AnchorGenerator(
        tuple((8 * stride * scale,) for stride in pyramid.strides), (RATIOS,) * len(pyramid.strides)
    )
    pool = MultiScaleRoIAlign(
        [str(number) for number in range(len(pyramid.layout.strides))], output_size=7, sampling_ratio=2
    )
    return FasterRCNN(
        pyramid,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(pyramid.out_channels, anchors.num_anchors_per_location()[0]),
        box_roi_pool=pool,
        box_head=TwoMLPHead(pyramid.out_channels * 7**2, width),
        box_predictor=FastRCNNPredictor(width, outputs),
        **sizes,
        **images,
    )


def _one_stage(
    name: str,
    pyramid: Pyramid,
    outputs: int,
    scale: float,
    options: OneStageOptions,
    images: Mapping[str, Any],
) -> nn.Module:
    from torchvision.models.detection import FCOS, RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    if name == "fcos":
        sizes: tuple[tuple[float, ...], ...] = tuple((stride * scale,) for stride in pyramid.strides)
        ratios: tuple[tuple[float, ...], ...] = ((1.0,),) * len(sizes)
        kind = FCOS
    else:
        # torchvision cuts the sizes to whole numbers.
        sizes = tuple(
            tuple(int(4 * stride * octave) * scale for octave in OCTAVES) for stride in pyramid.strides
        )
        ratios = (RATIOS,) * len(sizes)
        kind = RetinaNet
    return kind(
        pyramid,
        num_classes=outputs,
        anchor_generator=AnchorGenerator(sizes, ratios),
        **asdict(options),
        **images,
    )


def _check_sizes(name: str, **sizes: int) -> None:
    for size, value in sizes.items():
        if type(value) is not int or value < 1:
            raise RequestError(f"{size}={value!r}: expected a whole number of at least 1")
    width = sizes["fpn_channels"]
    if name == "fcos" and (width % 32 or width == 32):
        raise RequestError(
            f"fpn_channels={width}: expected a multiple of 32, from 64, for fcos, whose head has group norms "
            "of 32 groups"
        )


def _statistics(kind: str, given: Sequence[float] | None, channels: int) -> list[float]:
    """Return what images are normalised by, for each channel: `given`, or ImageNet's or their average."""
    if given is None:
        known = IMAGENET_MEAN if kind == "mean" else IMAGENET_STD
        return list(known) if channels == 3 else [sum(known) / 3] * channels
    values = [float(value) for value in given]
    if len(values) != channels or (kind == "std" and min(values) <= 0):
        raise RequestError(f"{kind}={values}: expected {channels} numbers, one for each channel")
    return values
