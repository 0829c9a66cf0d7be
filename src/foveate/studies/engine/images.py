"""The images of a study: opened and checked before the first run, and opened again in worker processes."""

from pathlib import Path
from typing import Any

import numpy as np

from foveate.data import Data, load_data
from foveate.data.dense.boxes import read_boxes
from foveate.data.dense.dataset import DenseData, open_boxes, open_masks
from foveate.data.dense.masks import read_masks
from foveate.data.shared import find_shared, remove_unused, share
from foveate.data.source import image_folder
from foveate.errors import ImagesChangedError, RequestError
from foveate.known_names import reference_of
from foveate.models.backbones.create import own_image_size
from foveate.records.file_names import STUDY
from foveate.records.metric import DETECTION, SEGMENTATION
from foveate.records.study import StudyData
from foveate.studies.engine.ddp.used_devices import check_shares
from foveate.studies.engine.fingerprints import as_begun, as_seen_by_parent, describe_fingerprint
from foveate.studies.engine.fitting import Machine, make_steps
from foveate.studies.engine.network_checks import check_forward, check_networks
from foveate.studies.engine.start import check_starts
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.defaults import MAX_SEEDS
from foveate.studies.spec.study import DataChoice, RunSpec, StudySpec
from foveate.studies.spec.tuning import with_each_option
from foveate.studies.spec.weights import StartWeights

__all__ = [
    "describe_data",
    "needed_paths",
    "open_again",
    "open_dense",
    "open_for",
    "open_study",
    "share_images",
    "usual_image_size",
]


def open_study(study: StudySpec, out: Path, machine: Machine, watch: Watch) -> Data:
    """Validate `study` and open its images.

    If foveate 0.1.0 began the study in `out`, the images keep the fingerprint that it recorded (see
    `as_begun`).

    Raises:
        RequestError: a network, an option, the recipe or the images do not fit each other or the machine.
    """
    whole = _with_each_option(study)
    check_networks(whole)
    on_cuda = machine.elsewhere or machine.torch_device.type == "cuda"
    if study.recipe.precision == "16-mixed" and not on_cuda:
        raise RequestError(
            f"precision 16-mixed needs a CUDA device: on {machine.torch_device} give bf16-mixed"
        )
    watch.reading(study.data.source)
    backbone = study.backbone_of(study.attention[0])
    remove_unused()
    data = _open(study.task, study.data, usual_image_size(backbone, study.starts.get(backbone)))
    data = as_begun(data, [out / STUDY], sorted(out.glob("*/*/spec.json")))
    _check_recipe(study, data, machine)
    check_forward(whole, data)
    check_starts(study, data)
    watch.opened(describe_data(study, data))
    return data


def _with_each_option(study: StudySpec) -> StudySpec:
    """Return `study` with a candidate for each value of the options that its tuning varies."""
    if study.tune is None:
        return study
    return study.model_copy(update={"attention": with_each_option(study.tune, study.attention)})


def usual_image_size(backbone: str, weights: StartWeights | None) -> int:
    """Return the side in pixels that images of several sizes get: what the weights or the network are for."""
    return own_image_size(backbone) if weights is None else weights.image_size


def open_again(task: str, choice: DataChoice, default_size: int, fingerprint: str, content: str) -> Data:
    """Open the images in a worker process; `fingerprint` and `content` are those of its parent's images.

    Images that a process of this machine shares are mapped, if no file was changed since they were decoded;
    otherwise they are decoded and compared. Images of several sizes are resized to `default_size` for a
    classification.

    Raises:
        ImagesChangedError: the images have changed since, or can no longer be opened.
    """
    remove_unused()
    if (found := find_shared(content, choice.source)) is not None:
        return as_seen_by_parent(found, fingerprint, content)
    try:
        data = _open(task, choice, default_size)
    except RequestError as error:
        raise ImagesChangedError(f"the images cannot be opened any more: {error}") from error
    data = as_seen_by_parent(data, fingerprint, content)
    share(data)  # with the worker processes that come later, where this machine is not the parent's
    return data


def share_images(data: Data, watch: Watch) -> None:
    """Let the worker processes that are about to start map the decoded images rather than decode them."""
    if said := share(data):
        watch.note(f"{said}.")


def open_for(spec: RunSpec, content: str) -> Data:
    """Open the images of a run in a worker process, as `open_again` does."""
    size = usual_image_size(spec.backbone, spec.weights)
    return open_again(spec.task, spec.data, size, spec.fingerprint, content)


def describe_data(study: StudySpec, data: Data) -> StudyData:
    """Return what the study's record says about its images."""
    training, validation = _split(study, data)
    return StudyData(
        source=study.data.source,
        name=data.name,
        classes=data.classes,
        channels=data.channels,
        image_size=data.image_size,
        train=len(training),
        validation=len(validation),
        test=len(data.test),
        train_fraction=study.data.train_fraction,
        notes=data.notes,
        **describe_fingerprint(data),
    )


def needed_paths(study: StudySpec) -> tuple[Path, ...]:
    """Return what every machine has to see: images, weights, and code of one's own; absolute paths.

    The folder of the command is one of them if the study names a path in it.
    """
    named = [study.data.class_names, *(weights.path for weights in study.starts.values())]
    paths = [Path(name).expanduser() for name in named if name is not None]
    folder = image_folder(study.data.source)
    references = [reference_of(one.mechanism) for one in study.attention if one.is_custom]
    code = [Path(one.place) for one in references if one is not None and one.is_file]
    found = [*([folder] if folder else []), *paths, *code]
    here = [] if all(path.is_absolute() for path in found) else [Path.cwd()]
    return tuple(path.absolute() for path in (*here, *found))


def _open(task: str, choice: DataChoice, default_size: int) -> Data:
    if task not in (DETECTION.name, SEGMENTATION.name):
        shared = ("image_size", "upscale", "skip_broken", "image_column", "label_column")
        options = {name: getattr(choice, name) for name in shared}
        return load_data(choice.source, default_size=default_size, **options)
    return open_dense(task, choice)


def open_dense(task: str, choice: DataChoice) -> DenseData:
    """Open images with boxes (a detection) or masks (a segmentation).

    Raises:
        RequestError: no usable set; the message says what was expected and what to do.
    """
    options: dict[str, Any] = {"image_size": choice.image_size, "skip_broken": choice.skip_broken}
    root = image_folder(choice.source)
    if root is None:
        raise RequestError(
            f"{choice.source!r} is no folder here: a {task} takes a folder of images with "
            f"{'boxes' if task == DETECTION.name else 'masks'}"
        )
    if task == DETECTION.name:
        return open_boxes(read_boxes(root.resolve(), refuse_invalid=choice.refuse_invalid), **options)
    names = None if choice.class_names is None else Path(choice.class_names).expanduser()
    return open_masks(read_masks(root.resolve(), ignored=choice.ignored_label, class_names=names), **options)


def _check_recipe(study: StudySpec, data: Data, machine: Machine) -> None:
    make_steps(study.task, study.recipe, data)
    if isinstance(data, DenseData):  # which are not split alike: a seed may hold out no box
        more = range((study.max_seeds or MAX_SEEDS) if study.until_decided else 0)
        for seed in (*study.seeds, *more):
            data.split(seed, study.recipe.validation_fraction, study.data.train_fraction)
    images, validation = map(len, _split(study, data))
    if machine.processes > 1:
        check_shares(study.recipe.batch_size, validation, machine)
    if study.recipe.batch_size > images:
        raise RequestError(
            f"batch_size {study.recipe.batch_size} is larger than the training part of {images} images: "
            f"give --batch-size {images} or less"
        )


def _split(study: StudySpec, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and validation images of the first seed; every seed has as many."""
    return data.split(study.seeds[0], study.recipe.validation_fraction, study.data.train_fraction)
