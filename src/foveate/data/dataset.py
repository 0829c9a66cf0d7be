"""Load a set of labelled images: its parts, its properties, and its split by seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from foveate.data.class_names import unite_class_names
from foveate.data.content import (
    content_fingerprint,
    describe_shared,
    find_digests,
    names_fingerprint,
)
from foveate.data.digits import read_digits
from foveate.data.folder import FileImages, read_folder
from foveate.data.greys import GreyRange
from foveate.data.images import Header, broken_images
from foveate.data.layout import check_sizes, describe_kinds, find_layout
from foveate.data.moments import channel_moments
from foveate.data.notes import Note
from foveate.data.origin import files_origin
from foveate.data.parts import Part, Source, arrange, check_counts, stratified_split
from foveate.data.source import DIGITS, SMALLEST_IMAGE, check_source, image_folder
from foveate.data.store import ImageStore, MemoryStore, StreamedStore
from foveate.data.survey import decode_all, probe_sample, spread
from foveate.data.tables import parquet_files, read_hub, read_parquet
from foveate.errors import RequestError
from foveate.names import cleaned

__all__ = ["Data", "load_data"]

PROBED_IMAGES = 256
MEASURED_IMAGES = 2048


@dataclass(frozen=True, eq=False)
class Data:
    """A set of labelled images.

    Attributes:
        name: "digits", or the name of the folder or of the hub's set.
        classes: their names; a label is an index into them.
        channels: 3 if any image has colour, else 1.
        image_size: side in pixels of what a network sees.
        canvas: side in pixels of the stored images, from which crops of `image_size` are cut.
        padding: zeros around the canvas, on each side, before a random crop.
        mean: of each channel over the training part, in 0..1 (streamed: over at most 2,048 of its images).
        std: likewise.
        notes: sentences that a reader of the results should know.
        exclusions: those of the notes that name what was excluded.
        fingerprint: hash of the images' content and order, independent of machine and path (for sets over
            2 GiB that are not kept in memory see the function `content_fingerprint`).
        content_fingerprint: the same, even if `fingerprint` is replaced by that of an earlier study.
        names_fingerprint: hash of names and sizes only, the fingerprint of foveate 0.1.0.
        parts: the images as they are stored, part by part.
        train: the training part.
        test: the held-out part, evaluated once.
        validation: the set's own validation part, if it has one.
        greys: the values that become 0 and 255, if images have greys of more than 8 bits.
        origin: what `files_origin` said of the files before they were decoded; empty if that is unknown.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: int
    canvas: int
    padding: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...]
    fingerprint: str
    train: ImageStore
    test: ImageStore
    validation: ImageStore | None
    exclusions: tuple[str, ...] = ()
    content_fingerprint: str = ""
    names_fingerprint: str = ""
    parts: tuple[Part, ...] = ()
    greys: GreyRange | None = None
    origin: str = ""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""
        return self.channels, self.image_size, self.image_size

    @property
    def validation_store(self) -> ImageStore:
        """The store that the validation indices of `split` refer to."""
        return self.train if self.validation is None else self.validation

    def changes(self) -> list[str]:
        """List the files that were changed or removed since the set was opened, with what happened.

        Changes are detected by size and time, for images in files of their own.
        """
        return [
            f"{part.where(index)}: {change}"
            for part in self.parts
            if isinstance(part.images, FileImages) and part.images.stamps is not None
            for index, row in enumerate(part.rows)
            if (change := part.images.change(int(row)))
        ]

    def with_classes(self, classes: Sequence[str]) -> "Data":
        """Return the same images, labelled by indices into `classes`, the same names in another order."""
        if tuple(classes) == self.classes:
            return self
        numbers = np.array([list(classes).index(name) for name in self.classes], dtype=np.int64)

        def relabelled(store: ImageStore) -> ImageStore:
            if isinstance(store, StreamedStore):
                return StreamedStore(replace(store.part, labels=numbers[store.labels]), store.layout)
            assert isinstance(store, MemoryStore)
            return MemoryStore(store.images, numbers[store.labels], is_mapped=store.is_mapped)

        return replace(
            self,
            classes=tuple(classes),
            train=relabelled(self.train),
            test=relabelled(self.test),
            validation=None if self.validation is None else relabelled(self.validation),
        )

    def some_of(self, store: ImageStore, positions: np.ndarray, count: int) -> np.ndarray:
        """Return `count` of the positions in `store` on which a network can be tried, as int64."""
        return positions[:count]

    def split(
        self, seed: int, validation_fraction: float = 0.1, train_fraction: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose training and validation images, stratified, by seed.

        First `train_fraction` of each class's training images is taken (at least two of each), then
        `validation_fraction` of these is held out. A set with its own validation part uses all of that.

        Returns:
            indices into `train` and indices into `validation_store`, sorted, int64.

        Raises:
            RequestError: a fraction is out of range, or a class has too few images.
        """
        if not 0 < train_fraction <= 1:
            raise RequestError(f"the fraction of the training part must lie in (0, 1], got {train_fraction}")
        labels = self.train.labels
        taken = np.arange(len(labels))
        if train_fraction < 1:
            generator = np.random.default_rng(seed)
            chosen = []
            for label in range(len(self.classes)):
                members = generator.permutation(np.flatnonzero(labels == label))
                chosen.append(members[: max(round(train_fraction * len(members)), 2)])
            taken = np.sort(np.concatenate(chosen))
        if self.validation is not None:
            return taken, np.arange(len(self.validation))
        kept, held = stratified_split(labels[taken], validation_fraction, seed)
        return taken[kept], taken[held]


def load_data(
    source: str,
    *,
    image_size: int | None = None,
    default_size: int = 224,
    upscale: bool = False,
    skip_broken: bool = False,
    memory_limit: int = 1 << 30,
    test_fraction: float = 0.2,
    image_column: str | None = None,
    label_column: str | None = None,
    greys: GreyRange | None = None,
) -> Data:
    """Load a set of labelled images; classes, channels and size are detected.

    Args:
        source: "digits", a folder in ImageFolder layout, a folder of parquet files, or a hub name
            (`owner/name` or `owner/name:config`). An existing path comes first.
        image_size: side in pixels of what a network sees; detected if None.
        default_size: `image_size` for images of several sizes, unless they are smaller (see `find_layout`).
        upscale: enlarge images that are smaller than the crop.
        skip_broken: skip images that cannot be decoded (a streamed set is read once for this).
        memory_limit: maximum bytes of decoded images, all parts together, that are kept in memory; larger
            sets are decoded on demand.
        test_fraction: share of the images held out if the set has no test part.
        image_column: the column to use in a table with several columns of images.
        label_column: the column to use in a table with several columns of labels.
        greys: the values that become 0 and 255 of greys of more than 8 bits; detected if None.

    Raises:
        RequestError: no usable set; the message says what was expected and what to do.
    """
    if image_size is not None and image_size < SMALLEST_IMAGE:
        raise RequestError(f"--image-size must be at least {SMALLEST_IMAGE} pixels, got {image_size}")
    found = _read_source(source, image_column, label_column)
    arranged = arrange(unite_class_names(found), test_fraction)
    parts = [part for part in (arranged.train, arranged.test, arranged.validation) if part is not None]
    total = sum(len(part) for part in parts)

    survey = probe_sample(parts, PROBED_IMAGES)
    layout = find_layout(survey.healthy()[0], image_size, default_size, upscale, greys)
    in_memory = layout.image_bytes * total <= memory_limit
    origin = files_origin(source) if in_memory else ""
    images: list[torch.Tensor] = []
    digests = None
    # The range of greys of more than 8 bits is known only from the pixels of all images.
    wide = any(header.wide for header in survey.healthy()[0])
    while complete := in_memory or skip_broken or wide:
        images, survey, digests = decode_all(parts, layout, keep=in_memory)
        seen = find_layout(survey.healthy()[0], image_size, default_size, upscale, greys)
        misled, layout = seen != layout, seen
        if not misled:
            break
        kept, in_memory = in_memory, layout.image_bytes * total <= memory_limit
        if not (kept or in_memory):
            break

    headers, rows = survey.healthy()
    kinds = map(Note, describe_kinds(headers, layout, sample=not complete))
    notes = [*arranged.notes, *kinds]
    if broken := survey.broken():
        if not skip_broken:
            raise broken_images(broken)
        whole = np.array([isinstance(result, Header) for result in survey.results])
        masks = np.split(whole, np.cumsum([len(part) for part in parts])[:-1])
        parts = [part.take(mask) for part, mask in zip(parts, masks, strict=True)]
        digests = None if digests is None else digests[whole]
        images = [kept[torch.from_numpy(mask)] for kept, mask in zip(images, masks, strict=False)]
        check_counts(parts[0].labels, arranged.classes, 1 + (arranged.validation is None))
        named = ", ".join(where for where, _ in broken[:5]) + (", …" if len(broken) > 5 else "")
        said = f"{len(broken):,} of {total:,} images are broken and were excluded: {named}."
        notes.append(Note(said, is_exclusion=True))
    check_sizes(headers, rows, layout)

    stores: list[ImageStore]
    if in_memory:
        stores = [MemoryStore(kept, part.labels) for kept, part in zip(images, parts, strict=True)]
    else:
        stores = [StreamedStore(part, layout) for part in parts]
        said = (
            f"The images are decoded on demand: in memory they would take "
            f"{layout.image_bytes * total / 2**30:.1f} GiB, and the limit is {memory_limit / 2**30:.1f} GiB."
        )
        notes.append(Note(said))
    train, test, validation = (*stores, None)[:3]
    assert train is not None
    assert test is not None
    mean, std = _channel_statistics(train)
    digests = find_digests(found, parts, digests)
    if digests is not None and (shared := describe_shared(parts, digests)):
        notes.append(shared)
    fingerprint = content_fingerprint(found, layout, parts, digests, in_memory=in_memory)
    return Data(
        name=cleaned(found.name),
        classes=arranged.classes,
        channels=layout.channels,
        image_size=layout.image_size,
        canvas=layout.canvas,
        padding=layout.padding,
        mean=mean,
        std=std,
        notes=tuple(note.printable.text for note in notes),
        exclusions=tuple(note.printable.text for note in notes if note.is_exclusion),
        fingerprint=fingerprint,
        train=train,
        test=test,
        validation=validation,
        content_fingerprint=fingerprint,
        names_fingerprint=names_fingerprint(found, layout, parts),
        parts=tuple(parts),
        greys=layout.greys,
        origin=origin,
    )


def _read_source(source: str, image_column: str | None, label_column: str | None) -> Source:
    check_source(source)
    if root := image_folder(source):
        if parquet_files(root):
            return read_parquet(root.resolve(), image_column, label_column)
        return read_folder(root.resolve(), image_column, label_column)
    return read_digits() if source == DIGITS else read_hub(source, image_column, label_column)


def _channel_statistics(train: ImageStore) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel in 0..1."""
    streamed = isinstance(train, StreamedStore)
    indices = spread(train.labels, MEASURED_IMAGES if streamed else len(train))
    chunks = np.array_split(indices, -(-len(indices) // 64))
    return channel_moments(lambda k: train.__getitems__(chunks[k])[0].numpy(), len(chunks))
