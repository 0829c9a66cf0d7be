"""Build the networks of a study: the backbone with each candidate attached."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from foveate.attention import find_custom
from foveate.data import Data
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.backbones.create import check_image_size, create_backbone, has_pretrained_weights
from foveate.models.backbones.scaling import scaled_arguments
from foveate.models.checkpoint.pretrained import create_pretrained
from foveate.models.dense import DETECTORS, attach_dense, stride_of
from foveate.models.sites.map_checks import WrongMapError, check_maps
from foveate.models.sites.own import own_attention, remove_own
from foveate.records.labels import BASELINE, display_name
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
    "check_forward",
    "check_networks",
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


def check_networks(study: StudySpec) -> None:
    """Build every candidate, so that an invalid one is refused before any work.

    It is built on the meta device, apart from detectors and classes of one's own, which may need real
    numbers.
    """
    if study.control is not None:
        _check_control(study)
    for candidate in study.attention:
        backbone = study.backbone_of(candidate)
        scaled = candidate.width != 1 or candidate.extra_blocks
        if study.pretrained and scaled:
            raise RequestError(
                f"{display_name(candidate.label)} is another network than the {backbone} that there are "
                "pretrained weights for: leave it out, or start without pretrained weights"
            )
        if study.pretrained and study.weights is None and not has_pretrained_weights(backbone):
            raise RequestError(
                f"{backbone} has no pretrained weights: leave out --pretrained, or give --weights FILE"
            )
        with torch.device(_checking_device(candidate, study.dense)):
            build_network(
                backbone,
                candidate,
                classes=10,
                channels=3,
                replace_own=study.replace_own,
                dense=study.dense,
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


def _checking_device(candidate: Candidate, dense: DenseNetwork | None = None) -> str:
    """Return where a candidate is built to be checked; a detector may be run, and chooses boxes by values."""
    detects = dense is not None and dense.name in DETECTORS
    return "cpu" if candidate.is_custom or detects else "meta"


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
def check_forward(study: StudySpec, data: Data) -> None:
    """Run every candidate on two images of `data`, as `check_networks` does: some accept one size only."""
    if study.dense is not None:
        _check_dense(study, data)
        return
    classes, (channels, size, _) = len(data.classes), data.input_shape
    for candidate in study.attention:
        backbone = study.backbone_of(candidate)
        with torch.device(_checking_device(candidate)):
            if candidate.name == BASELINE:
                check_image_size(backbone, size, classes=classes, channels=channels)
                continue
            network = build_network(
                backbone,
                candidate,
                classes=classes,
                channels=channels,
                image_size=size,
                replace_own=study.replace_own,
            )
            if candidate.is_custom:
                check_maps(attached(network), candidate.label)
            try:
                network(torch.zeros(2, *data.input_shape))
            except WrongMapError:
                raise
            except Exception as error:  # networks raise errors of any type
                raise RequestError(
                    f"{candidate.label} on {backbone} cannot take images of {size} pixels "
                    f"({error}): give another --image-size"
                ) from error


def _check_dense(study: StudySpec, data: Data) -> None:
    """Run every detector or segmenter on an image as it is evaluated; detectors run on a CPU only."""
    for candidate in study.attention:
        network = build_candidate(study, candidate, data).eval()
        if candidate.is_custom:
            check_maps(attached(network), candidate.label)
        _check_crop(network, study.backbone_of(candidate), data.image_size)
        try:
            network(torch.zeros(1, *data.input_shape))
        except WrongMapError:
            raise
        except Exception as error:  # networks raise errors of any type
            size = "×".join(map(str, reversed(data.input_shape[1:])))
            raise RequestError(
                f"{candidate.label} on {study.backbone_of(candidate)} cannot take images of {size} pixels "
                f"({error}): give another --image-size"
            ) from error


def _check_crop(network: nn.Module, backbone: str, side: int) -> None:
    """Refuse training crops of `side` pixels whose maps a segmenter could not enlarge to their size again."""
    stride = stride_of(network)
    if side % stride:
        near = sorted({max(side // stride, 1) * stride, -(-side // stride) * stride})
        raise RequestError(
            f"image_size = {side}: a segmenter over {backbone} is trained on crops whose sides are multiples "
            f"of {stride} pixels, its stride: give --image-size {' or '.join(map(str, near))}"
        )
