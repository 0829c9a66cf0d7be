"""Open images that need no labels, from a folder or a list of files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from foveate.data.folder import EXTENSIONS, FileImages
from foveate.data.greys import GreyRange
from foveate.data.images import Header, UnreadableImageError, decode
from foveate.data.layout import Layout, find_layout
from foveate.data.parts import Part
from foveate.data.store import StreamedStore
from foveate.data.survey import in_threads
from foveate.errors import RequestError
from foveate.names import cleaned

__all__ = ["UNLABELLED", "Pictures", "find_pictures", "open_pictures"]

UNLABELLED = -1
SMALLEST = 2
"""Minimum pixels of the short side: within 1×1 pixels no place can be pointed out."""


class Pictures(NamedTuple):
    """Images that are decoded on demand, their names and sizes, and which were excluded and why."""

    store: StreamedStore
    names: list[str]
    sizes: list[tuple[int, int]]  # (width, height) of each as it is decoded
    exclusions: list[str]


def find_pictures(given: Path) -> tuple[Path, list[str]]:
    """Return the folder of images and their sorted names relative to it; `given` may be one file.

    Raises RequestError if there are none. Whether a file is an image is checked when it is opened.
    """
    given = given.expanduser()
    if given.is_file():
        return given.parent, [given.name]
    if not given.is_dir():
        raise RequestError(f"--images {given} does not exist: give a folder of images, or an image")
    names = sorted(
        file.relative_to(given).as_posix()
        for file in given.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(given).parts)
    )
    if not any(Path(name).suffix.lower() in EXTENSIONS for name in names):
        raise RequestError(
            f"--images {given} has no images: an image ends in {', '.join(sorted(EXTENSIONS))}"
        )
    return given, names


def open_pictures(
    root: Path,
    names: Sequence[str],
    *,
    channels: int,
    image_size: int,
    layout: Layout | None = None,
    classes: Sequence[str] = (),
    greys: GreyRange | None = None,
) -> Pictures:
    """Open the images `names` below `root` for a network that sees (channels, image_size, image_size).

    Every image is decoded once to check it; none is kept. `layout` is that of the data set that the images
    belong to; without it, `find_layout` finds one for them. `greys` is the range of greys of more than 8 bits
    that the network was trained with, if it is known; without it, the range is found from the images.
    An image in a folder called like one of `classes` has that label, others have `UNLABELLED`.

    Raises RequestError where not one can be used, with the reasons.
    """

    known: GreyRange | Literal["own"] = (layout and layout.greys) or greys or "own"

    def read(number: int) -> tuple[Header, tuple[int, int]] | UnreadableImageError:
        try:
            if Path(names[number]).suffix.lower() not in EXTENSIONS:
                raise UnreadableImageError("it has no extension of an image")
            pixels, header = decode(root / names[number], known)
            if min(pixels.shape[:2]) < SMALLEST:
                height, width = pixels.shape[:2]
                raise UnreadableImageError(
                    f"it has {width}×{height} pixels: expected {SMALLEST}×{SMALLEST} or more"
                )
        except UnreadableImageError as error:
            return error.with_traceback(None)
        return header, (pixels.shape[1], pixels.shape[0])

    headers, kept, sizes, exclusions = [], [], [], []
    for name, found in zip(names, in_threads(read, len(names)), strict=True):
        if isinstance(found, UnreadableImageError):
            exclusions.append(f"{name}: {found}")
        else:
            headers.append(found[0])
            sizes.append(found[1])
            kept.append(name)
    if not kept:
        reasons = "".join(f"\n  {one}" for one in exclusions[:10])
        raise RequestError(f"none of the {len(names):,} images in {root} can be used:{reasons}")
    if layout is None:
        layout = replace(find_layout(headers, image_size, image_size, True), channels=channels)
        layout = replace(layout, greys=greys or layout.greys)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array(
        [numbers.get(cleaned(Path(name).parent.name), UNLABELLED) for name in kept], dtype=np.int64
    )
    part = Part(FileImages(root, kept), np.arange(len(kept)), labels)
    return Pictures(StreamedStore(part, replace(layout, upscale=True)), kept, sizes, exclusions)
