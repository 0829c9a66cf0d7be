"""Build the detector or the segmenter of a study over its backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from foveate.errors import RequestError
from foveate.models.backbones.scaling import scaled_arguments
from foveate.models.checkpoint.pretrained import create_pretrained
from foveate.models.dense import DETECTORS, create_detector, create_segmenter
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.dense import DenseNetwork

__all__ = ["ImagesOfNetwork", "build_dense"]

MEAN, STD = (0.5,), (0.25,)
"""Of a channel, where a detector is built without images, only to be checked."""


@dataclass(frozen=True)
class ImagesOfNetwork:
    """What a network has to know of its images; `mean` and `std` are of each channel, in 0..1."""

    classes: int
    channels: int
    image_size: int | None
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


def build_dense(
    dense: DenseNetwork,
    backbone: str,
    candidate: Candidate,
    images: ImagesOfNetwork,
    *,
    weights: Path | None = None,
) -> nn.Module:
    """Build the network without attention, with weights drawn from torch's global generator.

    Raises:
        RequestError: the backbone gives no features, or an option is unknown.
    """
    pretrained = None if weights is None else create_pretrained(backbone, weights, channels=images.channels)
    arguments = scaled_arguments(backbone, candidate.width, candidate.extra_blocks)
    options: dict[str, Any] = dict(dense.options)
    try:
        if dense.name not in DETECTORS:
            return create_segmenter(
                dense.name,
                backbone,
                classes=images.classes,
                channels=images.channels,
                norm=dense.norm,
                features_from=pretrained,
                backbone_args=arguments,
                **options,
            )
        if images.image_size is not None:
            options = {"image_size": images.image_size} | options
        mean, std = images.mean or MEAN * images.channels, images.std or STD * images.channels
        return create_detector(
            dense.name,
            backbone,
            classes=images.classes,
            channels=images.channels,
            mean=mean,
            std=std,
            norm=dense.norm,
            features_from=pretrained,
            backbone_args=arguments,
            **options,
        )
    except TypeError as error:
        raise RequestError(f"{dense.label}: {error}") from error
