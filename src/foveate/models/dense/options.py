"""The sizes of a detector's head, with torchvision's defaults: smaller ones train on a small machine."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from foveate.errors import RequestError, unknown_name

__all__ = ["FasterRCNNOptions", "OneStageOptions", "read_options"]


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


def read_options(detector: str, given: Mapping[str, Any]) -> Any:
    """Return the options of `detector`, its defaults but for what is `given`.

    Raises:
        RequestError: an unknown name, or a value that is not above 0.
    """
    defaults = DEFAULTS[detector]
    known = {one.name: getattr(defaults, one.name) for one in fields(defaults)}
    for name, value in given.items():
        if name not in known:
            raise RequestError(unknown_name(f"option of {detector}", name, known))
        whole = isinstance(known[name], int)
        fitting = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not fitting or value < (1 if whole else 0):
            expected = "a whole number of at least 1" if whole else "a number of at least 0"
            raise RequestError(f"{name}={value!r}: expected {expected}")
    return type(defaults)(**known | dict(given))
