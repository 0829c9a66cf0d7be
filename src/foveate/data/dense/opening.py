"""Open the image files of a set with boxes or masks: sizes, colours, broken images, mean and std."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from foveate.data.dense.store import DenseStore, Target
from foveate.data.folder import FileImages, files_stamps
from foveate.data.images import UnreadableImageError, broken_images
from foveate.data.moments import channel_moments
from foveate.data.notes import Note
from foveate.data.parts import Part
from foveate.data.survey import in_threads, probe_sample, spread
from foveate.errors import shortened

__all__ = ["Opened", "as_part", "channel_statistics", "open_images"]

PROBED_IMAGES = 256
MEASURED_IMAGES = 2048


@dataclass(frozen=True, eq=False)
class Opened:
    """The images of a set as they were found on opening it.

    Attributes:
        parts: the images that are used, by role.
        stores: their stores, by role.
        kept: the positions of these images among all of the part, int64, by role.
        channels: 1 if all images are grey, else 3.
        usual_size: height and width in pixels of most of the training images.
        notes: what was excluded, and how the images are kept.
        stored_bytes: of all files.
    """

    parts: dict[str, Part]
    stores: dict[str, DenseStore]
    kept: dict[str, np.ndarray]
    channels: int
    usual_size: tuple[int, int]
    notes: list[Note]
    stored_bytes: int


def open_images(
    images: Mapping[str, Sequence[Path]],
    targets: Mapping[str, Target],
    *,
    memory_limit: int,
    skip_broken: bool,
) -> Opened:
    """Open the images of each part, by role, with their targets.

    Raises:
        RequestError: images are broken (and not to be skipped), or a mask does not fit its image.
    """
    files = {role: as_part(paths) for role, paths in images.items()}
    headers = probe_sample(list(files.values()), PROBED_IMAGES).healthy()[0]
    channels = 1 if all(header.grey for header in headers) else 3
    of_training = probe_sample([files["train"]], PROBED_IMAGES).healthy()[0]
    sizes = [(header.height, header.width) for header in of_training]
    usual = max(sorted(set(sizes)), key=sizes.count)
    mean_bytes = sum(height * width for height, width in sizes) / len(sizes) * (channels + 1)
    total = sum(map(len, files.values()))
    in_memory = mean_bytes * total <= memory_limit
    kept = {role: np.arange(len(part)) for role, part in files.items()}
    stores = {role: DenseStore(part, targets[role], channels) for role, part in files.items()}
    notes: list[Note] = []
    if in_memory or skip_broken:
        broken: list[tuple[str, UnreadableImageError]] = []
        for role, store in stores.items():
            found = in_threads(partial(_read, store, keep=in_memory), len(store))
            faults = {i: one for i, one in enumerate(found) if isinstance(one, UnreadableImageError)}
            broken += [(files[role].where(i), error) for i, error in faults.items()]
            kept[role] = np.setdiff1d(kept[role], list(faults)).astype(np.int64)
            loaded = [one for one in found if isinstance(one, tuple)] if in_memory else None
            target = partial(_at, targets[role], kept[role])
            stores[role] = DenseStore(files[role].take(kept[role]), target, channels, loaded)
        if broken:
            if not skip_broken:
                raise broken_images(broken)
            text = (
                f"{len(broken):,} of {total:,} images are broken and were excluded: "
                f"{shortened([where for where, _ in broken], 5)}."
            )
            notes.append(Note(text, is_exclusion=True))
    if not in_memory:
        text = (
            f"The images are decoded on demand: in memory they would take "
            f"{mean_bytes * total / 2**30:.1f} GiB, and the limit is {memory_limit / 2**30:.1f} GiB."
        )
        notes.append(Note(text))
    parts = {role: store.part for role, store in stores.items()}
    stamps = [stamps for part in files.values() if (stamps := _stamps(part)) is not None]
    return Opened(parts, stores, kept, channels, usual, notes, sum(int(one[:, 0].sum()) for one in stamps))


def as_part(images: Sequence[Path]) -> Part:
    """Return image files as a part without classes: all labels are 0."""
    root = Path(os.path.commonpath([path.parent for path in images]))
    names = [str(path.relative_to(root)) for path in images]
    rows, labels = np.arange(len(names)), np.zeros(len(names), np.int64)
    return Part(FileImages(root, names, files_stamps(root, names)), rows, labels)


def _stamps(part: Part) -> np.ndarray | None:
    return part.images.stamps if isinstance(part.images, FileImages) else None


def _at(target: Target, kept: np.ndarray, index: int) -> Any:
    return target(int(kept[index]))


def _read(store: DenseStore, index: int, *, keep: bool) -> tuple[Tensor, Any] | UnreadableImageError | None:
    try:
        found = store.read(index)
    except UnreadableImageError as error:
        return error.with_traceback(None)
    return found if keep else None


def channel_statistics(train: DenseStore) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel in 0..1, over at most 2,048 training images."""
    indices = spread(train.labels, MEASURED_IMAGES)
    return channel_moments(lambda k: train.load(int(indices[k]))[0].numpy()[None], len(indices))
