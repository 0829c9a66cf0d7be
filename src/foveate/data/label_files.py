"""Read images whose labels are in CSV files: labels.csv as of Kaggle, metadata.csv as of Hugging Face."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from foveate.data.label_values import LABEL_COLUMNS, class_order, one_label_each
from foveate.data.notes import Note
from foveate.data.part_names import roles_among
from foveate.data.parts import role_of
from foveate.data.tree import EXTENSIONS, Tree
from foveate.errors import RequestError, shortened

__all__ = ["Labelled", "read_label_files"]

FILE_COLUMNS = (
    *("file_name", "filename", "file", "filepath", "file_path", "path", "image_path", "img_path"),
    *("image", "img", "image_name", "img_name", "image_id", "img_id", "name", "id"),
)
PART_COLUMNS = ("split", "part", "subset", "set", "fold", "partition")


class Labelled(NamedTuple):
    """Names of images, relative to the root, and the class of each, by the role of their part."""

    parts: dict[str, tuple[list[str], list[str]]]
    classes: list[str]
    notes: list[Note]


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


def read_label_files(tree: Tree, image_column: str | None, label_column: str | None) -> Labelled | None:
    """Return the images that CSV files of a tree list with their labels, or None if no file does.

    A column names image files, as relative paths, names, or names without extension; another has their
    labels, or several have a 1 in the column of the class. A part is what a column `split` says, or the name
    of the CSV file or of the folder that it lies in (train.csv, test/metadata.csv).

    Raises:
        RequestError: a file lists images that are not there, it is not clear which column has the labels, or
            the labels are no classes (several of them for an image, or numbers to be predicted).
    """
    index = _Index(tree)
    found = [
        (table, column)
        for table in _tables(tree.path)
        if (column := _file_column(index, table, image_column)) is not None
    ]
    notes: list[Note] = []
    labelled, unclear = [], []
    for table, column in found:
        try:
            labels = _labels(table, column, label_column)
        except _UnclearColumnError as error:
            unclear.append(error)
            labels = None
        if labels is None or "submission" in table.name:
            said = (
                f"{table.name} was not used: it has no clear column of labels ({', '.join(table.columns)})."
            )
            notes.append(Note(said, is_exclusion=True))
        else:
            labelled.append((table, column, labels))
    if not labelled:
        if unclear:
            raise unclear[0]
        return None
    roles = _roles([table.name for table, _, _ in labelled])
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for (table, column, labels), role in zip(labelled, roles, strict=True):
        files = _resolve(index, table, table.values(column), role)
        for name, label, of_row in zip(files, labels, _row_roles(table, role), strict=True):
            names, classes = parts.setdefault(of_row, ([], []))
            names.append(name)
            classes.append(label)
    _refuse_two_labels(tree.path, parts)
    listed = {name for names, _ in parts.values() for name in names}
    if others := tree.root.count - len(listed):
        tables = shortened(table.name for table, _, _ in labelled)
        notes.append(Note(f"{others:,} images that {tables} does not list were excluded.", is_exclusion=True))
    said = ", ".join(f"{table.name} (column {column})" for table, column, _ in labelled)
    notes.insert(0, Note(f"The labels are those of {said}."))
    every = [label for _, of_part in parts.values() for label in of_part]
    return Labelled(parts, class_order(every), notes)


def _tables(root: Path) -> Iterator[Table]:
    for path in sorted([*root.glob("*.csv"), *root.glob("*/*.csv")]):
        if path.name.startswith((".", "__")):
            continue
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                separator = max(",;\t", key=first.count)
                reader = csv.DictReader(file, delimiter=separator, restkey="", restval="")
                columns = [name or "" for name in reader.fieldnames or ()]
                rows = list(reader) if len(set(columns)) == len(columns) > 1 else []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise RequestError(f"{path} cannot be read as a CSV file in UTF-8: {error}") from error
        if rows:
            yield Table(path.relative_to(root).as_posix(), columns, rows)


def _file_column(index: "_Index", table: Table, given: str | None) -> str | None:
    """Return the column whose values are images of the tree, or None."""
    if given in table.columns:
        return given
    usual = [column for column in table.columns if column.lower() in FILE_COLUMNS]
    others = [column for column in table.columns if column not in usual]
    for column in [*usual, *others]:
        some = [value for value in table.values(column)[:50] if value]
        if sum(bool(index.find(table, value)) for value in some) * 2 > len(some):
            return column
    return None


class _UnclearColumnError(RequestError):
    """It is not clear which column of a table has the labels."""


def _labels(table: Table, file_column: str, given: str | None) -> list[str] | None:
    """Return the class of each row, or None if the table has no labels."""
    others = [column for column in table.columns if column not in (file_column, "")]
    others = [column for column in others if column.lower() not in PART_COLUMNS]
    if given is not None:
        if given not in others:
            raise _UnclearColumnError(
                f"{table.name} has no label column {given!r}: it has {', '.join(table.columns)}"
            )
        return one_label_each(table.name, {given: table.values(given)})
    usual = [column for column in others if column.lower() in LABEL_COLUMNS]
    chosen = usual if len(usual) == 1 else others
    if len(chosen) == 1 or (chosen and _is_one_hot(table, chosen)):
        return one_label_each(table.name, {column: table.values(column) for column in chosen})
    if not chosen:
        return None
    raise _UnclearColumnError(
        f"{table.name}: it is not clear which of its columns {', '.join(chosen)} has the labels: name it "
        "with --label-column"
    )


def _is_one_hot(table: Table, columns: Sequence[str]) -> bool:
    return all(value in ("0", "1", "0.0", "1.0") for column in columns for value in table.values(column))


def _roles(names: Sequence[str]) -> list[str | None]:
    """Return the role of each CSV file: by its name, or by that of the folder that it lies in."""
    stems = [PurePosixPath(name).stem for name in names]
    folders = [PurePosixPath(name).parent.name for name in names]
    by_stem, by_folder = roles_among(stems), roles_among(folders)
    return [
        role_of(stem) or by_stem.get(stem) or by_folder.get(folder)
        for stem, folder in zip(stems, folders, strict=True)
    ]


def _row_roles(table: Table, role: str | None) -> list[str]:
    """Return the role of each row: what its column `split` says, or that of the file, or train."""
    for column in table.columns:
        if column.lower() in PART_COLUMNS:
            values = table.values(column)
            roles = {value: role_of(value) for value in set(values)}
            if all(roles.values()):
                return [str(roles[value]) for value in values]
    return [role or "train"] * len(table.rows)


def _resolve(index: "_Index", table: Table, values: Sequence[str], role: str | None) -> list[str]:
    """Return the image of each row; of several with its name, the one in the part's folder."""
    files, missing = [], []
    for value in values:
        found = index.find(table, value)
        if len(found) > 1:
            own = role or "train"
            inside = [name for name in found if own in map(role_of, PurePosixPath(name).parts[:-1])]
            if len(inside) != 1:
                raise RequestError(
                    f"{table.name}: {value!r} may be {shortened(found)}: write its path below the folder"
                )
            found = inside
        files += found
        if not found:
            missing.append(value)
    if missing:
        raise RequestError(
            f"{table.name} lists {len(missing):,} of {len(values):,} images that are not there: "
            f"{shortened(missing)}. Add them, or remove their rows"
        )
    return files


def _refuse_two_labels(root: Path, parts: Mapping[str, tuple[list[str], list[str]]]) -> None:
    """Refuse an image that is listed twice: it would be trained on and tested, or have two labels."""
    places: dict[str, list[str]] = defaultdict(list)
    for role, (names, labels) in parts.items():
        for name, label in zip(names, labels, strict=True):
            places[name].append(f"{label!r} in the {role} part")
    if twice := [name for name, found in places.items() if len(found) > 1]:
        raise RequestError(
            f"{root}: {len(twice):,} images are listed more than once, {twice[0]} as "
            f"{' and '.join(places[twice[0]])}: keep one row of each"
        )


class _Index:
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
        by_name = self.of_file if path.suffix.lower() in EXTENSIONS else self.of_stem
        return by_name.get(path.name, [])
