"""What the runs of a study start from: pretrained weights, found, checked and described once."""

from dataclasses import replace
from pathlib import Path

from foveate.data import Data
from foveate.errors import RequestError, WorkError
from foveate.files import file_sha256
from foveate.models.backbones.fetch import fetch_weights
from foveate.models.checkpoint.pretrained import create_pretrained, weights_preprocessing
from foveate.records.labels import BASELINE
from foveate.records.start import Start, WeightsRecord
from foveate.studies.engine.network_checks import check_networks
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.weights import StartWeights

__all__ = ["as_weights_expect", "check_starts", "describe_start", "unchanged_file", "with_weights"]


def with_weights(study: StudySpec, watch: Watch) -> StudySpec:
    """Return `study` with the files of the pretrained weights that it starts from, if it asks for any.

    They are downloaded here, once, if they are not on this machine; runs and their processes read the files.

    Raises:
        RequestError: there is no such file, or it does not hold the weights of the backbone.
        WorkError: the weights cannot be fetched.
    """
    if not study.pretrained or study.starts:
        return study
    check_networks(study)  # before anything is downloaded
    starts = {}
    for backbone in dict.fromkeys(map(study.backbone_of, study.attention)):
        watch.fetching(backbone)
        if study.weights is None:
            file = fetch_weights(backbone)
        else:
            file = Path(study.weights).expanduser()
            if not file.is_file():
                raise RequestError(
                    f"there is no file {study.weights}: --weights takes a safetensors file, or torch's .pth "
                    f"file, with the weights of {backbone}"
                )
        create_pretrained(backbone, file)
        images = weights_preprocessing(backbone, file)
        starts[backbone] = StartWeights(
            path=str(file),
            sha256=file_sha256(file),
            mean=images["mean"],
            std=images["std"],
            image_size=images["input_size"][-1],
        )
    return study.model_copy(update={"starts": starts})


def check_starts(study: StudySpec, data: Data) -> None:
    """Raise RequestError if weights cannot be loaded into a network for images of this size and colour."""
    for backbone, weights in study.starts.items():
        create_pretrained(
            backbone,
            Path(weights.path),
            classes=len(data.classes),
            channels=data.channels,
            image_size=data.image_size,
        )


def describe_start(study: StudySpec) -> Start:
    """Return what the study's record says about the start of its candidates."""
    mechanisms = [candidate for candidate in study.attention if candidate.name != BASELINE]
    return Start(
        weights=tuple(
            WeightsRecord(
                backbone=backbone,
                file=weights.path,
                sha256=weights.sha256,
                mean=weights.mean,
                std=weights.std,
                image_size=weights.image_size,
            )
            for backbone, weights in study.starts.items()
        ),
        as_baseline=tuple(one.label for one in mechanisms if one.identity_init),
        from_untrained_gates=tuple(one.label for one in mechanisms if not one.identity_init),
    )


def as_weights_expect(data: Data, weights: StartWeights | None) -> Data:
    """Return `data` with the mean and standard deviation of the images that `weights` were trained on.

    For another number of channels it is the mean over the channels.
    """
    if weights is None:
        return data
    mean, std = weights.mean, weights.std
    if len(mean) != data.channels:
        mean = (sum(mean) / len(mean),) * data.channels
        std = (sum(std) / len(std),) * data.channels
    return replace(data, mean=mean, std=std)


def unchanged_file(weights: StartWeights | None) -> Path | None:
    """Return the file of `weights`; None without weights.

    Raises:
        WorkError: the file was changed or removed since the study began.
    """
    if weights is None:
        return None
    path = Path(weights.path)
    if not path.is_file() or file_sha256(path) != weights.sha256:
        raise WorkError(
            f"{path} is not the file any more that the study began with: put it back, and give the same "
            "command again"
        )
    return path
