"""Parts of a set (train, test, validation): as a source provides them, and as they are used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from foveate.data.images import Encoded
from foveate.data.notes import Note
from foveate.errors import RequestError, shortened

__all__ = ["Arranged", "Images", "Part", "Source", "arrange", "check_counts", "role_of", "stratified_split"]

ROLES = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}
TEST_SEED = 0  # of a test part that is split off: constant, so that it never changes


def role_of(name: str) -> str | None:
    """Return the role (train, test, validation) of a part with this name, or None."""
    return next((role for role, names in ROLES.items() if name.lower() in names), None)


class Images(Protocol):
    """Stored images by row, and their names for messages."""

    def __getitem__(self, row: int) -> Encoded:
        """Return the stored image of a row."""

    def where(self, row: int) -> str:
        """Return the file, or the row and its table."""


@dataclass(frozen=True, eq=False)
class Part:
    """Labelled images of one part: rows of `images` (int64) and the label of each (int64)."""

    images: Images
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Encoded:
        return self.images[int(self.rows[index])]

    def where(self, index: int) -> str:
        """Return the name of an image for messages."""
        return self.images.where(int(self.rows[index]))

    def take(self, indices: np.ndarray) -> "Part":
        """Return a part with only these images; `indices` are positions or a mask."""
        return replace(self, rows=self.rows[indices], labels=self.labels[indices])


class Source(NamedTuple):
    """A set as found: its parts by role (or a single one, whatever its name) and its classes.

    Attributes:
        identity: hash of the names and sizes of its files, independent of machine and absolute path.
        size: bytes of its files.
        times: hash of their modification times.
        known_content: whether `identity` is a hash of the images themselves.
    """

    name: str
    parts: Mapping[str, Part]
    classes: Sequence[str]
    identity: str
    notes: Sequence[Note]
    size: int = 0
    times: str = ""
    known_content: bool = False


class Arranged(NamedTuple):
    """The parts by their use, with labels from 0 without gaps."""

    train: Part
    test: Part
    validation: Part | None
    classes: tuple[str, ...]
    notes: list[Note]


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split positions of `labels` into (kept, held out), `fraction` of each class held out.

    Each side has at least one position of each class. Both results are sorted int64 arrays.

    Raises:
        RequestError: `fraction` is not between 0 and 1, or a class has a single position.
    """
    if not 0 < fraction < 1:
        raise RequestError(f"the fraction to hold out must lie between 0 and 1, got {fraction}")
    generator = np.random.default_rng(seed)
    kept, held = [], []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise RequestError(f"class number {label} has a single image, which cannot be split")
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held.append(members[:count])
        kept.append(members[count:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held))


def arrange(source: Source, test_fraction: float) -> Arranged:
    """Decide which part is for training, which for validation, and which is held out for the test.

    Raises:
        RequestError: no training part, fewer than two classes, a class outside the training part only,
            or a class too small to be split.
    """
    parts, notes = dict(source.parts), list(source.notes)
    if len(parts) == 1:
        (whole,) = parts.values()
        parts = {"train": whole}
    if "train" not in parts:
        raise RequestError(
            f"{source.name} has parts {', '.join(sorted(parts))} but no training part: "
            f"call one {' or '.join(ROLES['train'])}"
        )
    present = np.unique(np.concatenate([part.labels for part in parts.values()]))
    if len(present) < len(source.classes):
        absent = [name for label, name in enumerate(source.classes) if label not in present]
        notes.append(
            Note(f"Classes without any image were excluded: {', '.join(absent)}.", is_exclusion=True)
        )
        parts = {
            role: replace(part, labels=np.searchsorted(present, part.labels)) for role, part in parts.items()
        }
    classes = tuple(source.classes[label] for label in present)
    if len(classes) < 2:
        raise RequestError(f"{source.name} has one class, {classes[0]!r}: classifying needs at least two")

    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append(Note("The set has no test part: its validation part is held out as the test part."))
    if missing := sorted(set(range(len(classes))) - set(parts["train"].labels.tolist())):
        elsewhere = " and ".join(role for role in parts if role != "train")
        raise RequestError(
            f"only the {elsewhere} part has images of {', '.join(repr(classes[i]) for i in missing)}: "
            "add some to the training part, or remove the class"
        )
    check_counts(parts["train"].labels, classes, 1 + ("test" not in parts) + ("validation" not in parts))
    if "test" not in parts:
        kept, held = stratified_split(parts["train"].labels, test_fraction, TEST_SEED)
        parts = {**parts, "train": parts["train"].take(kept), "test": parts["train"].take(held)}
        notes.append(
            Note(
                f"The set has no test part: {len(held):,} of its {len(kept) + len(held):,} images "
                "are held out as one, always the same."
            )
        )
    if untested := sorted(set(range(len(classes))) - set(parts["test"].labels.tolist())):
        names = ", ".join(classes[label] for label in untested)
        notes.append(Note(f"Classes without test images, whose accuracy is unknown: {names}."))
    return Arranged(parts["train"], parts["test"], parts.get("validation"), classes, notes)


def check_counts(labels: np.ndarray, classes: Sequence[str], needed: int) -> None:
    """Raise RequestError if a class has fewer than `needed` images in the training part."""
    counts = np.bincount(labels, minlength=len(classes))
    if small := [
        f"{name!r} ({count})" for name, count in zip(classes, counts, strict=True) if count < needed
    ]:
        raise RequestError(
            f"too few training images to split: {shortened(small, 8)}; each class needs at least {needed}"
        )
