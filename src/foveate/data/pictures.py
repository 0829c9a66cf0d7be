"""Images without labels, from a folder or a list of files, for a network to look at."""

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
"""Pixels of the short side: an image of 1×1 has no places."""


class Pictures(NamedTuple):
    """Images that are decoded when they are asked for, what each is called, and what was left out and why."""

    store: StreamedStore
    names: list[str]
    sizes: list[tuple[int, int]]  # (width, height) of each as it is decoded
    left_out: list[str]


def find_pictures(given: Path) -> tuple[Path, list[str]]:
    """The folder that images lie in, and the names of the images below it, sorted; `given` may be one file.

    Raises RequestError where nothing is there. That a file is an image is seen when it is opened.
    """
    given = given.expanduser()
    if given.is_file():
        return given.parent, [given.name]
    if not given.is_dir():
        raise RequestError(f"--images {given} is not there: give a folder of images, or an image")
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

    Every image is decoded once, to see whether it can be; none is kept. `layout` is that of a data set whose
    images these are; without, they are brought to the size as a data set of them would be, by `find_layout`.
    `greys` is the range of greys of more than 8 bits that the network was trained with, if that is known;
    without, the images share one of their own.
    An image in a folder that is called as one of `classes` has that label, any other `UNLABELLED`.

    Raises RequestError where not one can be used, with the reasons.
    """

    known: GreyRange | Literal["own"] = (layout and layout.greys) or greys or "own"

    def read(number: int) -> tuple[Header, tuple[int, int]] | UnreadableImageError:
        try:
            if Path(names[number]).suffix.lower() not in EXTENSIONS:
                raise UnreadableImageError("it does not end as an image does")
            pixels, header = decode(root / names[number], known)
            if min(pixels.shape[:2]) < SMALLEST:
                height, width = pixels.shape[:2]
                raise UnreadableImageError(f"it has {width}×{height} pixels, and no places to look at")
        except UnreadableImageError as error:
            return error.with_traceback(None)
        return header, (pixels.shape[1], pixels.shape[0])

    headers, kept, sizes, left_out = [], [], [], []
    for name, found in zip(names, in_threads(read, len(names)), strict=True):
        if isinstance(found, UnreadableImageError):
            left_out.append(f"{name}: {found}")
        else:
            headers.append(found[0])
            sizes.append(found[1])
            kept.append(name)
    if not kept:
        reasons = "".join(f"\n  {one}" for one in left_out[:10])
        raise RequestError(f"none of the {len(names):,} images in {root} can be used:{reasons}")
    if layout is None:
        layout = replace(find_layout(headers, image_size, image_size, True), channels=channels)
        layout = replace(layout, greys=greys or layout.greys)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array(
        [numbers.get(cleaned(Path(name).parent.name), UNLABELLED) for name in kept], dtype=np.int64
    )
    part = Part(FileImages(root, kept), np.arange(len(kept)), labels)
    return Pictures(StreamedStore(part, replace(layout, upscale=True)), kept, sizes, left_out)
