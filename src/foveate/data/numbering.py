"""Find the classes that bare numbers mean: labels of another set, or outputs of a network."""

from collections.abc import Sequence
from typing import NamedTuple

from foveate.errors import RequestError, shortened

__all__ = ["Numbering", "are_numbers", "number_classes"]


class Numbering(NamedTuple):
    """The label (index into the classes) that each number means, and the assumption made for it, if any."""

    labels: dict[int, int]
    assumed: str | None


def are_numbers(classes: Sequence[str]) -> bool:
    """Return whether the names of all classes are whole numbers, all of them different."""
    return all(name.isascii() and name.isdecimal() for name in classes) and len(
        {int(name) for name in classes}
    ) == len(classes)


def number_classes(numbers: Sequence[int], classes: Sequence[str], of: str) -> Numbering:
    """Find the class that each of `numbers` means; `of` names in messages where they are from.

    If the names of all classes are whole numbers, n is the class called n, whatever the order of the classes.
    Otherwise n is the n-th class, counted from 0; then the numbers must be 0 to the number of classes - 1.

    Raises:
        RequestError: a number without a class, or, if the order decides, a class without a number.
    """
    if are_numbers(classes):
        called = {int(name): index for index, name in enumerate(classes)}
        if strange := [number for number in numbers if number not in called]:
            raise RequestError(
                f"{of} has {shortened(strange)}, and no class is called so: the classes are "
                f"{shortened(sorted(called), 12)}"
            )
        return Numbering({number: called[number] for number in numbers}, None)
    if sorted(numbers) != list(range(len(classes))):
        raise RequestError(
            f"{of} has the labels {shortened(sorted(numbers))}: expected 0 to {len(classes) - 1}, "
            f"one for each of {len(classes)} classes"
        )
    pairs = shortened([f"{number} as {name}" for number, name in enumerate(classes)], 12)
    return Numbering(
        {number: number for number in numbers},
        f"{of} has only numbers, which were read in the order of the classes: {pairs}.",
    )
