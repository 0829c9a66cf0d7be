"""The options of detectors and segmenters: torchvision's sizes, and smaller ones for a small machine.

This module imports no torch, so that the command line refuses an unknown option at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foveate.errors import RequestError, unknown_name

__all__ = [
    "PYRAMID_CHANNELS",
    "SIZES",
    "FasterRCNNOptions",
    "OneStageOptions",
    "check_dense_options",
    "read_options",
]

SIZES = ("standard", "small")
"""The values of the option `size` of detectors: torchvision's sizes, or those for a small machine."""
PYRAMID_CHANNELS = {"standard": 256, "small": 64}
"""The channels of a detector's pyramid, by its size."""


@dataclass(frozen=True)
class FasterRCNNOptions:
    """Sizes and thresholds of Faster R-CNN (Ren et al. 2015), in torchvision's names.

    Attributes:
        rpn_pre_nms_top_n_train: anchors of each map that are kept before the suppression of duplicates.
        rpn_post_nms_top_n_train: proposals of an image that are kept after it.
        rpn_batch_size_per_image: anchors that the loss of the proposals is computed on.
        box_batch_size_per_image: proposals that the loss of the boxes is computed on.
        representation_size: width of the two layers that read a proposal.
    """

    rpn_pre_nms_top_n_train: int = 2000
    rpn_pre_nms_top_n_test: int = 1000
    rpn_post_nms_top_n_train: int = 2000
    rpn_post_nms_top_n_test: int = 1000
    rpn_nms_thresh: float = 0.7
    rpn_batch_size_per_image: int = 256
    box_batch_size_per_image: int = 512
    representation_size: int = 1024
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.5
    box_detections_per_img: int = 100


@dataclass(frozen=True)
class OneStageOptions:
    """Thresholds of RetinaNet (Lin et al. 2017) and FCOS (Tian et al. 2019), in torchvision's names."""

    score_thresh: float
    nms_thresh: float
    detections_per_img: int
    topk_candidates: int = 1000


DEFAULTS: dict[str, FasterRCNNOptions | OneStageOptions] = {
    "fasterrcnn": FasterRCNNOptions(),
    "fcos": OneStageOptions(score_thresh=0.2, nms_thresh=0.6, detections_per_img=100),
    "retinanet": OneStageOptions(score_thresh=0.05, nms_thresh=0.5, detections_per_img=300),
}
SMALL = FasterRCNNOptions(
    rpn_pre_nms_top_n_train=500,
    rpn_pre_nms_top_n_test=300,
    rpn_post_nms_top_n_train=200,
    rpn_post_nms_top_n_test=150,
    box_batch_size_per_image=128,
    representation_size=256,
)
OF_DETECTOR: dict[str, Any] = {
    "size": SIZES[0],
    "fpn_channels": 1,
    "max_size": 1,
    "trainable_stages": 1,
    "anchor_scale": 1.0,
}
"""What every detector takes beside its sizes and thresholds; a number shows its type."""
OF_SEGMENTER = {
    "deeplabv3": ("decoder_channels", "atrous_rates"),
    "deeplabv3plus": ("decoder_channels", "atrous_rates"),
    "fpn": ("decoder_channels",),
    "unet": ("decoder_channels",),
}


def read_options(detector: str, given: Mapping[str, Any], size: str = SIZES[0]) -> Any:
    """Return the options of `detector`: those of its `size`, but for what is `given`.

    Raises:
        RequestError: an unknown name or size, or a value that is not above 0.
    """
    if size not in SIZES:
        raise RequestError(unknown_name("size", str(size), SIZES))
    defaults = SMALL if detector == "fasterrcnn" and size == "small" else DEFAULTS[detector]
    known = asdict(defaults)
    for name, value in given.items():
        _check_option(detector, name, value, known)
    return type(defaults)(**known | dict(given))


def check_dense_options(network: str, given: Mapping[str, Any]) -> None:
    """Refuse options that the detector or segmenter called `network` does not take from a study.

    Raises:
        RequestError: an unknown name (the nearest is named), or a value of another kind than expected.
    """
    if network in OF_SEGMENTER:
        _check_of_segmenter(network, given)
        return
    known = OF_DETECTOR | asdict(DEFAULTS[network])
    if "image_size" in given:
        raise RequestError(
            f"image_size is no option of {network} in a study: give --image-size (the key image_size)"
        )
    for name, value in given.items():
        if name == "size":
            read_options(network, {}, value)
        elif name != "trainable_stages" or value != 0 or isinstance(value, bool):  # 0 freezes the backbone
            _check_option(network, name, value, known)


def _check_of_segmenter(network: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in OF_SEGMENTER[network]:
            raise RequestError(unknown_name(f"option of {network}", name, OF_SEGMENTER[network]))
        values = value if isinstance(value, list | tuple) else [value]
        if not values or any(type(one) is not int or one < 1 for one in values):
            raise RequestError(f"{name}={value!r}: expected whole numbers of at least 1, such as [64, 32]")
        if name == "atrous_rates" and not isinstance(value, list | tuple):
            raise RequestError(f"{name}={value!r}: expected a list of whole numbers, such as [6, 12, 18]")


def _check_option(network: str, name: str, value: Any, known: Mapping[str, Any]) -> None:
    """Refuse an option that is not `known`, or a value of another kind than that of its default."""
    if name not in known:
        raise RequestError(unknown_name(f"option of {network}", name, known))
    whole = isinstance(known[name], int)
    fitting = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fitting or value < (1 if whole else 0):
        expected = "a whole number of at least 1" if whole else "a number of at least 0"
        raise RequestError(f"{name}={value!r}: expected {expected}")
