"""The networks of a study: one backbone, with each candidate attached."""

import timm
import torch
from torch import nn

from foveate.errors import RequestError
from foveate.models import attach
from foveate.report.records import PLAIN
from foveate.studies.candidate import Candidate
from foveate.studies.spec import StudySpec

__all__ = ["build_network", "check_forward", "check_networks"]


def build_network(
    backbone: str,
    candidate: Candidate,
    *,
    classes: int,
    channels: int,
    pretrained: bool = False,
    seed: int = 0,
) -> nn.Module:
    """The backbone, initialised from `seed` alone, with the candidate attached afterwards.

    All candidates of a seed thus start from the same backbone weights, bit for bit.

    Raises:
        RequestError: the mechanism refuses its options, or the backbone has no place for it.
    """
    torch.manual_seed(seed)
    try:
        network: nn.Module = timm.create_model(
            backbone, pretrained=pretrained, num_classes=classes, in_chans=channels
        )
    except Exception as error:  # timm and the hub raise what they like
        raise RequestError(f"timm cannot create {backbone}{' pretrained' * pretrained}: {error}") from error
    if candidate.name == PLAIN:
        return network
    try:
        return attach(
            network,
            candidate.name,
            where=candidate.where,
            stages=candidate.stages,
            at=candidate.at,
            identity_init=candidate.identity_init,
            **candidate.options,
        )
    except (TypeError, ValueError) as error:
        raise RequestError(f"{candidate.label} on {backbone}: {error}") from error


def check_networks(study: StudySpec) -> None:
    """Build every candidate without memory for its weights: a refusal comes before any work."""
    weights = timm.get_pretrained_cfg(study.backbone, allow_unregistered=False)
    if study.pretrained and not (weights and weights.has_weights):
        raise RequestError(f"{study.backbone} has no pretrained weights: leave out --pretrained")
    with torch.device("meta"):
        for candidate in study.attention:
            build_network(study.backbone, candidate, classes=10, channels=3)


@torch.inference_mode()
def check_forward(study: StudySpec, classes: int, image_shape: tuple[int, int, int]) -> None:
    """Send one image (C, H, W) without content through every candidate: some backbones take one size only."""
    with torch.device("meta"):
        for candidate in study.attention:
            network = build_network(
                study.backbone, candidate, classes=classes, channels=image_shape[0]
            ).eval()
            try:
                network(torch.empty(1, *image_shape))
            except Exception as error:  # each network refuses in its own way
                raise RequestError(
                    f"{candidate.label} on {study.backbone} cannot take images of {image_shape[1]} pixels "
                    f"({error}): give another --image-size"
                ) from error
