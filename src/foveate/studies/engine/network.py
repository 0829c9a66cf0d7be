"""Build the networks of a study: the backbone with each candidate attached."""

from pathlib import Path

import torch
from torch import nn

from foveate.data import Data
from foveate.errors import RequestError
from foveate.models import attach, attached
from foveate.models.backbones.create import check_image_size, create_backbone, has_pretrained_weights
from foveate.models.backbones.scaling import scaled_arguments
from foveate.models.checkpoint.pretrained import create_pretrained
from foveate.records.labels import BASELINE
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import StudySpec

__all__ = ["attach_candidate", "build_candidate", "build_network", "check_forward", "check_networks"]

MOST_ADDED = 10**9
"""Parameters that a mechanism may add; options can ask for more than any memory holds."""


def build_network(
    backbone: str,
    candidate: Candidate,
    *,
    classes: int,
    channels: int,
    image_size: int | None = None,
    weights: Path | None = None,
    seed: int = 0,
) -> nn.Module:
    """Build the backbone, initialised from `seed` alone, and attach the candidate afterwards.

    All candidates of a seed on one backbone thus start from the same weights, bit for bit, and so does a new
    head where the pretrained `weights` are for another number of classes.

    Raises:
        RequestError: the mechanism refuses its options, or the backbone has no site for it.
    """
    torch.manual_seed(seed)
    if weights is not None:
        network = create_pretrained(
            backbone, weights, classes=classes, channels=channels, image_size=image_size
        )
    else:
        network = create_backbone(
            backbone,
            classes=classes,
            channels=channels,
            image_size=image_size,
            width=candidate.width,
            extra_blocks=candidate.extra_blocks,
        )
    return attach_candidate(network, candidate, backbone)


def build_candidate(study: StudySpec, candidate: Candidate, data: Data) -> nn.Module:
    """Return the network of a study's candidate for its images, with random weights."""
    return build_network(
        study.backbone_of(candidate),
        candidate,
        classes=len(data.classes),
        channels=data.channels,
        image_size=data.image_size,
    )


def attach_candidate(network: nn.Module, candidate: Candidate, called: str) -> nn.Module:
    """Attach the candidate's mechanism, if it has one, to `network`, which errors name as `called`.

    Raises:
        RequestError: the mechanism refuses its options, or the network has no site for it.
    """
    if candidate.name == BASELINE:
        return network
    try:
        attach(
            network,
            candidate.name,
            where=candidate.where,
            stages=candidate.stages,
            at=candidate.at,
            exclude=candidate.exclude,
            identity_init=candidate.identity_init,
            **candidate.options,
        )
    except (TypeError, ValueError) as error:
        raise RequestError(f"{candidate.label} on {called}: {error}") from error
    added = sum(weight.numel() for module in attached(network).values() for weight in module.parameters())
    if added > MOST_ADDED:
        raise RequestError(
            f"{candidate.label} on {called} adds {added / 1e9:.1f} billion parameters; expected at most "
            f"{MOST_ADDED / 1e9:.0f} billion: give smaller options"
        )
    return network


def check_networks(study: StudySpec) -> None:
    """Build every candidate on the meta device, so that an invalid one is refused before any work."""
    if study.control is not None:
        _check_control(study)
    for candidate in study.attention:
        backbone = study.backbone_of(candidate)
        scaled = candidate.width != 1 or candidate.extra_blocks
        if study.pretrained and scaled:
            raise RequestError(
                f"{candidate.label} is another network than the {backbone} that there are pretrained weights "
                "for: leave it out, or start without pretrained weights"
            )
        if study.pretrained and study.weights is None and not has_pretrained_weights(backbone):
            raise RequestError(
                f"{backbone} has no pretrained weights: leave out --pretrained, or give --weights FILE"
            )
        with torch.device("meta"):
            build_network(backbone, candidate, classes=10, channels=3)


def _check_control(study: StudySpec) -> None:
    if study.pretrained:
        raise RequestError(
            f"--control {study.control} makes another network of {study.backbone}, which has no pretrained "
            "weights: leave out --control, or start without pretrained weights"
        )
    larger = {"width": 2.0} if study.grow == "width" else {"extra_blocks": 1}
    for candidate in study.attention:
        scaled_arguments(study.backbone_of(candidate), **larger)


@torch.inference_mode()
def check_forward(study: StudySpec, classes: int, image_shape: tuple[int, int, int]) -> None:
    """Run every candidate on two images (C, H, W) on the meta device: some accept one size only."""
    channels, size, _ = image_shape
    with torch.device("meta"):
        for candidate in study.attention:
            backbone = study.backbone_of(candidate)
            if candidate.name == BASELINE:
                check_image_size(backbone, size, classes=classes, channels=channels)
                continue
            network = build_network(backbone, candidate, classes=classes, channels=channels, image_size=size)
            try:
                network(torch.empty(2, *image_shape))
            except Exception as error:  # networks raise errors of any type
                raise RequestError(
                    f"{candidate.label} on {backbone} cannot take images of {size} pixels "
                    f"({error}): give another --image-size"
                ) from error
