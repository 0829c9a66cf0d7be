"""The images whose maps are looked at: of the test part, or of a folder; with their objects, where known."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, ImageStore, centre
from foveate.data.folder import EXTENSIONS, files_identity
from foveate.data.layout import Layout
from foveate.data.parts import role_of
from foveate.data.pictures import Pictures, find_pictures, open_pictures
from foveate.data.regions import Regions, as_seen, read_regions
from foveate.data.survey import spread
from foveate.errors import RequestError
from foveate.studies.explain_settings import ExplainSettings
from foveate.studies.trained import Trained, open_images

__all__ = ["Subjects", "find_subjects"]


@dataclass(frozen=True)
class Subjects:
    """Images by number, 0 to len - 1, fetched in batches.

    Attributes:
        store: where they come from; `rows` are their places in it.
        names: what each is called.
        labels: their classes, int64 (N,); below 0 where unknown.
        image_size: side in pixels of what a network sees.
        about: where they are from, for the record.
        fingerprint: of the images and their objects.
        left_out: sentences on what is not among them.
        regions: where the objects are; `sizes` are the stored images', (width, height).
    """

    store: ImageStore
    rows: np.ndarray
    names: list[str]
    labels: np.ndarray
    canvas: int
    image_size: int
    about: str
    fingerprint: str
    left_out: list[str]
    regions: Regions = field(default_factory=Regions)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, numbers: Sequence[int] | np.ndarray) -> Tensor:
        """Images as a network sees them before they are normalised: (B, C, S, S) in 0..1."""
        canvases, _ = self.store.__getitems__(self.rows[np.asarray(numbers)])
        return centre(canvases, self.image_size).float() / 255

    def objects(self, numbers: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Which pixels are the object, bool (B, S, S), and of which images that is known, bool (B,)."""
        inside = torch.zeros(len(numbers), self.image_size, self.image_size, dtype=torch.bool)
        for k, number in enumerate(numbers):
            if self.names[number] in self.regions:
                inside[k] = torch.from_numpy(self._object(number))
        return inside, inside.flatten(1).any(dim=1)

    def some(self, count: int) -> np.ndarray:
        """At most `count` numbers, spread over the classes and within each."""
        return spread(self.labels, count)

    def _object(self, number: int) -> np.ndarray:
        whole = self.regions.inside(self.names[number], *self.sizes[number])
        return as_seen(whole, self.canvas, self.image_size)


def find_subjects(trained: Sequence[Trained], settings: ExplainSettings, source: str | None) -> Subjects:
    """Find the images that `settings` ask for; `source` stands for the data of the runs, as in `open_images`.

    Raises RequestError where there are none, or networks that take images of different sizes.
    """
    first = trained[0]
    for one in trained[1:]:
        if one.input_size != first.input_size:
            raise RequestError(
                f"{one.name} takes images of {one.input_size} and {first.name} of {first.input_size}: maps "
                "are compared on the same images, so give networks that take the same"
            )
    regions = read_regions(settings.boxes, settings.masks)
    if settings.images is not None:
        root, names = find_pictures(settings.images)
        return _of_files(root, names, regions, settings, first, None)
    data = open_images(trained, source)
    if not (regions.boxes or regions.masks):
        return _of_test_part(data, settings)
    folder = Path(source or (first.spec.data.source if first.spec else "")).expanduser()
    if not folder.is_dir():
        raise RequestError(
            f"--boxes and --masks name image files, and the images of {data.name} are in no folder: give the "
            "folder with --images"
        )
    kept, example = [], ""
    for name in find_pictures(folder)[1]:
        if role_of(Path(name).parts[0]) != "train" and Path(name).suffix.lower() in EXTENSIONS:
            example = example or f", such as {name!r}"
            kept += [name] * (name in regions)
    if not kept:
        raise RequestError(
            f"the boxes or masks name none of the held-out images below {folder}: names are relative to "
            f"it{example}"
        )
    return _of_files(folder, kept, regions, settings, first, data)


def _of_test_part(data: Data, settings: ExplainSettings) -> Subjects:
    rows = spread(data.test.labels, settings.limit)
    return Subjects(
        store=data.test,
        rows=rows,
        names=[f"test image {row}" for row in rows],
        labels=data.test.labels[rows],
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
    layout = Layout(data.channels, data.image_size, data.canvas, 0, True) if data else None
    pictures = open_pictures(
        root,
        names,
        channels=trained.input_size[0],
        image_size=trained.input_size[-1],
        layout=layout,
        classes=trained.classes,
    )
    rows = spread(pictures.store.labels, settings.limit)
    chosen = [pictures.names[row] for row in rows]
    left_out = [*pictures.left_out, *regions.left_out]
    left_out += [
        f"{name}: it has a box or a mask, and there is no such image" for name in regions.strangers(names)
    ]
    fitting, unfit = _fitting(regions, pictures, pictures.store.layout)
    return Subjects(
        store=pictures.store,
        rows=rows,
        names=chosen,
        labels=pictures.store.labels[rows],
        canvas=pictures.store.layout.canvas,
        image_size=pictures.store.layout.image_size,
        about=f"{len(rows):,} of the {len(pictures.names):,} images in {root.name or root}",
        fingerprint=_fingerprint(root, chosen, pictures.store.layout, fitting),
        left_out=left_out + unfit,
        regions=fitting,
        sizes=[pictures.sizes[row] for row in rows],
    )


def _fitting(regions: Regions, pictures: Pictures, layout: Layout) -> tuple[Regions, list[str]]:
    """The regions that fit their images and are seen, and sentences on the others."""
    fit, unfit = set(), []
    for name, size in zip(pictures.names, pictures.sizes, strict=True):
        if name not in regions:
            continue
        try:
            seen = as_seen(regions.inside(name, *size), layout.canvas, layout.image_size).any()
        except RequestError as error:
            unfit.append(f"{name}: {error}")
            continue
        if seen:
            fit.add(name)
        else:
            unfit.append(f"{name}: its object lies outside of what the network sees")
    return regions.only(fit), unfit


def _fingerprint(root: Path, names: list[str], layout: Layout, regions: Regions) -> str:
    digest = hashlib.sha256(files_identity(root, names).encode())
    digest.update(repr(layout).encode())
    for name in names:
        if name in regions:
            digest.update(f"{name}\0{regions.identity(name)}\n".encode())
    return digest.hexdigest()
