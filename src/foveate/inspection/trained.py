"""A trained network to be examined, wherever it was trained, and the images that it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.data import Data, load_data
from foveate.data.dense.dataset import DenseData
from foveate.data.greys import GreyRange
from foveate.data.numbering import are_numbers, number_classes
from foveate.errors import RequestError, shortened
from foveate.records.file_names import STUDY
from foveate.records.files import read_record
from foveate.records.metric import CLASSIFICATION
from foveate.records.study import StudyRecord
from foveate.studies.engine.fingerprints import under
from foveate.studies.engine.images import open_dense
from foveate.studies.spec.study import DataChoice, RunSpec

__all__ = ["Trained", "assumed_order", "check_alike", "open_images", "study_of"]


@dataclass(frozen=True)
class Trained:
    """A trained network, wherever it was trained.

    Attributes:
        name: the id of a run, the stem of a file, or timm's name; unique within a request.
        label: the mechanism as tables name it; "none" is the baseline.
        backbone: its name, or the class of one that has none.
        seed: of the run; None where it was trained elsewhere.
        digest: of the weights.
        classes: the names of the outputs, in their order; numbers where they have no names.
        input_size: (C, H, W) in pixels.
        mean: of each channel in 0..1, subtracted from the images.
        std: what they are then divided by.
        mechanisms: the names of the mechanisms that its weights are of.
        spec: of a run of a study.
        folder: of that study.
        path: of its file; None for a name.
        task: "classification", "detection" or "segmentation".
        greys: the values that became 0 and 255 in training, of a run on images with more than 8 bits.
        build: returns the network with its weights.
    """

    name: str
    label: str
    backbone: str
    seed: int | None
    digest: str
    classes: tuple[str, ...]
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mechanisms: tuple[str, ...] = ()
    spec: RunSpec | None = None
    folder: Path | None = None
    path: Path | None = None
    task: str = CLASSIFICATION.name
    greys: GreyRange | None = None
    build: Callable[[], nn.Module] = field(default=nn.Identity, repr=False, compare=False)

    @property
    def is_numbered(self) -> bool:
        """Whether its outputs have numbers in place of names."""
        return self.classes == tuple(map(str, range(len(self.classes))))

    def network(self, device: torch.device) -> nn.Module:
        """Build the network with its weights, in eval mode, on `device`."""
        return self.build().to(device).eval()

    def normalise(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) in 0..1 as the network takes them."""
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std


def study_of(trained: Sequence[Trained]) -> Path | None:
    """Return the folder of the study that the runs belong to; None without runs, or with several studies."""
    folders = {one.folder for one in trained if one.folder is not None}
    return folders.pop() if len(folders) == 1 else None


def check_alike(trained: Sequence[Trained]) -> Trained:
    """Check that all networks take the same images and have the same classes.

    Outputs that have only numbers match any classes of that number.

    Returns:
        a network whose classes have names, if there is one.

    Raises:
        RequestError: they take images of different sizes, or know different classes.
    """
    first = trained[0]
    for one in trained[1:]:
        if one.task != first.task:
            raise RequestError(
                f"{one.name} is for {one.task} and {first.name} for {first.task}: give networks of one task"
            )
        if one.input_size != first.input_size:
            raise RequestError(
                f"{one.name} takes images of {_size(one)} and {first.name} of {_size(first)}: give "
                "networks that take the same images"
            )
    known = next((one for one in trained if not one.is_numbered), first)
    for one in trained:
        _check_classes(one, known.classes, known.name)
    return known


def open_images(trained: Sequence[Trained], source: str | None = None, **options: Any) -> Data:
    """Open the images that the runs were trained and tested on, or those of `source`, for the networks.

    `options` are those of `load_data`, such as the columns of `source`.

    Raises:
        RequestError: the networks take different images, the images are not those of the runs, or there are
            none.
    """
    first, known = trained[0], check_alike(trained)
    if first.task != CLASSIFICATION.name:
        return _open_dense(trained, source)
    own = next((one.spec.data for one in trained if one.spec), None)
    if source is None and own is None:
        raise RequestError(f"{first.name} does not say which images it is for: give --data")
    chosen: dict[str, Any] = {"upscale": True}
    if source is None and own is not None:
        source, chosen = own.source, own.model_dump(exclude={"source", "train_fraction"})
        checked = [one for one in trained if one.spec]
    else:
        checked = []
        chosen["greys"] = first.greys
    assert source is not None
    data = load_data(source, **(chosen | {"image_size": first.input_size[-1]} | options))
    opened = data
    for one in checked:
        seen = under(opened, one.spec.fingerprint, _content(one)) if one.spec else opened
        if one is checked[0] and seen:
            data = seen
        if not seen:
            raise RequestError(
                f"the images of {data.name} are not those that run {one.name} was trained and tested on: "
                "they have changed since, or it is a run on others. Give --data to examine it on these"
            )
    _check_channels(first, data)
    if sorted(data.classes) == sorted(known.classes):
        # Classes match by name: sets have them in different orders, and sorted as text 10 comes before 2.
        return data.with_classes(known.classes)
    _check_classes(known, data.classes, data.name)
    return data


def _open_dense(trained: Sequence[Trained], source: str | None) -> DenseData:
    """Open images with boxes or masks: those of the runs, or those of the folder `source`."""
    first = trained[0]
    own = next((one.spec.data for one in trained if one.spec), None)
    if source is None and own is None:
        raise RequestError(f"{first.name} does not say which images it is for: give --data")
    if source is None:
        assert own is not None
        choice = own
    else:
        choice = (own or DataChoice(source=source)).model_copy(update={"source": source})
    data = open_dense(first.task, choice).with_classes(first.classes)
    _check_channels(first, data)
    for one in trained if source is None else ():
        if one.spec and under(data, one.spec.fingerprint) is None:
            raise RequestError(
                f"the images of {data.name} are not those that run {one.name} was trained and tested on: "
                "they have changed since, or it is a run on others. Give --data to examine it on these"
            )
    return data


def assumed_order(trained: Sequence[Trained], classes: Sequence[str]) -> str | None:
    """Return a sentence on how outputs without names were matched with classes; None where all have names."""
    unnamed = [one.name for one in trained if one.is_numbered and one.classes != tuple(classes)]
    if not unnamed:
        return None
    assumed = number_classes(range(len(classes)), classes, f"What {shortened(unnamed)} can answer").assumed
    return assumed and f"{assumed} foveate.save keeps names with classes="


def _content(one: Trained) -> str | None:
    """Return the content fingerprint that the study of a run has recorded beside one of names and sizes."""
    study = one.folder and one.folder / STUDY
    if not study or not one.spec:
        return None
    data = read_record(study, StudyRecord).data
    return data.content_fingerprint if data.fingerprint == one.spec.fingerprint else None


def _check_channels(trained: Trained, data: Data) -> None:
    if data.channels != trained.input_size[0]:
        raise RequestError(
            f"{trained.name} takes images with {trained.input_size[0]} channels, those of {data.name} have "
            f"{data.channels}: give others with --data"
        )


def _check_classes(trained: Trained, classes: Sequence[str], of: str) -> None:
    same = tuple(classes) == trained.classes
    if trained.is_numbered and not are_numbers(classes):
        same = len(classes) == len(trained.classes)
    if not same:
        raise RequestError(
            f"{trained.name} knows {len(trained.classes)} classes ({shortened(trained.classes)}) and {of} "
            f"has {len(classes)} ({shortened(classes)}): give what has the same, or use foveate "
            "transfer"
        )


def _size(trained: Trained) -> str:
    channels, height, width = trained.input_size
    return f"{height}×{width} pixels in {channels} channel{'s' * (channels > 1)}"
