"""samples/: a few test images of a study, for the pictures on its page, and the masks that runs predict.

OUT/samples has the images, and of a segmentation the true masks; runs/<id>/samples has the predicted masks of
a run. All are PNG files whose long side is `LONG_SIDE` pixels at most, named by the position of the image in
the test part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from foveate.files import write_bytes
from foveate.records.base import FORMAT, Count, Record, Text
from foveate.records.files import read_record, write_record

__all__ = [
    "LONG_SIDE",
    "SAMPLES",
    "Sample",
    "SampleImage",
    "has_samples",
    "read_mask_of",
    "read_samples",
    "spread_positions",
    "write_masks",
    "write_samples",
]

SAMPLES, RECORD = "samples", "samples.json"
MOST = 4
LONG_SIDE = 480


class SampleImage(Record):
    """A test image that was kept: its position in the part, its file's name, and its whole size in pixels."""

    position: Count
    name: Text
    height: Count
    width: Count


class _Samples(Record):
    format: Count
    images: tuple[SampleImage, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """A test image that was kept.

    Attributes:
        image: its position, its name and its whole size.
        pixels: uint8 (h, w, 3), smaller than the whole image where that is large.
        mask: the class of each pixel, uint8 (h, w), `IGNORED` where there is none; None of a detection.
    """

    image: SampleImage
    pixels: np.ndarray
    mask: np.ndarray | None = None


def spread_positions(images: int) -> list[int]:
    """Return at most four positions among `images`, spread over them."""
    if images <= MOST:
        return list(range(images))
    return [(2 * one + 1) * images // (2 * MOST) for one in range(MOST)]


def write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """Write `samples` into the study's `folder`: the record comes last, and they are there once it is."""
    place = folder / SAMPLES
    for sample in samples:
        image = Image.fromarray(sample.pixels)
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        write_bytes(place / f"{sample.image.position:06}.png", _as_png(image))
    masks = {sample.image.position: sample.mask for sample in samples if sample.mask is not None}
    _write_masks(place, masks, ".mask.png")
    write_record(place / RECORD, _Samples(format=FORMAT, images=tuple(sample.image for sample in samples)))


def has_samples(folder: Path) -> bool:
    """Return whether the study in `folder` has its samples."""
    return (folder / SAMPLES / RECORD).is_file()


def read_samples(folder: Path) -> list[Sample]:
    """Read the samples of the study in `folder`; none where they were not kept, or a file is damaged."""
    if not has_samples(folder):
        return []
    place, found = folder / SAMPLES, []
    for image in read_record(place / RECORD, _Samples, shown=True).images:
        pixels = _read(place / f"{image.position:06}.png", "RGB")
        if pixels is not None:
            found.append(Sample(image, pixels, _read(place / f"{image.position:06}.mask.png", "L")))
    return found


def write_masks(folder: Path, masks: Mapping[int, np.ndarray]) -> None:
    """Write the predicted masks of test images, by their positions, into the `folder` of a run."""
    _write_masks(folder / SAMPLES, masks, ".png")


def read_mask_of(folder: Path, position: int) -> np.ndarray | None:
    """Read the mask that the run in `folder` predicts for a test image, uint8 (h, w); None without one."""
    return _read(folder / SAMPLES / f"{position:06}.png", "L")


def _write_masks(place: Path, masks: Mapping[int, np.ndarray], suffix: str) -> None:
    """Write masks (H, W); one that is too large becomes smaller, each pixel with the class of the nearest."""
    for position, mask in masks.items():
        image = Image.fromarray(mask.astype(np.uint8))
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.NEAREST)
        write_bytes(place / f"{position:06}{suffix}", _as_png(image))


def _as_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _read(path: Path, mode: str) -> np.ndarray | None:
    """Return the pixels of a PNG; None if it is not there, is damaged, or is larger than what is written."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode != mode or max(image.size) > LONG_SIDE:
                return None
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
