"""Clean class names from folders and tables, so that they can be printed, drawn and compared."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foveate.data.notes import Note
from foveate.data.parts import Part, Source
from foveate.errors import RequestError, shortened
from foveate.names import cleaned

__all__ = ["unite_class_names"]


def unite_class_names(source: Source) -> Source:
    """Return `source` with cleaned class names, and with classes merged that differ only in spelling.

    "é" is one or two characters in Unicode, and parts from different machines may differ in this.

    Raises:
        RequestError: one part has both spellings, so they may be two classes.
    """
    names = [cleaned(name) for name in source.classes]
    if names == list(source.classes):
        return source
    classes = list(dict.fromkeys(names))
    numbers = np.array([classes.index(name) for name in names], dtype=np.int64)
    for role, part in source.parts.items():
        _refuse_two_spellings(role, part, source.classes, numbers)
    parts = {role: replace(part, labels=numbers[part.labels]) for role, part in source.parts.items()}
    written = [name for name, given in zip(names, source.classes, strict=True) if name != given]
    note = Note(
        f"{len(written)} of {len(names)} class names had characters that cannot be printed, or more than one "
        f"spelling in Unicode, and are written as {shortened(dict.fromkeys(written))}."
    )
    return source._replace(parts=parts, classes=classes, notes=[*source.notes, note])


def _refuse_two_spellings(role: str, part: Part, given: Sequence[str], numbers: np.ndarray) -> None:
    present = np.unique(part.labels)
    united = numbers[present]
    for number in np.unique(united):
        spellings = [given[label] for label in present[united == number]]
        if len(spellings) > 1:
            raise RequestError(
                f"the {role} part has {len(spellings)} classes whose names look the same, "
                f"{' and '.join(ascii(name) for name in spellings)}: merge or rename them"
            )
