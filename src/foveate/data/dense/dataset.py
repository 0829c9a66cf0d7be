"""Open a set of images with boxes or masks: its parts, its properties, and its split by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data.content import describe_shared, digest_images
from foveate.data.dataset import Data
from foveate.data.dense.annotated import BoxSource, MaskPart, MaskSource
from foveate.data.dense.arrange import arrange_images, split_images
from foveate.data.dense.fingerprint import dense_fingerprint, find_dense_digests
from foveate.data.dense.masks import read_mask
from foveate.data.dense.opening import Opened, as_part, channel_statistics, open_images
from foveate.data.dense.store import DenseStore
from foveate.data.dense.targets import BoxTargets
from foveate.data.notes import Note
from foveate.data.store import ImageStore
from foveate.errors import RequestError, shortened
from foveate.names import cleaned
from foveate.records.boxes import ImageBoxes

__all__ = ["STRIDE", "DenseData", "open_boxes", "open_masks"]

LARGEST_SHORT_SIDE = 800
"""Pixels of the short side of images that a detector sees by default, as in torchvision's."""
LARGEST_CROP = 512
STRIDE = 32
"""No encoder divides an image by more: the sides of crops by default, and of padded images, are multiples."""


@dataclass(frozen=True, eq=False)
class DenseData(Data):
    """A set of images with boxes or masks; `image_size` is the side that training asks for.

    For boxes that is the short side to which a detector resizes images, for masks the side of a training
    crop. There is no class of a whole image: the labels of the stores are all 0.

    Attributes:
        typical: height and width of an image as networks see it in evaluation, the most common one.
        image_ids: the number of each test image in COCO's results.
        categories: the number of each class there.
    """

    typical: tuple[int, int] = (0, 0)
    image_ids: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as networks see it in evaluation."""
        return self.channels, *self.typical

    def with_classes(self, classes: Sequence[str]) -> "DenseData":
        """Return the same images if `classes` are theirs, in their order.

        Raises:
            RequestError: they are others, or in another order.
        """
        if tuple(classes) != self.classes:
            raise RequestError(
                f"{self.name} has the classes {shortened(self.classes)}, and the network was trained for "
                f"{shortened(classes)}: give images with the same classes in the same order"
            )
        return self

    def some_of(self, store: ImageStore, positions: np.ndarray, count: int) -> np.ndarray:
        """Return `count` of the positions in `store`, those of images with boxes first: mAP needs some."""
        if not self.categories:
            return positions[:count]
        return np.array(sorted(positions, key=lambda one: not _has_boxes(store, int(one)))[:count])

    def split(
        self, seed: int, validation_fraction: float = 0.1, train_fraction: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose training and validation images by seed; see `Data.split`, but nothing is stratified.

        Raises:
            RequestError: a fraction is out of range, there are too few images, or none of the validation
                images has a box.
        """
        if not 0 < train_fraction <= 1:
            raise RequestError(f"the fraction of the training part must lie in (0, 1], got {train_fraction}")
        taken = np.random.default_rng(seed).permutation(len(self.train))
        taken = taken[: max(round(train_fraction * len(taken)), min(2, len(taken)))]
        if self.validation is not None:
            return np.sort(taken), np.arange(len(self.validation))
        kept, held = split_images(taken, validation_fraction)
        if self.categories and not any(_has_boxes(self.train, int(one)) for one in held):
            raise RequestError(
                f"the {len(held)} images that seed {seed} holds out of {self.name} for validation have no "
                "boxes: raise validation_fraction, or annotate more images"
            )
        return kept, held


def open_boxes(
    source: BoxSource,
    *,
    image_size: int | None = None,
    memory_limit: int = 1 << 30,
    test_fraction: float = 0.2,
    skip_broken: bool = False,
) -> DenseData:
    """Open images with boxes; `image_size` None is their usual short side, at most 800 pixels.

    Raises:
        RequestError: too few images, broken images, or a part without boxes.
    """
    parts, notes = arrange_images(source.parts, source.name, test_fraction)
    for role, part in parts.items():
        if not any((~boxes.crowd).any() for boxes in part.boxes):
            raise RequestError(f"the {role} part of {source.name} has no boxes: annotate some of its images")
    opened = open_images(
        {role: part.images for role, part in parts.items()},
        {role: partial(_box_targets, part.boxes) for role, part in parts.items()},
        memory_limit=memory_limit,
        skip_broken=skip_broken,
    )
    short = image_size or min(*opened.usual_size, LARGEST_SHORT_SIDE)
    height, width = (round(side * short / min(opened.usual_size)) for side in opened.usual_size)
    return _data(
        source,
        opened,
        notes,
        {role: _box_bytes(part.boxes) for role, part in parts.items()},
        image_size=short,
        typical=(height, width),
        image_ids=tuple(parts["test"].ids[i] for i in opened.kept["test"]),
        categories=source.categories,
    )


def open_masks(
    source: MaskSource,
    *,
    image_size: int | None = None,
    memory_limit: int = 1 << 30,
    test_fraction: float = 0.2,
    skip_broken: bool = False,
) -> DenseData:
    """Open images with masks; `image_size` None is a crop of their usual short side, at most 512 pixels.

    Raises:
        RequestError: too few images, broken images, or masks that do not fit them.
    """
    parts, notes = arrange_images(source.parts, source.name, test_fraction)
    opened = open_images(
        {role: part.images for role, part in parts.items()},
        {role: partial(_mask_target, part.masks, source) for role, part in parts.items()},
        memory_limit=memory_limit,
        skip_broken=skip_broken,
    )
    height, width = opened.usual_size
    return _data(
        source,
        opened,
        notes,
        {role: _mask_bytes(part, source.table) for role, part in parts.items()},
        image_size=image_size or max(min(height, width, LARGEST_CROP) // STRIDE * STRIDE, STRIDE),
        typical=(-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE),
    )


def _data(
    source: BoxSource | MaskSource,
    opened: Opened,
    notes: Sequence[Note],
    annotations: Mapping[str, bytes],
    *,
    image_size: int,
    **fields: Any,
) -> DenseData:
    mean, std = channel_statistics(opened.stores["train"])
    digests = find_dense_digests(opened)
    fingerprint = dense_fingerprint(source.classes, opened, annotations, digests)
    shared = None if digests is None else describe_shared([*opened.parts.values()], digests)
    found = [*source.notes, *notes, *opened.notes, *([shared] if shared else [])]
    return DenseData(
        name=cleaned(source.name),
        classes=source.classes,
        channels=opened.channels,
        image_size=image_size,
        canvas=image_size,
        padding=0,
        mean=mean,
        std=std,
        notes=tuple(note.printable.text for note in found),
        exclusions=tuple(note.printable.text for note in found if note.is_exclusion),
        fingerprint=fingerprint,
        content_fingerprint=fingerprint,
        names_fingerprint=fingerprint,
        train=opened.stores["train"],
        test=opened.stores["test"],
        validation=opened.stores.get("validation"),
        parts=tuple(opened.parts.values()),
        **fields,
    )


def _has_boxes(store: ImageStore, index: int) -> bool:
    """Return whether an image has a box that is no crowd."""
    assert isinstance(store, DenseStore)
    return not bool(store.targets(index).crowd.all())


def _box_targets(boxes: Sequence[ImageBoxes], index: int) -> BoxTargets:
    one = boxes[index]
    return BoxTargets(
        boxes=torch.from_numpy(one.boxes.reshape(-1, 4).astype(np.float32)),
        labels=torch.from_numpy(one.labels.astype(np.int64)),
        crowd=torch.from_numpy(one.crowd.astype(bool)),
        areas=torch.from_numpy(one.areas.astype(np.float32)),
    )


def _mask_target(masks: Sequence[Path], source: MaskSource, index: int) -> Tensor:
    return torch.from_numpy(read_mask(masks[index], source.table, source.unknown))


def _box_bytes(boxes: Sequence[ImageBoxes]) -> bytes:
    arrays = ((np.int64(len(one)), one.boxes, one.labels, one.areas, one.crowd) for one in boxes)
    return b"".join(array.tobytes() for group in arrays for array in group)


def _mask_bytes(part: MaskPart, table: np.ndarray) -> bytes:
    return digest_images([as_part(part.masks)]).tobytes() + table.tobytes()
