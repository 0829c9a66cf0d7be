"""Check the networks of a study before any work: each candidate is built, and run on images of its size."""

import torch
from torch import nn

from foveate.data import Data
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.backbones.create import check_image_size, has_pretrained_weights
from foveate.models.backbones.scaling import scaled_arguments
from foveate.models.dense import DETECTORS, stride_of
from foveate.models.sites.map_checks import WrongMapError, check_maps
from foveate.records.labels import BASELINE, display_name
from foveate.studies.engine.network import build_candidate, build_network
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.dense import DenseNetwork
from foveate.studies.spec.study import StudySpec

__all__ = ["check_forward", "check_networks"]


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
