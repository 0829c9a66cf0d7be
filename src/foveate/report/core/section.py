"""A section of a report: findings in sentences, and the figures, tables, pictures and numbers behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from foveate.records.base import JsonObject
from foveate.records.examination import PictureRecord
from foveate.report.core.tables import Table
from foveate.report.core.theme import Figure

__all__ = ["Picture", "Section", "find_pictures"]

PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG."""


class Picture(NamedTuple):
    """A PNG in the study's folder, with its title, a description in words, and what names in it stand for."""

    title: str
    description: str
    file: Path
    meanings: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Attributes:
        name: the anchor of the section, and the group of its figures.
        title: the heading.
        sentences: the findings.
        figures: charts.
        tables: for people.
        pictures: PNG files.
        numbers: rows for CSV files, by the stem of the file.
        summary: what the record amounts to, as `--json` gives it.
    """

    name: str
    title: str
    sentences: list[str]
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    numbers: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    summary: JsonObject = field(default_factory=dict)


def find_pictures(pictures: Sequence[PictureRecord], folder: Path) -> tuple[list[Picture], list[str]]:
    """Return those of `pictures` that lie in `folder`, and sentences on those that are refused.

    A record may come from anywhere, and a page embeds its pictures: only a PNG that lies in `folder`, also
    after links are resolved, is embedded. A picture that is no longer there is skipped.
    """
    found, refused = [], []
    for one in pictures:
        picture = Picture(one.title, one.description, folder / one.file, one.meanings)
        if not picture.file.resolve().is_relative_to(folder.resolve()):
            refused.append(
                f"The picture “{picture.title}” is not shown: the record names {one.file}, which lies "
                "outside of this folder."
            )
        elif picture.file.is_file():
            with picture.file.open("rb") as file:
                if file.read(len(PNG)) == PNG:
                    found.append(picture)
                else:
                    refused.append(f"The picture “{picture.title}” is not shown: {one.file} is no PNG.")
    return found, refused
