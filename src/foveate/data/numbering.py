"""Which class a bare number from outside means: a label of another set, or an output of a network."""

from collections.abc import Sequence
from typing import NamedTuple

from foveate.errors import RequestError, shortened

__all__ = ["Numbering", "are_numbers", "number_classes"]


class Numbering(NamedTuple):
    """The label (index into the classes) that each number means, and in words what was assumed for it."""

    labels: dict[int, int]
    assumed: str | None


def are_numbers(classes: Sequence[str]) -> bool:
    """Whether all classes are called by whole numbers, no two of them by the same one."""
    return all(name.isascii() and name.isdecimal() for name in classes) and len(
        {int(name) for name in classes}
    ) == len(classes)


def number_classes(numbers: Sequence[int], classes: Sequence[str], of: str) -> Numbering:
    """Find the class that each of `numbers` means, the numbers that `of` has.

    Where all classes are called by whole numbers, n is the class called n, whatever the order of the classes.
    Otherwise n is the n-th class, counted from 0; then the numbers must be 0 to the number of classes - 1.

    Raises:
        RequestError: a number that is no class, or, where the order decides, a class without a number.
    """
    if are_numbers(classes):
        called = {int(name): index for index, name in enumerate(classes)}
        if strange := [number for number in numbers if number not in called]:
            raise RequestError(
                f"{of} has {shortened(strange)}, and the classes are called {shortened(sorted(called), 12)}: "
                "none of them is called so"
            )
        return Numbering({number: called[number] for number in numbers}, None)
    if sorted(numbers) != list(range(len(classes))):
        raise RequestError(
            f"{of} has {len(numbers)} other labels than those of {len(classes)} classes: "
            f"{shortened(sorted(numbers))} instead of 0 to {len(classes) - 1}"
        )
    pairs = shortened([f"{number} as {name}" for number, name in enumerate(classes)], 12)
    return Numbering(
        {number: number for number in numbers},
        f"{of} has numbers alone, which were read in the order of the classes: {pairs}.",
    )
