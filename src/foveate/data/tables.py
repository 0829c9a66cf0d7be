"""Read tables with a column of images by Hugging Face datasets, from parquet files or the hub."""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveate.data.folder import files_identity, files_stamps
from foveate.data.label_values import LABEL_COLUMNS
from foveate.data.notes import Note
from foveate.data.parts import Part, Source, role_of
from foveate.data.source import HUB_NAME
from foveate.errors import RequestError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["parquet_files", "read_hub", "read_parquet"]


class TableImages:
    """The images of a table's column, each a struct of `bytes` and `path`.

    Rows are read from the memory-mapped Arrow table, because the dataset formats each row.
    """

    def __init__(self, dataset: "Dataset", column: str, name: str) -> None:
        self.dataset, self.column, self.name = dataset, column, name

    def __getitem__(self, row: int) -> bytes | Path:
        stored = self._stored(row)
        if stored.get("bytes") is None and stored.get("path"):
            return Path(stored["path"])
        return stored.get("bytes") or b""

    def where(self, row: int) -> str:
        """Return the part and row, and the file that the row was made from if it is known."""
        path = self._stored(row).get("path")
        return f"{self.name}, row {row}" + (f" ({path})" if path else "")

    def _stored(self, row: int) -> dict[str, Any]:
        return self.dataset.data.column(self.column)[row].as_py() or {}


def parquet_files(root: Path) -> list[str]:
    """Return the relative names of the parquet files in `root` and its direct subfolders, sorted."""
    found = [*root.glob("*.parquet"), *root.glob("*/*.parquet")]
    return sorted(file.relative_to(root).as_posix() for file in found)


def read_parquet(root: Path, image_column: str | None, label_column: str | None) -> Source:
    """Read the parquet files below `root`; their names say which part they belong to.

    Raises:
        RequestError: no readable table, or no clear image or label column.
    """
    try:
        tables = _load(str(root))
    except (OSError, ValueError) as error:
        raise RequestError(f"{root}: its parquet files cannot be read: {error}") from error
    files = parquet_files(root)
    stamps = files_stamps(root, files)
    found = _read(root.name, tables, files_identity(root, files, stamps), image_column, label_column)
    times = hashlib.sha256(stamps.astype("<i8").tobytes()).hexdigest()
    return found._replace(size=int(stamps[:, 0].sum()), times=times)


def read_hub(source: str, image_column: str | None, label_column: str | None) -> Source:
    """Read a set of the Hugging Face hub (`owner/name`, `owner/name:config`), downloading it the first time.

    Raises:
        RequestError: the set cannot be loaded, or has no clear image or label column.
    """
    match = HUB_NAME.fullmatch(source)
    assert match is not None
    try:
        tables = _load(match["path"], match["config"])
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{source!r} is neither a folder nor a set that the Hugging Face hub provides: {error}"
        ) from error
    sizes = {part: (table.num_rows, str(table.features)) for part, table in tables.items()}
    files = sorted(next(iter(tables.values())).info.download_checksums or ())  # addresses with their commit
    identity = hashlib.sha256(json.dumps([source, sizes, files], sort_keys=True).encode()).hexdigest()
    size = sum(table.data.nbytes for table in tables.values())
    return _read(source, tables, identity, image_column, label_column)._replace(size=size)


def _load(path: str, config: str | None = None) -> "DatasetDict":
    import datasets
    import huggingface_hub

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
        datasets.logging.set_verbosity_error()
        huggingface_hub.logging.set_verbosity_error()
    return datasets.load_dataset(path, config)


def _read(
    name: str, tables: "DatasetDict", identity: str, image_column: str | None, label_column: str | None
) -> Source:
    features = next(iter(tables.values())).features
    image_column = _image_column(name, features, image_column)
    label_column, notes = _label_column(name, features, label_column)
    raw = {part: table.data.column(label_column).to_numpy() for part, table in tables.items()}

    unlabelled = [part for part, labels in raw.items() if _lacks_labels(labels).all()]
    notes += [
        Note(f"The {part} part was excluded: it has no labels.", is_exclusion=True) for part in unlabelled
    ]
    chosen: dict[str, str] = {}
    for part in raw:
        role = role_of(part) or (part if len(raw) == 1 else None)
        if role is None or role in chosen:
            said = f"The {part} part was excluded: only train, test and validation parts are used."
            notes.append(Note(said, is_exclusion=True))
        elif part not in unlabelled:
            chosen[role] = part
    if not chosen:
        raise RequestError(f"{name} has no labelled train, test or validation part: it has {', '.join(raw)}")

    for part in chosen.values():
        if missing := int(_lacks_labels(raw[part]).sum()):
            raise RequestError(
                f"{name}: {missing:,} rows of the {part} part have no {label_column!r}: remove them"
            )
    if _is_class_label(features[label_column]):
        classes = list(features[label_column].names)
        numbers = {role: raw[part] for role, part in chosen.items()}
    else:
        values = np.unique(np.concatenate([raw[part] for part in chosen.values()]))
        classes = [str(value) for value in values]
        numbers = {role: np.searchsorted(values, raw[part]) for role, part in chosen.items()}
    parts = {
        role: Part(
            TableImages(tables[part], image_column, f"{name}, {part} part"),
            np.arange(len(raw[part])),
            numbers[role].astype(np.int64),
        )
        for role, part in chosen.items()
    }
    return Source(name, parts, classes, f"{identity}:{image_column}", notes)


def _lacks_labels(labels: np.ndarray) -> np.ndarray:
    """Return a mask of the rows without a label: -1 or null, which Arrow turns into NaN or None."""
    if labels.dtype == object:
        return np.array([label is None for label in labels], dtype=bool)
    return np.isnan(labels) | (labels == -1)


def _is_class_label(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel"


def _holds_images(feature: Any) -> bool:
    return type(feature).__name__ == "Image" or (isinstance(feature, dict) and "bytes" in feature)


def _holds_labels(feature: Any) -> bool:
    kind = getattr(feature, "dtype", None) or ""
    return _is_class_label(feature) or kind.startswith(("int", "uint", "bool")) or kind.endswith("string")


def _image_column(name: str, features: Any, given: str | None) -> str:
    found = [column for column, feature in features.items() if _holds_images(feature)]
    if given is None and len(found) == 1:
        return found[0]
    if given in found:
        return str(given)
    raise _unclear_column(name, "image", given, found, features)


def _label_column(name: str, features: Any, given: str | None) -> tuple[str, list[Note]]:
    possible = [column for column, feature in features.items() if _holds_labels(feature)]
    if given in possible:
        return str(given), []
    _refuse_no_classes(name, features, given)
    usual = [column for column in possible if column in LABEL_COLUMNS]
    found = [column for column in possible if column in usual or _is_class_label(features[column])]
    if given is None and len(found) == 1:
        return found[0], []
    if given is None and len(usual) == 1:
        said = f"Of the label columns {', '.join(found)}, {usual[0]} was used (--label-column)."
        return usual[0], [Note(said)]
    raise _unclear_column(name, "label", given, found or possible, features)


def _refuse_no_classes(name: str, features: Any, given: str | None) -> None:
    """Refuse a column of labels that holds lists (several labels of an image) or numbers to be predicted."""
    for column in [given] if given else [column for column in features if column in LABEL_COLUMNS]:
        feature = features.get(column)
        kind = "" if _is_class_label(feature) else str(getattr(feature, "dtype", None) or "")
        if isinstance(feature, list) or type(feature).__name__ in ("List", "LargeList", "Sequence"):
            what = "several labels for an image"
        elif kind.startswith(("float", "double")):
            what = "numbers to be predicted (regression)"
        else:
            continue
        raise RequestError(
            f"{name}: its column {column!r} has {what}. foveate compares networks that give one class to an "
            "image: name a column of classes with --label-column"
        )


def _unclear_column(name: str, kind: str, given: str | None, found: list[str], features: Any) -> RequestError:
    wrong = f"has no {kind} column {given!r}" if given else f"has no clear {kind} column"
    choices = f"choose one of {', '.join(found)}" if found else f"none of its columns holds {kind}s"
    return RequestError(
        f"{name} {wrong}: {choices} (--{kind}-column). All its columns: {', '.join(features)}"
    )
