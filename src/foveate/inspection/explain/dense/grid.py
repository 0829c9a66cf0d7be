"""The picture of all detectors or segmenters on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from foveate.evaluation.heat import overlay
from foveate.inspection.explain.dense.objects import Finding, KnownObject, ObjectTask
from foveate.inspection.explain.pictures import as_pixels, readable, write_picture
from foveate.inspection.explain.sheets import Tile, draw_sheet, fitted, tile_side
from foveate.notation import listing
from foveate.records.examination import PictureRecord
from foveate.records.labels import display_name, name_in_sentence

__all__ = ["DenseColumn", "draw_dense_grid"]

LARGEST = 200
"""The largest side of a picture in pixels: boxes and masks need more room than a map alone."""


@dataclass(frozen=True, eq=False)
class DenseColumn:
    """A column of the grid: the mechanism of one network, and what it finds in each image of the grid."""

    label: str
    findings: Sequence[Finding]


def draw_dense_grid(
    folder: Path,
    columns: Sequence[DenseColumn],
    task: ObjectTask,
    shown: Sequence[tuple[Tensor, KnownObject]],
    classes: Sequence[str],
) -> PictureRecord:
    """Draw two rows for each image: what is annotated and what each network answers, and the maps below."""
    side = tile_side(1 + len(columns), LARGEST)
    rows = []
    for number, (image, known) in enumerate(shown):
        picture = fitted(as_pixels(image), side)
        findings = [column.findings[number] for column in columns]
        truth = Tile(task.draw_truth(picture, known), (readable(classes[known.label]),))
        answers = [
            Tile(task.draw_answer(picture, known, one), (task.say(one),), None if one.found else False)
            for one in findings
        ]
        heat = [Tile(overlay(picture, one.map.numpy()) if one.found else None) for one in findings]
        rows += [(task.rows[0], [truth, *answers]), (task.rows[1], [Tile(picture), *heat])]
    networks = listing([name_in_sentence(column.label) for column in columns])
    description = (
        f"{len(shown)} images with two rows each. Above, what is annotated, and what {networks} answer: "
        f"{task.drawn}. Below, the image, and laid over it what each network looked at for that object."
    )
    heads = ["image", *(display_name(column.label) for column in columns)]
    sheet = draw_sheet(heads, rows, LARGEST)
    return write_picture(folder, "grid.png", sheet, "Where each network looks", description)
