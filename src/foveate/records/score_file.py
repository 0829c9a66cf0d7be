"""scores.safetensors: the file of a run's scores of its test images, whatever they are of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from foveate.errors import RequestError
from foveate.files import write_bytes
from foveate.records.metric import CLASSIFICATION

__all__ = ["SCORES", "Columns", "check_possible", "read_columns", "write_columns"]

SCORES = "scores.safetensors"
FORMAT = "1"


@dataclass(frozen=True, eq=False)
class Columns:
    """The content of a file of scores.

    Attributes:
        run: the id of the run that they are of.
        task: the name of its task.
        arrays: by their names.
        numbers: whole numbers that go with them, by their names.
    """

    run: str
    task: str
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, int]


def write_columns(folder: Path, columns: Columns) -> None:
    """Write `columns` into the run's `folder`, whole or not at all."""
    about = {"format": FORMAT, "run": columns.run, "task": columns.task}
    about |= {name: str(number) for name, number in columns.numbers.items()}
    write_bytes(folder / SCORES, to_bytes(dict(columns.arrays), about))


def read_columns(
    folder: Path,
    task: str,
    types: Mapping[str, np.dtype],
    optional: Mapping[str, np.dtype] | None = None,
    numbers: tuple[str, ...] = (),
) -> Columns | None:
    """Read the scores in a run's `folder`; None if there are none, as in runs of foveate 0.1.0.

    Args:
        task: of which they must be; a file that names none is a classification's.
        types: the arrays that the file must have.
        optional: those that it may lack.
        numbers: the names of the whole numbers that it must have.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    path = folder / SCORES
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            kept = set(file.keys())
            found_task = about.get("task", CLASSIFICATION.name)
            if found_task != task:
                raise RequestError(f"{path} has the scores of a {found_task}, expected a {task}'s: delete it")
            all_types = {**types, **{name: one for name, one in (optional or {}).items() if name in kept}}
            arrays = {name: file.get_tensor(name) for name in all_types}
    except SafetensorError as error:
        raise RequestError(f"{path} holds no scores of test images ({error}): delete it") from error
    if (
        about.get("format") != FORMAT
        or any(arrays[name].dtype != dtype for name, dtype in all_types.items())
        or not all(about.get(name, "").isdecimal() for name in numbers)
    ):
        raise _other_version(path)
    return Columns(about.get("run", ""), task, arrays, {name: int(about[name]) for name in numbers})


def check_possible(folder: Path, *, shapes_fit: bool, values_fit: bool) -> None:
    """Refuse a file of `folder` whose arrays have other shapes, or values that no network gives."""
    path = folder / SCORES
    if not shapes_fit:
        raise _other_version(path)
    if not values_fit:
        raise RequestError(f"{path} has impossible scores, such as a probability over 1: delete it")


def _other_version(path: Path) -> RequestError:
    return RequestError(f"{path} was not written by this version of foveate: delete it")
