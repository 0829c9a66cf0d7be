"""The images to explain, from the test part or a folder, with their objects where these are known."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, ImageStore, seen
from foveate.data.folder import files_identity, held_out_images
from foveate.data.layout import Layout
from foveate.data.pictures import find_pictures, open_pictures
from foveate.data.regions import Regions, as_seen, read_regions
from foveate.data.survey import digest, spread
from foveate.data.tables import parquet_files
from foveate.errors import RequestError
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.settings import Columns, OtherImages
from foveate.inspection.trained import Trained, check_alike, open_images

__all__ = ["Subjects", "find_subjects"]


@dataclass(frozen=True)
class Subjects:
    """Images by number, 0 to len - 1, fetched in batches.

    Attributes:
        store: the store that they are read from.
        rows: their positions in it, int64 (N,).
        names: the name of each.
        labels: their classes, int64 (N,); below 0 where unknown.
        classes: the names of the classes.
        canvas: side in pixels of a stored image.
        image_size: side in pixels of what a network takes.
        about: where they are from, in words, for the record.
        fingerprint: of the images and their objects.
        left_out: what was excluded, in sentences.
        regions: where the objects are.
        sizes: of the images before they were resized, (width, height).
    """

    store: ImageStore
    rows: np.ndarray
    names: list[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    canvas: int
    image_size: int
    about: str
    fingerprint: str
    left_out: list[str]
    regions: Regions = field(default_factory=Regions)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, numbers: np.ndarray) -> Tensor:
        """Return images as a network takes them before they are normalised: (B, C, S, S) in 0..1."""
        canvases, _ = self.store.__getitems__(self.rows[numbers])
        return seen(canvases, self.image_size)

    def objects(self, numbers: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return which pixels are the object, bool (B, S, S), and whether that is known, bool (B,)."""
        inside = torch.zeros(len(numbers), self.image_size, self.image_size, dtype=torch.bool)
        for k, number in enumerate(numbers):
            if self.names[number] in self.regions:
                inside[k] = torch.from_numpy(self._object(number))
        return inside, inside.flatten(1).any(dim=1)

    def sample(self, count: int) -> np.ndarray:
        """Return at most `count` numbers of images, spread over the classes and within each."""
        return spread(self.labels, count)

    def _object(self, number: int) -> np.ndarray:
        whole = self.regions.inside(self.names[number], *self.sizes[number])
        return as_seen(whole, self.canvas, self.image_size)


def find_subjects(trained: Sequence[Trained], settings: ExplainSettings, others: OtherImages) -> Subjects:
    """Find the images that `settings` ask for; `others` replace those of the runs.

    Raises:
        RequestError: there are none, `settings` and `others` both say which, or the networks take images of
            different sizes or know different classes.
    """
    if settings.images is not None and others.data is not None:
        raise RequestError(
            f"--images {settings.images} and --data {others.data} both say which images: give one of them"
        )
    known = check_alike(trained)
    regions = read_regions(settings.boxes, settings.masks, settings.mask_object)
    if settings.images is not None:
        root, names = find_pictures(settings.images)
        return _of_files(root, names, regions, settings, known, None)
    if not (settings.boxes or settings.masks):
        return _of_test_part(open_images(trained, others.data, **others.columns), settings)
    given = others if others.data is not None else _own_images(trained)
    folder = Path(given.data or "").expanduser()
    kept = _held_out(folder, given.columns, regions) if given.data else []
    data = open_images(trained, others.data, **others.columns)
    return _of_files(folder, kept, regions, settings, known, data)


def _own_images(trained: Sequence[Trained]) -> OtherImages:
    """Return the images of the runs among `trained`, if there are any."""
    for one in trained:
        if one.spec:
            own = one.spec.data
            return OtherImages(data=own.source, image_column=own.image_column, label_column=own.label_column)
    return OtherImages()


def _held_out(folder: Path, columns: Columns, regions: Regions) -> list[str]:
    """Return the names of the images that have a region, in the parts of `folder` that are not trained on."""
    way = "give the folder of the images with --images"
    if not folder.is_dir() or parquet_files(folder):
        raise RequestError(
            f"--boxes and --masks name image files, and the images of {folder} are in no folder: {way}"
        )
    named = held_out_images(folder, **columns)
    if not named:
        raise RequestError(
            f"--boxes and --masks are for images that no network was trained on, and {folder} has no part "
            f"called test or val with such: {way}"
        )
    kept = [name for name in named if name in regions]
    if not kept:
        raise RequestError(
            f"the boxes or masks name none of the held-out images below {folder}: names are relative to it, "
            f"such as {named[0]!r}"
        )
    return kept


def _of_test_part(data: Data, settings: ExplainSettings) -> Subjects:
    rows = spread(data.test.labels, settings.limit)
    return Subjects(
        store=data.test,
        rows=rows,
        names=[f"test image {row}" for row in rows],
        labels=data.test.labels[rows],
        classes=tuple(data.classes),
        canvas=data.canvas,
        image_size=data.image_size,
        about=f"{len(rows):,} of the {len(data.test):,} test images of {data.name}",
        fingerprint=data.fingerprint,
        left_out=[],
    )


def _of_files(
    root: Path,
    names: list[str],
    regions: Regions,
    settings: ExplainSettings,
    trained: Trained,
    data: Data | None,
) -> Subjects:
    pictures = open_pictures(
        root,
        names,
        channels=trained.input_size[0],
        image_size=trained.input_size[-1],
        layout=Layout(data.channels, data.image_size, data.canvas, 0, True, data.greys) if data else None,
        greys=trained.greys,
        classes=trained.classes,
    )
    rows = spread(pictures.store.labels, settings.limit)
    chosen, labels = [pictures.names[row] for row in rows], pictures.store.labels[rows]
    layout = pictures.store.layout
    fitting = regions.fitting(
        dict(zip(pictures.names, pictures.sizes, strict=True)),
        lambda inside: as_seen(inside, layout.canvas, layout.image_size),
    )
    strangers = [
        f"{name}: it has a box or a mask, and is none of these images" for name in regions.strangers(names)
    ]
    return Subjects(
        store=pictures.store,
        rows=rows,
        names=chosen,
        labels=labels,
        classes=trained.classes,
        canvas=layout.canvas,
        image_size=layout.image_size,
        about=f"{len(rows):,} of the {len(pictures.names):,} images in {root.name or root}",
        fingerprint=_fingerprint(root, chosen, labels, layout, fitting),
        left_out=[*pictures.exclusions, *strangers, *fitting.exclusions],
        regions=fitting,
        sizes=[pictures.sizes[row] for row in rows],
    )


def _fingerprint(root: Path, names: list[str], labels: np.ndarray, layout: Layout, regions: Regions) -> str:
    hashed = hashlib.sha256(files_identity(root, names).encode() + labels.tobytes())
    hashed.update(repr((layout, *layout.own_greys) if layout.own_greys else layout).encode())
    for name in names:
        hashed.update(digest(root / name))
        if name in regions:
            hashed.update(os.fsencode(name) + f"\0{regions.identity(name)}\n".encode())
    return hashed.hexdigest()
