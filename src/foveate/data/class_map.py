"""Match the classes of two sets of images, by their names or by a mapping file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.errors import RequestError, shortened, unknown_name
from foveate.names import cleaned
from foveate.yaml_text import read_yaml

__all__ = ["ClassMap", "Match", "match_classes", "read_class_map", "read_class_names"]


@dataclass(frozen=True)
class Match:
    """Classes of the target set and of the source set that mean the same."""

    target: tuple[str, ...]
    source: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in tables: the names of the target's classes."""
        return " / ".join(self.target)


@dataclass(frozen=True)
class ClassMap:
    """Which classes of a target set a network of the source set can predict.

    Attributes:
        matches: the classes that one prediction stands for, in the order of the target's classes.
        unmatched_target: classes of the target without a match.
        unmatched_source: classes of the source without a match; their logits are ignored.
    """

    matches: tuple[Match, ...]
    unmatched_target: tuple[str, ...]
    unmatched_source: tuple[str, ...]

    @property
    def unmatched(self) -> str:
        """A sentence that counts and names the classes without a match; "" if all have one."""
        sides = (("the target", self.unmatched_target), ("the source", self.unmatched_source))
        said = [f"{len(names)} of {side} ({', '.join(names)})" for side, names in sides if names]
        return f"classes without a match: {' and '.join(said)}." if said else ""


def match_classes(target: Sequence[str], source: Sequence[str]) -> ClassMap:
    """Match classes whose names differ only in case, underscores, hyphens and spaces.

    Raises:
        RequestError: no name is in both.
    """
    by_name: dict[str, list[str]] = {}
    for name in source:
        by_name.setdefault(_normalised(name), []).append(name)
    pairs = [(name, twin) for name in target for twin in by_name.get(_normalised(name), ())]
    if not pairs:
        raise RequestError(
            f"no class of the target ({shortened(target, 8)}) has the name of one of the source "
            f"({shortened(source, 8)}): map the classes with --classes FILE, or transfer the networks with "
            "--how probe or finetune"
        )
    return _joined(pairs, target, source)


def read_class_map(path: Path, target: Sequence[str], source: Sequence[str]) -> ClassMap:
    """Read a YAML or JSON mapping: target class -> source class, or a list of source classes.

    Several target classes may name one source class, and one target class several source classes. These
    cannot be told apart by a prediction, so they count as one class (see `Match`).

    Raises:
        RequestError: the file is missing, empty or no mapping, or a set lacks a class that it names.
    """
    pairs = []
    for key, given in _mapping(path).items():
        name = _known(str(key), target, "class of the target", path)
        for twin in given if isinstance(given, list) else [given]:
            if not isinstance(twin, str):
                raise RequestError(f"{path}: {key!r}: expected the name of a class, or a list, got {twin!r}")
            pairs.append((name, _known(str(twin), source, "class of the source", path)))
    if not pairs:
        raise RequestError(
            f"{path} maps no class: write lines such as 'convertible: automobile' (target: source), or "
            "transfer the networks with --how probe or finetune"
        )
    return _joined(pairs, target, source)


def read_class_names(path: Path, given: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Read a YAML or JSON mapping from the names in `given` to the names in `classes`.

    A name that is not in the file has no class. Several names may have the same class.

    Raises:
        RequestError: the file is missing, empty or no mapping, or has a name that is in neither list.
    """
    names: dict[str, str] = {}
    for key, value in _mapping(path).items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RequestError(f"{path}: {key!r}: expected the name of one class, got {value!r}")
        name = _known(str(key), given, "label or class folder of the prepared set", path)
        names[name] = _known(str(value), classes, "class of the networks", path)
    if not names:
        raise RequestError(f"{path} maps nothing: write lines such as '0: airplane' (label: class)")
    return names


def _mapping(path: Path) -> Mapping[Any, Any]:
    # JSON is YAML. Everything is read as text: a class may be called no, 007 or 1e3.
    content = read_yaml(path, names_only=True)
    if not isinstance(content, dict | None):
        raise RequestError(
            f"{path}: expected a mapping of target classes to source classes, found a "
            f"{type(content).__name__}"
        )
    return content or {}


def _known(given: str, names: Sequence[str], kind: str, path: Path) -> str:
    """Return the one of `names` that equals `given`, or the only one that equals it but for its spelling."""
    if given in names:
        return given
    alike = [name for name in names if _normalised(name) == _normalised(given)]
    if len(alike) != 1:
        raise RequestError(f"{path}: {unknown_name(kind, given, names)}")
    return alike[0]


def _joined(pairs: Sequence[tuple[str, str]], target: Sequence[str], source: Sequence[str]) -> ClassMap:
    """Merge pairs that share a class into one match."""
    groups: list[tuple[set[str], set[str]]] = []
    for name, twin in pairs:
        touching = [group for group in groups if name in group[0] or twin in group[1]]
        groups = [group for group in groups if group not in touching]
        groups.append(
            (
                {name}.union(*(group[0] for group in touching)),
                {twin}.union(*(group[1] for group in touching)),
            )
        )
    matches = [
        Match(
            tuple(name for name in target if name in names), tuple(twin for twin in source if twin in twins)
        )
        for names, twins in groups
    ]
    matches.sort(key=lambda match: list(target).index(match.target[0]))
    return ClassMap(
        tuple(matches),
        tuple(name for name in target if not any(name in match.target for match in matches)),
        tuple(twin for twin in source if not any(twin in match.source for match in matches)),
    )


def _normalised(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", cleaned(name)).strip().casefold()
