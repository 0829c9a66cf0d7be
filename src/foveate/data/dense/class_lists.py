"""Read the names of classes from a text file with one on each line."""

import re
from collections import Counter
from pathlib import Path

from foveate.errors import RequestError, shortened
from foveate.names import cleaned

__all__ = ["find_class_list", "read_class_list"]

FILES = ("classes.txt", "class_names.txt", "names.txt", "labels.txt", "codes.txt")
MOST_CLASSES = 255
COLOURED = re.compile(r"(.*\S)[\s,;]+\d{1,3}[\s,;]+\d{1,3}[\s,;]+\d{1,3}")
NUMBERED = re.compile(r"(\d{1,3})[\s,;:]+(\S.*)")
OUTSIDE = "__ignore__"
"""The first line of lists that labelme reads; it stands for -1, and the next line for 0."""


def find_class_list(root: Path) -> Path | None:
    """Return the file of class names in a folder, by its name.

    Raises:
        RequestError: there are several.
    """
    found = [root / name for name in FILES if (root / name).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise RequestError(f"{root} has {names}, which may each name the classes: keep one of them")
    return found[0] if found else None


def read_class_list(path: Path) -> dict[int, str]:
    """Return the name of each value, from a file of `name`, `name r g b` or `index name` on each line.

    Names without an index are numbered from 0. Empty lines and lines that begin with "#" do not count.

    Raises:
        RequestError: the file cannot be read, has no name, too many, or the same name or index twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} names the classes and is not UTF-8 text: save it as UTF-8") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines[:1] == [OUTSIDE]:
        lines = lines[1:]
    if lines and all(coloured := [COLOURED.fullmatch(line) for line in lines]):
        lines = [match[1] for match in coloured if match]
    indices = list(range(len(lines)))
    if lines and all(numbered := [NUMBERED.fullmatch(line) for line in lines]):
        pairs = [(int(match[1]), match[2]) for match in numbered if match]
        indices, lines = [index for index, _ in pairs], [name for _, name in pairs]
    names = [cleaned(line) for line in lines]
    _check(path, indices, names)
    return dict(zip(indices, names, strict=True))


def _check(path: Path, indices: list[int], names: list[str]) -> None:
    if not names:
        raise RequestError(f"{path} names no class: expected one name on each line")
    for kind, given in (("name", names), ("index", indices)):
        if twice := [one for one, count in Counter(given).items() if count > 1]:
            raise RequestError(
                f"{path} has the {kind} {shortened(twice)} more than once: each class has its own. Lines "
                "that all begin with a number are read as index and name"
            )
    if max(indices) >= MOST_CLASSES:
        raise RequestError(
            f"{path} names the value {max(indices)}: masks have the values 0 to {MOST_CLASSES - 1}, and "
            f"{MOST_CLASSES} is ignored"
        )
