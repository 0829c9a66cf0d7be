"""Recognise the names of folders that hold a part of a set: train, train_images, val2017, seg_test …"""

import re
from collections.abc import Mapping, Sequence

from foveate.data.parts import role_of

__all__ = ["listed", "roles_among", "same_but_for_numbers"]

WORDS = {
    "train": ("train", "training", "trainset", "trainingset", "traindata", "trainval"),
    "test": ("test", "testing", "testset", "testingset", "testdata", "holdout", "heldout"),
    "validation": ("val", "valid", "validation", "valset", "validset", "validationset", "dev", "devset"),
}
FILLERS = frozenset(
    {
        *("all", "data", "dataset", "files", "folder", "image", "images", "img", "imgs", "jpeg", "jpg"),
        *("part", "photos", "pictures", "png", "set", "split"),
    }
)
"""Words without information on what a folder holds; numbers and years are ignored as well."""


def roles_among(names: Sequence[str]) -> dict[str, str]:
    """Return the role (train, test, validation) of each of `names`, the folders in one place, that has one.

    A name that is a usual word for a role has that role (see `role_of`). So has a name that contains such a
    word beside words without information (train_images, val2017, training-set), if no name is that word,
    or beside the same words as the name of another part (seg_train and seg_test, but not bullet_train alone).
    """
    exact = {name: role for name in names if (role := role_of(name))}
    words = {name: found for name in names if name not in exact and (found := _read(name))}
    clear = {name: role for name, (role, rest) in words.items() if not rest and role not in exact.values()}
    if exact or clear:
        return exact | clear
    return {
        name: role
        for name, (role, rest) in words.items()
        if any(other != role and beside == rest for other, beside in words.values())
    }


def _read(name: str) -> tuple[str, frozenset[str]] | None:
    """Return the role that a word of the name stands for, and its other words with information."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    joined = re.sub(r"(?i)\b(hold|held)[\W_]*out", r"\1out", spaced.replace("_", " "))
    words = re.findall(r"[^\W\d_]+", joined.lower())
    found = [role for word in words for role, known in WORDS.items() if word in known]
    if set(found) == {"train", "validation"}:  # train_val: all but the test part
        found = ["train"]
    if len(set(found)) != 1:
        return None
    said = frozenset(words) - FILLERS - {word for known in WORDS.values() for word in known}
    return found[0], said


def same_but_for_numbers(names: Sequence[str]) -> bool:
    """Return whether the names differ only in their numbers: fold1, fold2."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1 < len(names)


def listed(roles: Mapping[str, str]) -> str:
    """Return names with their roles in words: "train_images as the train part"."""
    return ", ".join(f"{name} as the {role} part" for name, role in roles.items())
