"""A set of images, loaded: where its parts are, what was found out about it, and how it is split by seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foveate.data.digits import read_digits
from foveate.data.folder import read_folder
from foveate.data.images import Header, broken_images
from foveate.data.layout import SMALLEST_IMAGE, Layout, check_sizes, describe_kinds, find_layout
from foveate.data.parts import Part, Source, arrange, check_counts, stratified_split
from foveate.data.store import ImageStore, MemoryStore, StreamedStore
from foveate.data.survey import decode_all, in_threads, probe_sample, spread
from foveate.data.tables import is_hub_name, parquet_files, read_hub, read_parquet
from foveate.errors import RequestError

__all__ = ["Data", "load_data"]

PROBED_IMAGES = 256
MEASURED_IMAGES = 2048


@dataclass(frozen=True, eq=False)
class Data:
    """A set of labelled images.

    Attributes:
        name: "digits", the folder's name or the hub's.
        classes: names; a label is an index into them.
        channels: 3 if any image has colour, else 1.
        image_size: side in pixels of what a network sees.
        canvas: side in pixels of the stored images, from which crops of `image_size` are cut.
        padding: zeros around the canvas, on each side, before a random crop.
        mean: of each channel over the training part, in 0..1 (streamed: over at most 2,048 of its images).
        std: likewise.
        notes: what a reader of the results should know, in sentences.
        fingerprint: of the images and their arrangement; the same on another machine or at another place.
        train: the training part.
        test: the held-out part, looked at once.
        validation: the set's own validation part, if it has one.
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

    @property
    def validation_store(self) -> ImageStore:
        """The store that the validation indices of `split` refer to."""
        return self.train if self.validation is None else self.validation

    def split(
        self, seed: int, validation_fraction: float = 0.1, train_fraction: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose training and validation images, stratified, by seed.

        First `train_fraction` of each class's training images is taken (at least two of each), then
        `validation_fraction` of these is held out. A set with its own validation part uses that, whole.

        Returns:
            indices into `train`, indices into `validation_store`; sorted, int64.

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
) -> Data:
    """Load a set of labelled images; classes, channels and size are found.

    Args:
        source: "digits", a folder in ImageFolder layout, a folder of parquet files, or a hub name
            (`owner/name` or `owner/name:config`). What exists as a path is one.
        image_size: side in pixels of what a network sees; found if None.
        default_size: what images of many sizes are brought to, unless they are smaller (see `find_layout`).
        upscale: enlarge images that are smaller than the crop.
        skip_broken: leave out images that cannot be decoded. (A streamed set is read once for that.)
        memory_limit: bytes of decoded images, all parts together, up to which they are kept in memory;
            beyond it they are decoded whenever they are needed.
        test_fraction: share of the images held out where the set has no test part.
        image_column: of a table with several columns of images.
        label_column: of a table with several columns of labels.

    Raises:
        RequestError: nothing usable there; the message says what was looked for and what to do.
    """
    if image_size is not None and image_size < SMALLEST_IMAGE:
        raise RequestError(f"--image-size must be at least {SMALLEST_IMAGE} pixels, got {image_size}")
    found = _read_source(source, image_column, label_column)
    arranged = arrange(found, test_fraction)
    parts = [part for part in (arranged.train, arranged.test, arranged.validation) if part is not None]
    total = sum(len(part) for part in parts)

    survey = probe_sample(parts, PROBED_IMAGES)
    layout = find_layout(survey.healthy()[0], image_size, default_size, upscale)
    in_memory = layout.image_bytes * total <= memory_limit
    images: list[torch.Tensor] = []
    while complete := in_memory or skip_broken:
        images, survey = decode_all(parts, layout, keep=in_memory)
        seen = find_layout(survey.healthy()[0], image_size, default_size, upscale)
        if seen == layout:
            break
        layout = seen  # the sample misled: decode again, knowing all
        in_memory = layout.image_bytes * total <= memory_limit

    headers, rows = survey.healthy()
    notes = [*arranged.notes, *describe_kinds(headers, layout, sample=not complete)]
    if broken := survey.broken():
        if not skip_broken:
            raise broken_images(broken)
        whole = np.array([isinstance(result, Header) for result in survey.results])
        masks = np.split(whole, np.cumsum([len(part) for part in parts])[:-1])
        parts = [part.take(mask) for part, mask in zip(parts, masks, strict=True)]
        images = [kept[torch.from_numpy(mask)] for kept, mask in zip(images, masks, strict=False)]
        check_counts(parts[0].labels, arranged.classes, 1 + (arranged.validation is None))
        named = ", ".join(where for where, _ in broken[:5]) + (", …" if len(broken) > 5 else "")
        notes.append(f"{len(broken):,} of {total:,} images are broken and were left out: {named}.")
    check_sizes(headers, rows, layout)

    stores: list[ImageStore]
    if in_memory:
        stores = [MemoryStore(kept, part.labels) for kept, part in zip(images, parts, strict=True)]
    else:
        stores = [StreamedStore(part, layout) for part in parts]
        notes.append(
            f"The images are decoded whenever they are needed: in memory they would take "
            f"{layout.image_bytes * total / 2**30:.1f} GiB, and {memory_limit / 2**30:.1f} GiB is the limit."
        )
    train, test, validation = (*stores, None)[:3]
    assert train is not None
    assert test is not None
    mean, std = _channel_statistics(train)
    return Data(
        name=found.name,
        classes=arranged.classes,
        channels=layout.channels,
        image_size=layout.image_size,
        canvas=layout.canvas,
        padding=layout.padding,
        mean=mean,
        std=std,
        notes=tuple(notes),
        fingerprint=_fingerprint(found, layout, parts),
        train=train,
        test=test,
        validation=validation,
    )


def _read_source(source: str, image_column: str | None, label_column: str | None) -> Source:
    root = Path(source).expanduser()
    if root.is_dir():
        if parquet_files(root):
            return read_parquet(root.resolve(), image_column, label_column)
        return read_folder(root.resolve())
    if root.exists():
        raise RequestError(f"{source!r} is a file: give the folder that it lies in")
    if source == "digits":
        return read_digits()
    if is_hub_name(source):
        return read_hub(source, image_column, label_column)
    raise RequestError(
        f"there is no folder {source!r}, and it is no hub name (owner/name or owner/name:config) nor 'digits'"
    )


def _channel_statistics(train: ImageStore) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in 0..1, exact sums over whole numbers in any order."""
    streamed = isinstance(train, StreamedStore)
    indices = spread(train.labels, MEASURED_IMAGES if streamed else len(train))
    chunks = np.array_split(indices, -(-len(indices) // 64))

    def sums(k: int) -> torch.Tensor:
        images = train.__getitems__(chunks[k])[0].float()
        return torch.stack([(images**power).sum((0, 2, 3), dtype=torch.float64) for power in (0, 1, 2)])

    count, total, squares = torch.stack(in_threads(sums, len(chunks))).sum(0)
    mean = total / count
    # Constant images have no spread; one grey level keeps the division finite.
    std = (squares / count - mean**2).clamp(min=1).sqrt()
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def _fingerprint(found: Source, layout: Layout, parts: Sequence[Part]) -> str:
    shape = (layout.channels, layout.image_size, layout.canvas, layout.padding)
    digest = hashlib.sha256(repr((found.identity, list(found.classes), shape)).encode())
    for part in parts:
        digest.update(repr(len(part)).encode() + part.labels.astype("<i8").tobytes())
    return digest.hexdigest()
