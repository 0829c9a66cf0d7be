"""Make a set of checked boxes from what the files of a set state."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foveate.data.dense.annotated import BoxPart, BoxSource
from foveate.data.dense.box_checks import CheckedBoxes, check_boxes, describe_fault
from foveate.data.dense.sizes import check_stated, measure, turn_upright
from foveate.data.dense.written import WrittenPart, WrittenSet
from foveate.data.notes import Note
from foveate.errors import RequestError, shortened
from foveate.names import cleaned
from foveate.notation import listing
from foveate.records.boxes import ImageBoxes

__all__ = ["gather"]

NAMED = 5
"""Number of excluded boxes that a note names."""


class _Valid(NamedTuple):
    """The valid boxes of a part: their indices in what was written, and their coordinates."""

    written: WrittenPart
    kept: np.ndarray
    boxes: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.written.labels[self.kept]


def gather(written: WrittenSet, *, refuse_invalid: bool = False) -> BoxSource:
    """Check the boxes of a set against its images, and its classes against each other.

    Invalid boxes are excluded, or refused with `refuse_invalid`; boxes that stick out are clipped; classes
    without boxes are excluded. The remaining classes are in the order of their numbers in the files.

    Raises:
        RequestError: an image in two places, of another size than stated, or that cannot be read; no boxes in
            a part; a single image; a class that only other parts than the training part have.
    """
    notes = [*written.notes]
    _refuse_repeats(written)
    if sum(len(part.images) for part in written.parts.values()) == 1:
        raise RequestError(f"{written.name} has one image, which cannot be split: add more images")
    valid = {
        role: _validate(part, notes, refuse_invalid=refuse_invalid) for role, part in written.parts.items()
    }
    for part in valid.values():
        if not len(part.kept):
            raise RequestError(
                f"{part.written.source} has no boxes"
                + (" that are valid" if len(part.written.boxes) else "")
                + f" for its images ({len(part.written.images):,}): add annotations, or remove the part"
            )
    numbers = _class_numbers(written, valid, notes)
    used = [label for label in np.argsort(numbers, kind="stable") if numbers[label] >= 0]
    return BoxSource(
        name=cleaned(written.name),
        parts={role: _split(part, numbers) for role, part in valid.items()},
        classes=tuple(written.classes[label] for label in used),
        categories=tuple(int(written.categories[label]) for label in used),
        notes=notes,
    )


def _refuse_repeats(written: WrittenSet) -> None:
    seen: dict[Path, str] = {}
    for part in written.parts.values():
        for path in part.images:
            if path in seen:
                both = part.source if seen[path] == part.source else f"{seen[path]} and {part.source}"
                raise RequestError(
                    f"{path} is listed twice, in {both}: keep it in one place, so that no image is both "
                    "trained on and tested"
                )
            seen[path] = part.source


def _validate(part: WrittenPart, notes: list[Note], *, refuse_invalid: bool) -> _Valid:
    """Return the valid boxes of a part in pixels of upright images, and note what was excluded or clipped."""
    sizes = measure(part.images)
    on_side = check_stated(part.source, part.images, part.stated, sizes)
    limits = sizes.upright[part.owners]
    with np.errstate(over="ignore"):  # which is found as not finite
        boxes = part.boxes * np.tile(limits, 2) if part.normalised else part.boxes
    if on_side.any():
        turned = on_side[part.owners]
        boxes = boxes.copy()
        boxes[turned] = turn_upright(boxes[turned], limits[turned], sizes.orientations[part.owners][turned])
        said = f"{on_side.sum():,} images of {part.source} were annotated on their sides (EXIF orientation): "
        notes.append(Note(f"{said}their boxes were turned with them."))
    checked = check_boxes(boxes, limits)
    invalid = np.flatnonzero(checked.faults)
    if len(invalid):
        _report_invalid(part, checked, limits, invalid, notes, refuse_invalid=refuse_invalid)
    if checked.clipped:
        total = len(boxes)
        said = f"{checked.clipped:,} of {total:,} boxes in {part.source} stick out of their images"
        notes.append(Note(f"{said} and were clipped."))
    kept = np.flatnonzero(checked.faults == 0)
    return _Valid(part, kept, checked.boxes[kept])


def _report_invalid(
    part: WrittenPart,
    checked: CheckedBoxes,
    limits: np.ndarray,
    invalid: np.ndarray,
    notes: list[Note],
    *,
    refuse_invalid: bool,
) -> None:
    named = [describe_fault(part, checked, limits, int(k)) for k in invalid[:NAMED]]
    listed = "; ".join(named) + "; …" * (len(invalid) > NAMED)
    counted = f"{len(invalid):,} of {len(checked.faults):,} boxes in {part.source} are invalid"
    if refuse_invalid:
        raise RequestError(f"{counted}: {listed}. Correct or remove them")
    notes.append(Note(f"{counted} and were excluded: {listed}.", is_exclusion=True))


def _class_numbers(written: WrittenSet, valid: Mapping[str, _Valid], notes: list[Note]) -> np.ndarray:
    """Return the final label of each class of `written`, or -1 for a class without boxes, int64."""
    count = len(written.classes)
    present = {role: np.bincount(part.labels, minlength=count) > 0 for role, part in valid.items()}
    anywhere = np.any(list(present.values()), 0)
    if "train" in present and (foreign := np.flatnonzero(anywhere & ~present["train"])).size:
        names = shortened(repr(written.classes[label]) for label in foreign.tolist())
        others = [role for role, found in present.items() if found[foreign].any()]
        files = listing([valid[role].written.source for role in others])
        who = (
            f"{listing(others)} part ({files}) has"
            if len(others) == 1
            else f"{listing(others)} parts ({files}) have"
        )
        raise RequestError(
            f"only the {who} boxes of {names}: add some to the training part "
            f"({valid['train'].written.source}), or remove the class"
        )
    if not anywhere.all():
        absent = [name for name, has in zip(written.classes, anywhere, strict=True) if not has]
        notes.append(Note(f"Classes without any box were excluded: {', '.join(absent)}.", is_exclusion=True))
    ordered = sorted(np.flatnonzero(anywhere).tolist(), key=lambda label: written.categories[label])
    numbers = np.full(count, -1, dtype=np.int64)
    numbers[ordered] = np.arange(len(ordered))
    return numbers


def _split(part: _Valid, numbers: np.ndarray) -> BoxPart:
    """Return the boxes image by image, in the order of the files."""
    written = part.written
    owners = written.owners[part.kept]
    order = np.argsort(owners, kind="stable")
    boxes, kept = part.boxes[order], part.kept[order]
    sides = boxes[:, 2:] - boxes[:, :2]
    stated = written.areas[kept]
    areas = np.where(np.isnan(stated), sides.prod(1), stated).astype(np.float32)
    labels, crowd = numbers[written.labels[kept]], written.crowd[kept]
    ends = np.searchsorted(owners[order], np.arange(len(written.images) + 1)).tolist()
    found = tuple(
        ImageBoxes(boxes[start:end], labels[start:end], areas[start:end], crowd[start:end])
        for start, end in pairwise(ends)
    )
    return BoxPart(tuple(written.images), found, tuple(written.ids))
