"""The networks of a study: one backbone, with each candidate attached."""

import timm
import torch
from torch import nn

from foveate.errors import RequestError
from foveate.models import attach
from foveate.report.records import PLAIN
from foveate.studies.candidate import Candidate
from foveate.studies.spec import StudySpec

__all__ = ["build_network", "check_networks"]


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
    network: nn.Module = timm.create_model(
        backbone, pretrained=pretrained, num_classes=classes, in_chans=channels
    )
    if candidate.name == PLAIN:
        return network
    try:
        return attach(
            network,
            candidate.name,
            where=candidate.where,
            stages=candidate.stages,
            identity_init=candidate.identity_init,
            **candidate.options,
        )
    except (TypeError, ValueError) as error:
        raise RequestError(f"{candidate.label} on {backbone}: {error}") from error


def check_networks(study: StudySpec) -> None:
    """Build every candidate without memory for its weights: a refusal comes before any work."""
    with torch.device("meta"):
        for candidate in study.attention:
            build_network(study.backbone, candidate, classes=10, channels=3)
