"""A trained network to be examined, wherever it was trained, and the images that it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.data import Data, load_data
from foveate.errors import RequestError
from foveate.studies.spec import RunSpec

__all__ = ["Trained", "open_images", "study_of"]


@dataclass(frozen=True)
class Trained:
    """A trained network, wherever it was trained.

    Attributes:
        name: a run's id, a file's stem or timm's name; no two of a request share it.
        label: the mechanism as tables name it; "none" is the plain backbone.
        backbone: its name, or the class of one that has none.
        seed: of the run; None where it was trained elsewhere.
        digest: of the weights.
        classes: the names of the outputs, in their order; numbers where nobody said them.
        input_size: (C, H, W) in pixels.
        mean: of each channel in 0..1, taken off the images.
        std: what they are then divided by.
        spec: of a run of a study.
        folder: of that study.
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
    spec: RunSpec | None = None
    folder: Path | None = None
    build: Callable[[], nn.Module] = field(default=nn.Identity, repr=False, compare=False)

    def network(self, device: torch.device) -> nn.Module:
        """The network with its weights, in eval mode, on `device`; built anew each time."""
        return self.build().to(device).eval()

    def normalise(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in 0..1 as the network takes them."""
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std


def study_of(trained: Sequence[Trained]) -> Path | None:
    """The folder of the study that all of them are runs of, if there is one."""
    folders = {one.folder for one in trained}
    return folders.pop() if len(folders) == 1 else None


def open_images(trained: Sequence[Trained], source: str | None = None, **options: Any) -> Data:
    """The images that the runs were trained and tested on, or those of `source`, as the networks take them.

    Raises:
        RequestError: the networks differ in what they take, the images are not theirs, or there are none.
    """
    first = trained[0]
    for one in trained[1:]:
        for what in ("input_size", "classes"):
            if getattr(one, what) != getattr(first, what):
                raise RequestError(
                    f"{one.name} and {first.name} differ in {what.replace('_', ' ')}: "
                    f"{_short(getattr(one, what))} and {_short(getattr(first, what))}. Give networks that "
                    "take the same images for the same classes"
                )
    own = first.spec.data if first.spec else None
    if source is None and own is None:
        raise RequestError(f"{first.name} does not say which images it is for: give --data")
    chosen = own.model_dump(exclude={"source", "train_fraction"}) if own and source is None else {}
    if source is not None:
        chosen |= {"upscale": True}
    chosen |= {"image_size": first.input_size[-1]} | options
    data = load_data(source or (own.source if own else ""), **chosen)
    _check_fit(first, data, source is None)
    return data


def _check_fit(trained: Trained, data: Data, own: bool) -> None:
    if own and trained.spec and data.fingerprint != trained.spec.fingerprint:
        raise RequestError(
            f"the images of {data.name} are not those that run {trained.name} was trained and tested on: "
            "they have changed since. Give --data to examine it on others"
        )
    if data.channels != trained.input_size[0]:
        raise RequestError(
            f"{trained.name} takes images with {trained.input_size[0]} channels, those of {data.name} have "
            f"{data.channels}: give others with --data"
        )
    named = not trained.classes[0].isdecimal()
    if len(data.classes) != len(trained.classes) or (named and data.classes != trained.classes):
        raise RequestError(
            f"{trained.name} knows {len(trained.classes)} classes ({_short(trained.classes)}) and "
            f"{data.name} has {len(data.classes)} ({_short(data.classes)}): give images of its classes with "
            "--data, or carry it over to these with foveate transfer"
        )


def _short(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:4])) + ", …" * (len(values) > 4)
