"""Keep of a study's test part what its page, and other evaluations, need: true boxes, and a few images."""

from pathlib import Path

import numpy as np
import torch

from foveate.data import Data
from foveate.data.dense.dataset import DenseData
from foveate.data.dense.sizes import ON_ITS_SIDE
from foveate.data.dense.store import DenseStore
from foveate.data.folder import FileImages
from foveate.data.images import probe_orientation
from foveate.data.survey import in_threads
from foveate.records.boxes import ImageBoxes
from foveate.records.samples import Sample, SampleImage, has_samples, spread_positions, write_samples
from foveate.records.truth import TRUTH, Truth, write_truth

__all__ = ["keep_test_part"]


def keep_test_part(data: Data, out: Path, *, anew: bool = False) -> None:
    """Write truth.json (of a detection) and samples/ into the study's folder `out`, where they are missing.

    With `anew` they are written again: a study of which no run has finished may have had other annotations.
    A classification keeps neither. The samples of a detection are spread over the test images that have
    boxes, those of a segmentation over all of them.

    Raises:
        DiskError: a file cannot be written.
        RequestError: an image is broken.
    """
    if not isinstance(data, DenseData):
        return
    store = data.test
    assert isinstance(store, DenseStore)
    has_boxes = bool(data.categories)
    boxes = [store.targets(index).as_boxes() for index in range(len(store))] if has_boxes else []
    if has_boxes and (anew or not (out / TRUTH).is_file()):
        write_truth(out, _truth(data, store, boxes))
    if anew or not has_samples(out):
        some = [index for index, one in enumerate(boxes) if len(one)] if has_boxes else range(len(store))
        write_samples(out, [_sample(store, some[place]) for place in spread_positions(len(some))])


def _truth(data: DenseData, store: DenseStore, boxes: list[ImageBoxes]) -> Truth:
    return Truth(
        ids=data.image_ids,
        names=tuple(_name(store, index) for index in range(len(store))),
        sizes=tuple(in_threads(lambda index: _size(store, index), len(store))),
        boxes=tuple(boxes),
        categories=data.categories,
        classes=data.classes,
    )


def _name(store: DenseStore, index: int) -> str:
    """Return the path of an image's file below the folder of all of them, as COCO's file_name."""
    part = store.part
    assert isinstance(part.images, FileImages)
    return Path(part.images.files[int(part.rows[index])]).as_posix()


def _size(store: DenseStore, index: int) -> tuple[int, int]:
    """Return height and width of an upright image; one that is decoded on demand is not decoded."""
    if store.kept is not None:
        height, width = store.kept[index][0].shape[1:]
        return height, width
    header, orientation = probe_orientation(store.part[index])
    sides = header.height, header.width
    return sides[::-1] if orientation >= ON_ITS_SIDE else sides


def _sample(store: DenseStore, index: int) -> Sample:
    image, target = store.load(index)
    height, width = image.shape[1:]
    pixels = image.expand(3, height, width).permute(1, 2, 0).numpy()
    return Sample(
        SampleImage(position=index, name=_name(store, index), height=height, width=width),
        np.ascontiguousarray(pixels),
        target.numpy() if isinstance(target, torch.Tensor) else None,
    )
