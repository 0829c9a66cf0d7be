"""Which names of folders say that they hold a part of a set: train, train_images, val2017, seg_test …"""

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
"""Words that say nothing of what a folder holds; numbers and years do not count either."""


def roles_among(names: Sequence[str]) -> dict[str, str]:
    """The role (train, test, validation) of each of `names`, folders side by side, that has one.

    A name has a role that is one of the usual words for it (see `role_of`). Otherwise a word for it may stand
    beside words that say nothing (train_images, val2017, training-set), where no name is that word alone, or
    beside the same words in the names of two parts (seg_train and seg_test; bullet_train alone is none).
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
    """The role that a word of the name stands for, and the words beside it that say something."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    joined = re.sub(r"(?i)\b(hold|held)[\W_]*out", r"\1out", spaced.replace("_", " "))
    words = re.findall(r"[^\W\d_]+", joined.lower())
    found = [role for word in words for role, known in WORDS.items() if word in known]
    if set(found) == {"train", "validation"}:  # train_val: what is left when the test part is taken away
        found = ["train"]
    if len(set(found)) != 1:
        return None
    said = frozenset(words) - FILLERS - {word for known in WORDS.values() for word in known}
    return found[0], said


def same_but_for_numbers(names: Sequence[str]) -> bool:
    """Whether the names differ in their numbers alone: fold1, fold2."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1 < len(names)


def listed(roles: Mapping[str, str]) -> str:
    """Names with their roles in words: "train_images as the train part"."""
    return ", ".join(f"{name} as the {role} part" for name, role in roles.items())
