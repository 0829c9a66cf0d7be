"""Decide which values of masks are classes, by names in a file or by the masks, and refuse unclear ones."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from foveate.data.dense.class_lists import read_class_list
from foveate.data.dense.found_masks import FoundMasks
from foveate.data.notes import Note
from foveate.errors import RequestError, remedy, shortened
from foveate.notation import count, listing
from foveate.records.masks import IGNORED

if TYPE_CHECKING:
    from foveate.data.dense.mask_survey import MaskSurvey

__all__ = ["check_classes", "named_classes", "unknown_values", "unnamed_classes"]

MOST_UNNAMED = 150
"""More values than this without names are taken for the blurred edges of a resized drawing, and refused."""
SHOWN = 12


def named_classes(found: FoundMasks, given: Path | None) -> dict[int, str] | None:
    """Return the name of each value, of the given file or of the set, or None if nothing names them.

    Raises:
        RequestError: the file cannot be read, or one is given for a set whose classes are known.
    """
    if given is not None:
        if found.named_in == "Cityscapes":
            raise RequestError(f"Cityscapes' classes are known: expected no file of class names, got {given}")
        return read_class_list(given)
    if found.classes is not None:
        return dict(found.classes)
    return read_class_list(Path(found.named_in)) if found.named_in else None


def unnamed_classes(root: Path, survey: "MaskSurvey", skipped: Set[int]) -> tuple[dict[int, str], Note]:
    """Return a class for each value that the masks have, with the note that says so.

    If not all masks were looked at, each value up to the largest that was found is a class.

    Raises:
        RequestError: so many values that they are no classes.
    """
    present = [value for value in survey.values if value not in skipped]
    if len(present) > MOST_UNNAMED:
        raise RequestError(
            f"{root}: its masks have {len(present)} values and no file names the classes. Edges that were "
            "blurred when masks were resized or drawn have such values: make the masks again without "
            "interpolation. If all are classes, name them in a file classes.txt, one a line"
        )
    if not survey.is_complete and present:
        present = [value for value in range(present[-1] + 1) if value not in skipped]
    found = _values(present)
    said = f"No file names the classes (such as classes.txt): each value that masks have is one ({found})."
    return {value: f"class {value}" for value in present}, Note(said)


def unknown_values(masks: Sequence[Path], values: Sequence[int]) -> RequestError:
    """Return the error that masks have values which are neither a class nor ignored."""
    some = f"{masks[0]} has" if len(masks) == 1 else f"{len(masks):,} masks, the first is {masks[0]}, have"
    example = remedy(python=f"ignored={values[0]}", command=f"--ignored-label {values[0]}")
    kind, is_no = ("value", "is no class") if len(values) == 1 else ("values", "are no classes")
    return RequestError(
        f"{some} the {kind} {_values(values)}, which {is_no} and not ignored: name each value in the file of "
        f"class names (its first line is the value 0), correct the masks, or ignore one value ({example})"
    )


def check_classes(root: Path, survey: "MaskSurvey", classes: Mapping[int, str]) -> list[Note]:
    """Return notes on classes and training images without a labelled pixel.

    Raises:
        RequestError: fewer than two classes, or a class that the training part does not have.
    """
    present = [value for value in survey.values if value in classes]
    if len(classes) < 2 or (len(present) < 2 and survey.is_complete):
        raise RequestError(f"{root}: {_too_few(survey.values, len(present))}")
    train = "train" if "train" in survey.pixels else next(iter(survey.pixels))
    trained = survey.values_of(train)
    if survey.is_complete and (missing := [value for value in present if value not in trained]):
        named = shortened([repr(classes[value]) for value in missing], SHOWN)
        others = listing([role for role in survey.pixels if set(survey.values_of(role)) & set(missing)])
        raise RequestError(
            f"{root}: only the {others} part has pixels of {named}: add images with them to the training "
            "part, or ignore the class"
        )
    notes = []
    if absent := [name for value, name in classes.items() if value not in present]:
        which = "any mask" if survey.is_complete else "a mask that was looked at"
        notes.append(Note(f"Classes without a pixel in {which}: {shortened(absent, SHOWN)}."))
    unlabelled = int((survey.pixels[train][:, list(classes)].sum(axis=1) == 0).sum())
    if unlabelled:
        of = count(len(survey.masks[train]), "training mask")
        notes.append(Note(f"{unlabelled:,} of {of} without a labelled pixel: nothing is learned from them."))
    return notes


def _too_few(values: Sequence[int], labelled: int) -> str:
    if list(values) == [0, IGNORED]:
        return (
            "its masks have the values 0 and 255, as drawing programs write black and white, and 255 stands "
            "for pixels that are ignored, which leaves one class. Write 1 in place of 255 and save the masks "
            "again as PNG, or save them with one bit a pixel"
        )
    return (
        f"its masks have the {'value' if len(values) == 1 else 'values'} {_values(values)}, of which "
        f"{labelled or 'none'} {'is a class' if labelled < 2 else 'are classes'}: training needs at least two"
    )


def _values(values: Sequence[int]) -> str:
    """Write values of masks: "0 to 10", or some of them."""
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} to {values[-1]}"
    return shortened(values, SHOWN)
