"""Build the networks of a study: the backbone with each candidate attached."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from foveate.attention import find_custom
from foveate.data import Data
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.backbones.create import create_backbone
from foveate.models.checkpoint.pretrained import create_pretrained
from foveate.models.dense import attach_dense
from foveate.models.sites.own import own_attention, remove_own
from foveate.records.labels import BASELINE
from foveate.records.own_attention import OwnAttentionRecord
from foveate.studies.engine.dense_network import ImagesOfNetwork, build_dense
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.dense import DenseNetwork
from foveate.studies.spec.study import StudySpec

__all__ = [
    "attach_candidate",
    "build_candidate",
    "build_for_images",
    "build_network",
    "describe_own_attention",
    "find_own_attention",
]

LEAVE_OUT = "leave out --replace-own (the key replace_own)"
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
    replace_own: bool = False,
    dense: DenseNetwork | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> nn.Module:
    """Build the backbone, initialised from `seed` alone, and attach the candidate afterwards.

    With `dense` it is that detector or segmenter over the backbone; detectors normalise images by `mean` and
    `std` themselves.

    All candidates of a seed on one backbone thus start from the same weights, bit for bit, and so does a new
    head where the pretrained `weights` are for another number of classes.

    Raises:
        RequestError: the mechanism refuses its options, or the backbone has no site for it.
    """
    torch.manual_seed(seed)
    if dense is not None:
        images = ImagesOfNetwork(classes, channels, image_size, tuple(mean), tuple(std))
        network = build_dense(dense, backbone, candidate, images, weights=weights)
    elif weights is not None:
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
    part = "backbone" if dense is None else dense.attention_in
    return attach_candidate(network, candidate, backbone, replace_own=replace_own, part=part)


def build_for_images(
    backbone: str,
    candidate: Candidate,
    data: Data,
    *,
    weights: Path | None = None,
    seed: int = 0,
    replace_own: bool = False,
    dense: DenseNetwork | None = None,
) -> nn.Module:
    """Build a network for these images; see `build_network`."""
    return build_network(
        backbone,
        candidate,
        classes=len(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        weights=weights,
        seed=seed,
        replace_own=replace_own,
        dense=dense,
        mean=data.mean,
        std=data.std,
    )


def build_candidate(study: StudySpec, candidate: Candidate, data: Data) -> nn.Module:
    """Return the network of a study's candidate for its images, with random weights."""
    backbone = study.backbone_of(candidate)
    return build_for_images(backbone, candidate, data, replace_own=study.replace_own, dense=study.dense)


def attach_candidate(
    network: nn.Module,
    candidate: Candidate,
    called: str,
    *,
    replace_own: bool = False,
    part: str = "backbone",
) -> nn.Module:
    """Attach the candidate's mechanism, if it has one, to `network`, which errors name as `called`.

    `part` is that of a detector or segmenter: its backbone, its neck, or both.

    With `replace_own` the network's own attention is taken out, and the mechanism goes to its places.

    Raises:
        RequestError: the mechanism refuses its options, or the network has no site for it, or no attention of
            its own.
    """
    if replace_own and not own_attention(network):
        raise RequestError(f"{called} has no attention of its own that could be replaced: {LEAVE_OUT}")
    if candidate.name == BASELINE:
        return remove_own(network) if replace_own else network
    if candidate.is_custom:
        _check_source(candidate)
    try:
        attach_dense(
            network,
            candidate.mechanism,
            part,
            where=candidate.where,
            stages=candidate.stages,
            at=candidate.at,
            exclude=candidate.exclude,
            identity_init=candidate.identity_init,
            replace_own=replace_own,
            **candidate.options,
        )
    except (TypeError, ValueError) as error:
        is_named = candidate.is_custom and str(error).startswith(candidate.name)
        raise RequestError(str(error) if is_named else f"{candidate.label} on {called}: {error}") from error
    added = sum(weight.numel() for module in attached(network).values() for weight in module.parameters())
    if added > MOST_ADDED:
        raise RequestError(
            f"{candidate.label} on {called} adds {added / 1e9:.1f} billion parameters; expected at most "
            f"{MOST_ADDED / 1e9:.0f} billion: give smaller options"
        )
    return network


def _check_source(candidate: Candidate) -> None:
    """Refuse a class whose source code is not the one that the candidate was read with."""
    own = find_custom(candidate.mechanism)
    if own is None or own.sources is None or own.sources.digest != candidate.source:
        raise RequestError(
            f"the source of {candidate.name} was changed after the command began, or after the run was "
            "recorded: give the command again, and it is a new mechanism"
        )


def find_own_attention(study: StudySpec) -> tuple[OwnAttentionRecord, ...]:
    """Describe the attention that the backbones of `study` have of their own.

    It is empty where they have none, and where whole networks are compared as they are.
    """
    if not study.replace_own and all(candidate.name == BASELINE for candidate in study.attention):
        return ()
    backbones = dict.fromkeys(map(study.backbone_of, study.attention))
    found = (describe_own_attention(backbone, replaced=study.replace_own) for backbone in backbones)
    return tuple(one for one in found if one is not None)


def describe_own_attention(backbone: str, *, replaced: bool) -> OwnAttentionRecord | None:
    """Describe the attention that `backbone` has of its own; None where it has none."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        own = own_attention(create_backbone(backbone, classes=10))
    kinds = tuple(dict.fromkeys(one.kind for one in own))
    return (
        OwnAttentionRecord(backbone=backbone, kinds=kinds, blocks=len(own), replaced=replaced)
        if own
        else None
    )
