"""CSV files beside images: what they hold, and which of their columns name images and labels."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from foveate.data.label_values import LABEL_COLUMNS
from foveate.data.notes import Note
from foveate.data.tree import Tree, is_image
from foveate.errors import RequestError, first_line, shortened

__all__ = [
    "PART_COLUMNS",
    "Chosen",
    "ImageIndex",
    "Table",
    "choose_label_columns",
    "find_file_column",
    "read_tables",
]

FILE_COLUMNS = (
    *("file_name", "filename", "file", "filepath", "file_path", "path", "image_path", "img_path"),
    *("image", "img", "image_name", "img_name", "image_id", "img_id", "name", "id"),
)
PART_COLUMNS = ("split", "part", "subset", "set", "fold", "partition")


@dataclass(frozen=True)
class Table:
    """A CSV file: its name relative to the root, its columns, and its rows as they are written."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, str]]

    @property
    def folder(self) -> str:
        """The folder that it lies in, relative to the root; "" for the root."""
        return self.name.rpartition("/")[0]

    def values(self, column: str) -> list[str]:
        """Return the values of a column."""
        return [row[column].strip() for row in self.rows]


class Chosen(NamedTuple):
    """A table, its column of images, and its column of labels or its columns of classes."""

    table: Table
    file_column: str
    label_columns: list[str]


class ImageIndex:
    """The images of a tree, by their names relative to the root and by their file names."""

    def __init__(self, tree: Tree) -> None:
        names = tree.root.below()
        self.names = frozenset(names)
        self.of_file: dict[str, list[str]] = defaultdict(list)
        self.of_stem: dict[str, list[str]] = defaultdict(list)
        for name in names:
            path = PurePosixPath(name)
            self.of_file[path.name].append(name)
            self.of_stem[path.stem].append(name)

    def find(self, table: Table, value: str) -> list[str]:
        """Return the images that a value may name: a path, a file name, or one without extension."""
        path = PurePosixPath(value.replace("\\", "/"))
        for exact in ((PurePosixPath(table.folder) / path).as_posix(), path.as_posix()):
            if exact in self.names:
                return [exact]
        by_name = self.of_file if is_image(path.name) else self.of_stem
        found = by_name.get(path.name, [])
        if len(path.parts) == 1:
            return found
        above = f"/{path.parent.as_posix().strip('./')}/"  # of a path, the folders must be there, too
        return [name for name in found if above in f"/{PurePosixPath(name).parent.as_posix()}/"]


def read_tables(root: Path) -> Iterator[Table | Note]:
    """Yield the CSV files in a folder and its direct subfolders, or notes on those that cannot be read."""
    for path in sorted([*root.glob("*.csv"), *root.glob("*/*.csv")]):
        if path.name.startswith((".", "__")) or "submission" in path.name or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                separator = max(",;\t", key=first.count)
                columns, *lines = [*csv.reader(file, delimiter=separator)] or [[]]
                wide = len(set(columns)) == len(columns) > 1
                rows = [_row(columns, line) for line in lines if line] if wide else []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            said = f"{name} was not used: it cannot be read as a CSV file in UTF-8 ({first_line(error)})."
            yield Note(said, is_exclusion=True)
            continue
        if rows:
            yield Table(name, columns, rows)
        else:
            said = f"{name} was not used: it has no two columns of different names with rows below."
            yield Note(said, is_exclusion=True)


def _row(columns: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """Return the values by column: "" for those that are missing, and none beyond the last column."""
    return dict(zip(columns, [*values, *("" for _ in columns)], strict=False))


def find_file_column(index: ImageIndex, table: Table, given: str | None) -> str | None:
    """Return the column whose values name most images of the tree, or None if less than half of them do.

    A column of file names that are not there counts too: `read_label_files` says which are missing.

    Raises:
        RequestError: a column's name is an image, so the file has no row of names.
    """
    if given in table.columns:
        return given
    best, most = None, (0.0, 0.0, False)
    for column in table.columns:
        some = [value for value in table.values(column)[:50] if value]
        if not some:
            continue
        if index.find(table, column) and all(index.find(table, value) for value in some):
            raise RequestError(
                f"{table.name} begins with a row of values ({shortened(table.columns)}): give its columns "
                "names in a first row, such as path,label"
            )
        there = sum(bool(index.find(table, value)) for value in some) / len(some)
        written = sum(is_image(value) for value in some) / len(some)
        usual = column.lower() in FILE_COLUMNS
        score = (max(there, written if usual else 0.0), written, usual)
        if score[0] > 0.5 and score > most:
            best, most = column, score
    return best


def choose_label_columns(
    tables: Sequence[tuple[Table, str]], given: str | None, notes: list[Note]
) -> list[Chosen]:
    """Choose the columns of labels; a table that has not the column that another has is not used.

    Raises:
        RequestError: it is not clear which column has the labels.
    """
    chosen, unclear = [], []
    for table, column in tables:
        others = [name for name in table.columns if name not in (column, "")]
        others = [name for name in others if name.lower() not in PART_COLUMNS]
        usual = [name for name in others if name.lower() in LABEL_COLUMNS]
        columns = [given] if given in others else [] if given else usual if len(usual) == 1 else others
        if len(columns) == 1 or (columns and not given and _is_one_hot(table, columns)):
            chosen.append(Chosen(table, column, [str(name) for name in columns]))
        else:
            unclear.append((table, others))
    usual_ones = [one for one in chosen if one.label_columns[0].lower() in LABEL_COLUMNS]
    if usual_ones and not given:
        unclear += [(one.table, one.label_columns) for one in chosen if one not in usual_ones]
        chosen = usual_ones
    if unclear and not chosen:
        table, others = unclear[0]
        if given:
            raise RequestError(
                f"{table.name} has no label column {given!r}: it has {shortened(table.columns)}"
            )
        if others:
            raise RequestError(
                f"{table.name}: it is not clear which of its columns {shortened(others)} has the labels: "
                "name it with --label-column"
            )
    if len({tuple(one.label_columns) for one in chosen}) > 1:
        named = shortened(f"{one.table.name}: {shortened(one.label_columns)}" for one in chosen)
        raise RequestError(
            f"CSV files have labels in different columns ({named}): name one with --label-column"
        )
    for table, others in unclear:
        said = f"{table.name} was not used: it has no clear column of labels ({shortened(others) or 'none'})."
        notes.append(Note(said, is_exclusion=True))
    return chosen


def _is_one_hot(table: Table, columns: Sequence[str]) -> bool:
    return all(value in ("0", "1", "0.0", "1.0") for column in columns for value in table.values(column))
