"""Pictures of a few test images: what is true, and what a network with each mechanism finds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from foveate.evaluation.box_assignment import LEAST_IOU, LEAST_SCORE, OF_CROWD, assign
from foveate.files import write_bytes
from foveate.notation import count
from foveate.records.boxes import ImageBoxes, corners_of
from foveate.records.detections import KeptDetections, read_detections
from foveate.records.file_names import RUNS
from foveate.records.labels import display_name
from foveate.records.masks import IGNORED
from foveate.records.metric import DETECTION
from foveate.records.samples import Sample, read_mask_of, read_samples
from foveate.records.study import StudyRecords
from foveate.records.truth import read_truth
from foveate.report.core.drawing import GREY, DrawnBox, class_colours, draw_boxes, draw_mask, enlarged

__all__ = ["PICTURES", "Samples", "Sheet", "Tile", "draw_samples"]

PICTURES = "pictures"
MOST_MECHANISMS = 11
UNCOLOURED = ("background", "_background_")
QUALITY = 88
"""Of the JPEG files: lines stay sharp, and a page with all of them small."""


@dataclass(frozen=True)
class Tile:
    """A picture: its heading, what it shows in words, and its file."""

    heading: str
    detail: str
    file: Path


@dataclass(frozen=True)
class Sheet:
    """The pictures of one test image."""

    title: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Samples:
    """The sheets of a study, how to read them, and the colour of each class that is drawn."""

    lead: str
    legend: tuple[tuple[str, str], ...]
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True)
class _Drawn:
    """A picture that is not yet written.

    Attributes:
        heading: whose it is.
        detail: what it shows, in words.
        image: the picture.
        seen: the labels of the classes in it.
        is_found: whether a network found it, rather than that it is true.
    """

    heading: str
    detail: str
    image: Image.Image
    seen: frozenset[int]
    is_found: bool = False


def draw_samples(records: StudyRecords, report: Path) -> Samples | None:
    """Draw the samples of a study into pictures/ of the folder `report`; None where none were kept.

    Each mechanism is that of its first seed.

    Raises:
        RequestError: a record of boxes or detections is damaged.
    """
    samples = read_samples(records.folder)
    is_detection = records.study.task.name == DETECTION.name
    drawn = _detections(records, samples) if is_detection else _masks(records, samples)
    sheets: list[Sheet] = []
    seen: set[int] = set()
    for sample, pictures in drawn:
        if not any(one.is_found for one in pictures):
            continue
        tiles = []
        for number, one in enumerate(pictures):
            file = report / PICTURES / f"{sample.image.position:06}_{number}.jpg"
            write_bytes(file, _as_jpeg(one.image))
            tiles.append(Tile(one.heading, one.detail, file))
            seen |= one.seen
        sheets.append(Sheet(sample.image.name, tuple(tiles)))
    if not sheets:
        return None
    classes = records.study.data.classes
    colours = _colours(records)
    legend = [(classes[label], colour) for label in sorted(seen - {IGNORED}) if (colour := colours[label])]
    legend += [("not labelled (hatched)", GREY)] * (IGNORED in seen)
    return Samples(_lead(records, is_detection=is_detection), tuple(legend), tuple(sheets))


def _lead(records: StudyRecords, *, is_detection: bool) -> str:
    first = (
        "Test images spread over the part, chosen before any training. Each network is that of its first seed"
    )
    if len(records.finished) > MOST_MECHANISMS:
        first += f", for the first {MOST_MECHANISMS} of {len(records.finished)} mechanisms"
    if not is_detection:
        return f"{first}. Colours are classes, over the image in grey."
    return (
        f"{first}. Boxes with a score of {LEAST_SCORE:g} or more: solid where the box is right (its class, "
        f"and an IoU of {LEAST_IOU:g} or more with a true box that is not taken), dashed where it is wrong."
    )


def _first_runs(records: StudyRecords) -> Iterator[tuple[str, Path]]:
    """Give the name and the folder of the first run of each mechanism that is drawn."""
    for label in records.finished[:MOST_MECHANISMS]:
        runs = records.results[label]
        yield display_name(label), records.folder / RUNS / runs[min(runs)].id


def _colours(records: StudyRecords) -> list[str | None]:
    classes = records.study.data.classes
    colours = class_colours(len(classes))
    is_detection = records.study.task.name == DETECTION.name
    return [
        None if not is_detection and name.lower() in UNCOLOURED else colour
        for name, colour in zip(classes, colours, strict=True)
    ]


def _detections(records: StudyRecords, samples: Sequence[Sample]) -> Iterator[tuple[Sample, list[_Drawn]]]:
    truth = read_truth(records.folder) if samples else None
    if truth is None or len(truth.classes) != len(records.study.data.classes):
        return
    found = {
        name: every
        for name, folder in _first_runs(records)
        if (every := read_detections(folder, truth.ids, truth.categories, LEAST_SCORE)) is not None
    }
    colours = class_colours(len(truth.classes))
    for sample in samples:
        place = sample.image.position
        if place >= len(truth.boxes):
            continue
        there = truth.boxes[place]
        pictures = [_true_boxes(sample, there, colours)]
        pictures += [
            _found_boxes(name, sample, every[place], there, colours) for name, every in found.items()
        ]
        yield sample, pictures


def _true_boxes(sample: Sample, there: ImageBoxes, colours: Sequence[str]) -> _Drawn:
    image, factor = _canvas(sample)
    boxes = [
        DrawnBox((factor * corners).tolist(), GREY if crowd else colours[label], is_dashed=bool(crowd))
        for corners, label, crowd in zip(there.boxes, there.labels, there.crowd, strict=True)
    ]
    crowds = f", and {count(int(there.crowd.sum()), 'crowd')} in grey" if there.crowd.any() else ""
    said = f"{_boxes(int((~there.crowd).sum()))}{crowds}"
    return _Drawn("truth", said, draw_boxes(image, boxes), frozenset(there.labels.tolist()))


def _found_boxes(
    name: str, sample: Sample, found: KeptDetections, there: ImageBoxes, colours: Sequence[str]
) -> _Drawn:
    image, factor = _canvas(sample)
    assigned = assign(found, there)
    boxes = [
        DrawnBox((factor * corners).tolist(), colours[label], is_dashed=not right)
        for corners, label, right in zip(corners_of(found.bbox), found.labels, assigned.is_right, strict=True)
    ]
    right = int(assigned.is_right.sum())
    wrong = int((~assigned.is_right & (assigned.box != OF_CROWD)).sum())
    missed = int((~there.crowd).sum()) - right
    said = f"{right} right, {wrong} wrong, {missed} missed"
    # The surest are drawn last, over the others.
    return _Drawn(name, said, draw_boxes(image, boxes[::-1]), frozenset(found.labels.tolist()), True)


def _boxes(number: int) -> str:
    return "1 box" if number == 1 else f"{number} boxes"


def _canvas(sample: Sample) -> tuple[Image.Image, float]:
    """Return the image to draw on, and the factor from pixels of the whole image to its pixels."""
    image = enlarged(sample.pixels)
    return image, image.width / max(sample.image.width, 1)


def _masks(records: StudyRecords, samples: Sequence[Sample]) -> Iterator[tuple[Sample, list[_Drawn]]]:
    colours = _colours(records)
    for sample in samples:
        true = sample.mask
        if true is None or true.shape != sample.pixels.shape[:2]:
            continue
        pictures = [
            _Drawn("image", "", enlarged(sample.pixels), frozenset()),
            _Drawn("truth", _labelled(true), draw_mask(sample.pixels, true, colours, IGNORED), _seen(true)),
        ]
        for name, folder in _first_runs(records):
            mask = read_mask_of(folder, sample.image.position)
            if mask is None or mask.shape != true.shape or mask.max(initial=0) >= len(colours):
                continue
            is_labelled = true != IGNORED
            right = int((mask == true)[is_labelled].sum())
            share = (
                f"{100 * right / is_labelled.sum():.0f} % of the pixels right" if is_labelled.any() else ""
            )
            picture = draw_mask(sample.pixels, mask, colours, IGNORED)
            pictures.append(_Drawn(name, share, picture, _seen(mask), True))
        yield sample, pictures


def _labelled(mask: np.ndarray) -> str:
    share = float((mask == IGNORED).mean())
    return f"{100 * share:.0f} % of the pixels are not labelled" if share else ""


def _seen(mask: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(mask).tolist())


def _as_jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()
