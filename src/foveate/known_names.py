"""Tables of names, so that the command line checks and completes them without importing torch and timm.

`tables/mechanisms.json` is what `foveate list --json` writes. `tables/names.json` has the networks and the
optimisers of the versions of timm and torchvision that it states. Both are written from the code by the test
that compares them with it: `FOVEATE_WRITE_DOCS=1 python -m pytest tests/test_known_names.py`.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from foveate.references import Reference, is_reference, read_reference

__all__ = [
    "GROUP",
    "MECHANISMS_TABLE",
    "NAMES_TABLE",
    "InstalledNames",
    "OptionDefault",
    "installed_names",
    "installed_versions",
    "mechanism_names",
    "mechanism_options",
    "names_in_table",
    "reference_of",
    "registered_names",
]

GROUP = "foveate.attention"
"""The entry-point group in which a package registers its mechanisms, NAME = "package.module:Class"."""

MECHANISMS_TABLE = Path(__file__).parent / "tables" / "mechanisms.json"
NAMES_TABLE = MECHANISMS_TABLE.with_name("names.json")

OptionDefault = bool | int | float | str | tuple[object, ...] | None
"""The default of an option of a mechanism."""


@dataclass(frozen=True)
class InstalledNames:
    """The names that timm and torchvision know.

    Attributes:
        versions: of timm and torchvision.
        timm: timm's networks and the cifar_resnets, each with the tags of its pretrained weights; the names
            BACKBONE_MECHANISM are not among them.
        torchvision: torchvision's classifiers.
        optimizers: timm's optimisers.
    """

    versions: Mapping[str, str]
    timm: Mapping[str, tuple[str, ...]]
    torchvision: tuple[str, ...]
    optimizers: tuple[str, ...]


def mechanism_names() -> tuple[str, ...]:
    """Return the sorted names of foveate's mechanisms."""
    return tuple(_options())


@lru_cache(maxsize=1)
def registered_names() -> Mapping[str, str]:
    """Return the mechanisms that installed packages register in the entry-point group `GROUP`.

    The values are references, package.module:Class. Nothing is imported. A name that exists is ignored with a
    warning, so that a package cannot take the place of another or of foveate.
    """
    from importlib import metadata  # which takes a while

    found: dict[str, str] = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name in mechanism_names() or found.get(entry.name, entry.value) != entry.value:
            other = found.get(entry.name, "a mechanism of foveate")
            warnings.warn(
                f"an installed package registers the attention mechanism {entry.name!r} as {entry.value}, "
                f"which is ignored, because that name is {other}",
                stacklevel=2,
            )
        else:
            found[entry.name] = entry.value
    return MappingProxyType(found)


def reference_of(name: str) -> Reference | None:
    """Return where the class of a mechanism is that is not foveate's; None for any other name.

    `name` is a reference itself, or a name that an installed package registers. Raises RequestError for a
    malformed reference.
    """
    if is_reference(name):
        return read_reference(name)
    registered = registered_names().get(name)
    return None if registered is None else read_reference(registered)


def mechanism_options(name: str) -> Mapping[str, OptionDefault]:
    """Return the options of foveate's mechanism called `name` with their defaults."""
    return _options()[name]


@lru_cache(maxsize=1)
def _options() -> dict[str, dict[str, OptionDefault]]:
    table = json.loads(MECHANISMS_TABLE.read_text(encoding="utf-8"))
    return {
        one["name"]: {
            option: tuple(default) if isinstance(default, list) else default
            for option, default in one["options"].items()
        }
        for one in table["mechanisms"]
    }


def installed_names() -> InstalledNames | None:
    """Return the names in the table if they are those of the installed timm and torchvision, else None.

    It is None as well where timm is imported already: a program may have registered networks of its own.
    """
    if "timm" in sys.modules or names_in_table().versions != installed_versions():
        return None
    return names_in_table()


@lru_cache(maxsize=1)
def names_in_table() -> InstalledNames:
    """Return the names in the table, whichever versions are installed."""
    table = json.loads(NAMES_TABLE.read_text(encoding="utf-8"))
    return InstalledNames(
        versions=table["versions"],
        timm={name: tuple(tags.split()) for name, tags in table["timm"].items()},
        torchvision=tuple(table["torchvision"]),
        optimizers=tuple(table["optimizers"]),
    )


def installed_versions() -> dict[str, str]:
    """Return the versions of timm and torchvision, by their names."""
    from importlib import metadata  # which takes a while, and only backbones and optimisers need it

    return {name: metadata.version(name) for name in ("timm", "torchvision")}
