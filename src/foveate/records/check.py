"""Records that are not as foveate writes them are refused in a sentence that names the file."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foveate.errors import RequestError
from foveate.records.types import EXAMINATION, TYPES

__all__ = ["check_types", "reading"]

SHOWN = 3
"""Faults that a refusal names."""


def check_types(record: Any, path: Path) -> None:
    """Raise RequestError, naming the first faults, unless the record from `path` is as foveate writes it."""
    if not isinstance(record, dict):
        raise RequestError(_refusal(path, f"it is a {type(record).__name__}, and no object"))
    if endless := _find_endless(record):
        raise RequestError(_refusal(path, f"{endless} is no finite number"))
    types = TYPES.get(path.name, EXAMINATION)
    try:
        types.validate_python(record)
    except ValidationError as error:
        raise RequestError(_refusal(path, _faults(error))) from None
    if path.name == "study.json":
        unknown = sorted({run["attention"] for run in record["runs"]} - set(record["attention"]))
        if unknown:
            raise RequestError(
                _refusal(path, f"runs have the attention {unknown[0]}, which the study has not")
            )
    if path.name == "result.json":
        classes = len(record["test"]["per_class"])
        sizes = {len(record["test"]["confusion"]), *map(len, record["test"]["confusion"])}
        if sizes - {classes}:
            raise RequestError(
                _refusal(path, f"confusion is not {classes} × {classes}, and there are as many classes")
            )


def _find_endless(value: Any, where: str = "") -> str:
    """Say where in a record a number is infinite or none at all; "" where every number is finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(filter(None, (_find_endless(item, f"{where}.{key}".lstrip(".")) for key, item in items)), "")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in taking the record at `path` apart into a RequestError that names the file.

    It is for code that reads alone: what fails there fails by what the record holds.
    """
    try:
        yield
    except RequestError:
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        ZeroDivisionError,
        OverflowError,
    ) as error:
        raise RequestError(_refusal(path, f"{type(error).__name__}: {error}")) from error


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False)
    said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:SHOWN])
    return said + f"; and {len(faults) - SHOWN} more" * (len(faults) > SHOWN)


def _refusal(path: Path, fault: str) -> str:
    return (
        f"{path} is not as foveate writes it: {fault}. Take it away and give its command again: what is "
        "missing is made anew"
    )
