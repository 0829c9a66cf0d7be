"""Read images whose labels are in CSV files: labels.csv as of Kaggle, metadata.csv as of Hugging Face."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from foveate.data.label_tables import (
    PART_COLUMNS,
    ImageIndex,
    Table,
    choose_label_columns,
    find_file_column,
    read_tables,
)
from foveate.data.label_values import LABEL_COLUMNS, class_order, one_label_each
from foveate.data.notes import Note
from foveate.data.part_names import roles_among
from foveate.data.parts import role_of
from foveate.data.tree import Tree
from foveate.errors import RequestError, shortened
from foveate.notation import count

__all__ = ["Labelled", "read_label_files"]


class Labelled(NamedTuple):
    """Names of images, relative to the root, and the class of each, by the role of their part."""

    parts: dict[str, tuple[list[str], list[str]]]
    classes: list[str]
    notes: list[Note]


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
    index = ImageIndex(tree)
    tables, notes = [], []
    for table in read_tables(tree.path):
        if isinstance(table, Note):
            notes.append(table)
            continue
        column = find_file_column(index, table, image_column)
        if column is None:
            first = shortened(f"{name} {value!r}" for name, value in table.rows[0].items())
            said = f"{table.name} was not used: none of its columns names images ({first})."
            notes.append(Note(said, is_exclusion=True))
        elif not only_usual or any(name.lower() in LABEL_COLUMNS for name in table.columns):
            tables.append((table, column))
    labelled = choose_label_columns(tables, label_column, notes)
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


def _resolve(index: ImageIndex, table: Table, values: Sequence[str], role: str | None) -> list[str]:
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
