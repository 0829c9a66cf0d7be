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
from foveate.data.tree import Tree, is_image
from foveate.errors import RequestError, first_line, shortened
from foveate.notation import count

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


def read_label_files(
    tree: Tree, image_column: str | None, label_column: str | None, *, has_classes: bool
) -> tuple[Labelled | None, list[Note]]:
    """Return the images that CSV files of a tree list with their labels, or None, and notes on unused files.

    A column names image files, as relative paths, names, or names without extension; another has their
    labels, or several have a 1 in the column of the class. A part is what a column `split` says, or the name
    of the CSV file or of the folder that it lies in (train.csv, test/metadata.csv).

    With `has_classes` the images also lie in class folders. Then a file is read only if it has a column that
    is named as labels are, lists all images, and says something else than the folders; files that cannot be
    read so are left alone.

    Raises:
        RequestError: without `has_classes`, a file lists images that are not there, it is not clear which
            column has the labels, or the labels are no classes (several of them for an image, or numbers to
            be predicted).
    """
    if not has_classes:
        return _read(tree, image_column, label_column, only_usual=False)
    try:
        found, _ = _read(tree, image_column, label_column, only_usual=label_column is None)
    except RequestError as error:
        return None, [Note(f"The class folders were read, and no CSV file: {error}.", is_exclusion=True)]
    if found is None or _says_what_folders_say(found):
        return None, []
    listed = sum(len(names) for names, _ in found.parts.values())
    if listed < tree.root.count:
        said = f"The class folders were read; CSV files list {listed:,} of {tree.root.count:,} images alone."
        return None, [Note(said, is_exclusion=True)]
    return found, [Note("Those files were read, and not the class folders, which say something else.")]


def _says_what_folders_say(listed: Labelled) -> bool:
    """Return whether each image's label is the name of the folder that it lies in."""
    pairs = [pair for part in listed.parts.values() for pair in zip(*part, strict=True)]
    return all(label == PurePosixPath(name).parent.name for name, label in pairs)


def _read(
    tree: Tree, image_column: str | None, label_column: str | None, *, only_usual: bool
) -> tuple[Labelled | None, list[Note]]:
    index = _Index(tree)
    tables, notes = [], []
    for table in _tables(tree.path):
        if isinstance(table, Note):
            notes.append(table)
            continue
        column = _file_column(index, table, image_column)
        if column is None:
            first = shortened(f"{name} {value!r}" for name, value in table.rows[0].items())
            said = f"{table.name} was not used: none of its columns names images ({first})."
            notes.append(Note(said, is_exclusion=True))
        elif not only_usual or any(name.lower() in LABEL_COLUMNS for name in table.columns):
            tables.append((table, column))
    labelled = _label_columns(tables, label_column, notes)
    if not labelled:
        return None, notes
    parts: dict[str, tuple[list[str], list[str]]] = {}
    roles = _roles([one.table.name for one in labelled])
    for (table, column, label_columns), role in zip(labelled, roles, strict=True):
        labels = one_label_each(table.name, {name: table.values(name) for name in label_columns})
        files = _resolve(index, table, table.values(column), role)
        for name, label, of_row in zip(files, labels, _row_roles(table, role), strict=True):
            names, classes = parts.setdefault(of_row, ([], []))
            names.append(name)
            classes.append(label)
    parts = _without_repeats(tree.path, parts)
    listed = {name for names, _ in parts.values() for name in names}
    if others := tree.root.count - len(listed):
        named = shortened(one.table.name for one in labelled)
        said = f"Images that {named} does not list were excluded: {others:,}."
        notes.append(Note(said, is_exclusion=True))
    said = ", ".join(f"{table.name} (column {shortened(columns)})" for table, _, columns in labelled)
    every = [label for _, of_part in parts.values() for label in of_part]
    return Labelled(parts, class_order(every), [Note(f"The labels are those of {said}.")]), notes


class _Chosen(NamedTuple):
    """A table, its column of images, and its column of labels or its columns of classes."""

    table: Table
    file_column: str
    label_columns: list[str]


def _tables(root: Path) -> Iterator[Table | Note]:
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


def _file_column(index: "_Index", table: Table, given: str | None) -> str | None:
    """Return the column whose values name most images of the tree, or None if less than half of them do.

    A column of file names that are not there counts too: `_resolve` says which are missing.

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


def _label_columns(
    tables: Sequence[tuple[Table, str]], given: str | None, notes: list[Note]
) -> list[_Chosen]:
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
            chosen.append(_Chosen(table, column, [str(name) for name in columns]))
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
    """Return the role of each row: what its column `split` says, or that of the file, or train.

    Raises:
        RequestError: the column has a part's name in some rows, and something else in others.
    """
    for column in table.columns:
        if column.lower() in PART_COLUMNS:
            values = table.values(column)
            roles = {value: role_of(value) for value in set(values)}
            if all(roles.values()):
                return [str(roles[value]) for value in values]
            if any(roles.values()):
                unknown = shortened(sorted(repr(value) for value, known in roles.items() if not known))
                raise RequestError(
                    f"{table.name}: its column {column!r} has {unknown} beside the names of parts: write "
                    "train, val or test in each row, or remove the rows"
                )
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


def _without_repeats(
    root: Path, parts: Mapping[str, tuple[list[str], list[str]]]
) -> dict[str, tuple[list[str], list[str]]]:
    """Return the parts with each image once.

    Raises:
        RequestError: an image is listed in two parts, or with two labels.
    """
    places: dict[str, list[str]] = defaultdict(list)
    once: dict[str, tuple[list[str], list[str]]] = {}
    for role, (names, labels) in parts.items():
        pairs = dict.fromkeys(zip(names, labels, strict=True))
        once[role] = [name for name, _ in pairs], [label for _, label in pairs]
        for name, label in pairs:
            places[name].append(f"{label!r} in the {role} part")
    if twice := [name for name, found in places.items() if len(found) > 1]:
        raise RequestError(
            f"{root}: {count(len(twice), 'image')} listed more than once, {twice[0]} as "
            f"{shortened(places[twice[0]])}: keep one row of each"
        )
    return once


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
        by_name = self.of_file if is_image(path.name) else self.of_stem
        found = by_name.get(path.name, [])
        if len(path.parts) == 1:
            return found
        above = f"/{path.parent.as_posix().strip('./')}/"  # of a path, the folders must be there, too
        return [name for name in found if above in f"/{PurePosixPath(name).parent.as_posix()}/"]
