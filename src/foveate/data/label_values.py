"""Labels as tables have them: one class for each image, or a refusal that says what they are instead."""

from collections import Counter
from collections.abc import Mapping, Sequence

from foveate.errors import RequestError, shortened

__all__ = ["LABEL_COLUMNS", "class_order", "one_label_each"]

LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category")
SEPARATORS = "|;,"
MOST_NUMBERS = 50
"""Numbers with a decimal point are classes only if there are at most so many different ones."""


def one_label_each(name: str, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the class of each row of a table, from a column of labels or from a 0/1 column per class.

    Raises:
        RequestError: a row has no label, or the labels are several per image or numbers to be predicted.
    """
    if len(columns) > 1:
        return _one_of(name, columns)
    ((column, values),) = columns.items()
    if missing := sum(not value for value in values):
        raise RequestError(f"{name}: rows without {column!r}: {missing:,}. Fill them in, or remove them")
    if several := _several(values):
        raise RequestError(
            f"{name}: its column {column!r} has several labels for an image ({several!r}). foveate compares "
            "networks that give one class to an image: keep one label of each"
        )
    if numbers := _numbers(values):
        raise RequestError(
            f"{name}: its column {column!r} has {numbers:,} different numbers, as if a number was to be "
            "predicted (regression). foveate compares networks that give one class to an image: write classes"
        )
    return list(values)


def class_order(labels: Sequence[str]) -> list[str]:
    """Return the classes in order: by number if all are whole numbers, else by name."""
    names = set(labels)
    if all(name.lstrip("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _one_of(name: str, columns: Mapping[str, Sequence[str]]) -> list[str]:
    classes = list(columns)
    labels = []
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        own = [column for column, value in zip(classes, row, strict=True) if float(value) == 1]
        if len(own) != 1:
            said = f"several labels ({shortened(own)})" if own else "no label"
            raise RequestError(
                f"{name}: image {number} has {said} in the columns {shortened(classes)}. foveate compares "
                "networks that give one class to an image: keep the images with exactly one label"
            )
        labels += own
    return labels


def _several(values: Sequence[str]) -> str | None:
    """Return a value that is a list of labels, or None: its parts are labels of their own elsewhere."""
    counts: Counter[str] = Counter()
    split = {}
    for value in set(values):
        bare = value.strip("[](){}")
        separator = next((one for one in SEPARATORS if one in bare), " ")
        split[value] = [part.strip(" '\"") for part in bare.split(separator)]
        counts.update(set(split[value]))
    listed = [value for value, parts in split.items() if len(parts) > 1]
    shared = [value for value in listed if all(counts[part] > 1 for part in split[value])]
    return min(shared) if shared and 2 * len(shared) >= len(listed) else None


def _numbers(values: Sequence[str]) -> int:
    """Return how many different numbers the values are, if those are too many for classes; else 0."""
    different = set(values)
    try:
        fractions = any(not float(value).is_integer() for value in different)
    except (ValueError, OverflowError):
        return 0
    return len(different) if fractions and len(different) > min(MOST_NUMBERS, len(values) // 4) else 0
