"""What all records share: their base class, the types of their values, and how JSON becomes a record.

A record is a frozen, typed object with one definition; a dict exists only between `json.loads` and that
object. Keys that a class does not name are kept as they are: a newer foveate may write more of them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    Strict,
    ValidationError,
)

from foveate.errors import RequestError

__all__ = [
    "FORMAT",
    "Count",
    "FolderName",
    "Json",
    "JsonObject",
    "Number",
    "Record",
    "Share",
    "Switch",
    "Text",
    "WholeRecord",
    "find_non_finite",
    "parse_record",
    "reading",
    "refusal",
]

FORMAT = 1
"""The version of the format of records; other versions are refused."""
FAULTS_SHOWN = 3
"""A refusal names at most this many faults."""

Json = JsonValue
"""A value that JSON can hold and that foveate only passes on."""
JsonObject = dict[str, Any]
"""A JSON object at a border of the program: as `json.dumps` takes it, or `json.loads` gives it."""
Text = Annotated[str, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=10**18)]
Share = Annotated[float, Strict(), Field(gt=0, lt=1)]
Switch = Annotated[bool, Strict()]


def _check_number(value: object) -> int | float:
    """Return a finite number unchanged: an int stays an int, so that it is written back identically."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _is_below(name: str) -> str:
    parts = PurePath(name).parts
    if not parts or ".." in parts or PurePath(name).is_absolute():
        raise ValueError("expected the name of a folder within the study's")
    return name


Number = Annotated[int | float, PlainValidator(_check_number)]
FolderName = Annotated[str, Strict(), AfterValidator(_is_below)]


class Record(BaseModel):
    """The base class of all records: frozen, with the keys of the JSON in the order of the fields."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    def to_json(self) -> JsonObject:
        """Return the record as JSON holds it; a field that was never given is absent."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class WholeRecord(Record):
    """A record that is always written with all of its fields, defaults included."""

    def model_post_init(self, _: Any) -> None:
        """Count every field as given."""
        self.model_fields_set.update(type(self).model_fields)


RecordType = TypeVar("RecordType", bound=Record)


def parse_record(kind: type[RecordType], content: Any, path: Path) -> RecordType:
    """Return `content`, which was read from `path`, as a record of `kind`.

    Raises:
        RequestError: a value is missing, of another type or not finite; the first faults are named.
    """
    if not isinstance(content, dict):
        raise RequestError(refusal(path, f"it is a {type(content).__name__}, expected an object"))
    if where := find_non_finite(content):
        raise RequestError(refusal(path, f"{where} is not a finite number"))
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise RequestError(refusal(path, _describe(error))) from None


def find_non_finite(value: Json, where: str = "") -> str:
    """Return the place of an infinite or NaN number in a record; "" if every number is finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(
        filter(None, (find_non_finite(item, f"{where}.{key}".lstrip(".")) for key, item in items)), ""
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error in interpreting the record at `path` into a RequestError that names the file.

    Use it around code that only reads, whose errors are due to the content of the record.
    """
    try:
        yield
    except RequestError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RequestError(refusal(path, f"{type(error).__name__}: {error}")) from error


def refusal(path: Path, fault: str) -> str:
    """Return the message that refuses the record at `path` because of `fault`, and the remedy."""
    return (
        f"{path} is not a valid record: {fault}. Move it away and give its command again, which makes only "
        "what is missing"
    )


def _describe(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False)
    places = [".".join(map(str, fault["loc"])) for fault in faults]
    texts = [
        f"{place}: {fault['msg']}".removeprefix(": ") for place, fault in zip(places, faults, strict=True)
    ]
    said = "; ".join(texts[:FAULTS_SHOWN])
    return said + f"; and {len(faults) - FAULTS_SHOWN} more" * (len(faults) > FAULTS_SHOWN)
