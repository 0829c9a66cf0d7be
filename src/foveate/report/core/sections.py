"""Sections of a report made of what examined the trained networks: explain, robustness, transfer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from foveate.errors import RequestError
from foveate.records.base import reading
from foveate.records.study import read_shown
from foveate.report.core.tables import Table
from foveate.report.core.theme import Figure

__all__ = [
    "Examined",
    "Picture",
    "Section",
    "find_examined",
    "find_pictures",
    "find_sections",
    "read_examined",
]

KINDS = {"robustness": "robustness.json", "explain": "explain.json", "transfer": "transfer-*.json"}
"""Where the records are: what was carried over to several sets has one for each."""

PNG = b"\x89PNG\r\n\x1a\n"
"""How every PNG begins."""
NAMED = 10
"""So many of what was left out are named; the record names all."""


class Picture(NamedTuple):
    """A PNG in the study's folder, with its title and itself in words."""

    title: str
    description: str
    file: Path


@dataclass(frozen=True)
class Section:
    """One section: its findings in sentences, then what shows them.

    `name` is its anchor and the group of its figures; `numbers` are rows for CSV files by their stems,
    `summary` is what the record comes to in plain numbers.
    """

    name: str
    title: str
    sentences: list[str]
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    numbers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


class Examined(NamedTuple):
    """A record of an examination, and its section."""

    record: dict[str, Any]
    section: Section

    @property
    def summary(self) -> dict[str, Any]:
        """What the record comes to in plain numbers."""
        return self.section.summary

    @property
    def unmeasured(self) -> list[str]:
        """The names of networks that have no row: each was left out, and the record says why."""
        measured = {row["key"].get("name", row["key"]["network"]) for row in self.record["rows"]}
        return [one["name"] for one in self.record["networks"] if one["name"] not in measured]


def find_sections(folder: Path) -> list[Section]:
    """The sections of what was examined in the folder of a study."""
    return [examined.section for examined in find_examined(folder)]


def find_examined(folder: Path) -> list[Examined]:
    """The records of what was examined in `folder`, but for those without a row, in the order of `KINDS`."""
    paths = [path for pattern in KINDS.values() for path in sorted(folder.glob(pattern))]
    return [examined for path in paths if (examined := read_examined(path)).record["rows"]]


def read_examined(path: Path) -> Examined:
    """The record at `path`, summarised; its section also has its warnings and the first of what was left out.

    Raises RequestError where it is no record of an examination, or of another format.
    """
    record = read_shown(path)
    for kind in KINDS:
        if str(record.get("kind", "")).startswith(kind):
            with reading(path):
                section = _maker(kind)(record, path.parent)
            said = [f"Left out: {sentence}" for sentence in record["left_out"][:NAMED]]
            if (more := len(record["left_out"]) - NAMED) > 0:
                said.append(f"Left out, and named in {path.name}: {more:,} more.")
            section = replace(section, sentences=[*section.sentences, *record["warnings"], *said])
            return Examined(record, section)
    raise RequestError(f"{path} is no record of an examination: its kind is {record.get('kind')!r}")


def find_pictures(record: dict[str, Any], folder: Path) -> tuple[list[Picture], list[str]]:
    """Return the pictures that `record` names in `folder`, and sentences on those that are not to be shown.

    A record may come from anywhere, and a page takes its pictures in: only a PNG that lies in `folder`, also
    where links lead to it, is one. A picture that is no longer there is passed over.
    """
    pictures, refused = [], []
    for one in record.get("pictures", []):
        picture = Picture(one["title"], one["description"], folder / one["file"])
        if not picture.file.resolve().is_relative_to(folder.resolve()):
            refused.append(
                f"The picture “{picture.title}” is not shown: the record names {one['file']}, which lies "
                "outside of this folder."
            )
        elif picture.file.is_file():
            with picture.file.open("rb") as file:
                if file.read(len(PNG)) == PNG:
                    pictures.append(picture)
                else:
                    refused.append(f"The picture “{picture.title}” is not shown: {one['file']} is no PNG.")
    return pictures, refused


def _maker(kind: str) -> Callable[[dict[str, Any], Path], Section]:
    """What makes the section of a record; imported here, as it imports this module."""
    if kind == "robustness":
        from foveate.report.robustness.section import robustness_section

        return robustness_section
    if kind == "explain":
        from foveate.report.explain.section import explained_section

        return explained_section
    from foveate.report.transfer.section import transfer_section

    return transfer_section
