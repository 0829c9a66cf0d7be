"""Read and write a record, whole or not at all."""

import json
from pathlib import Path
from typing import Any, TypeVar

from foveate.errors import RequestError
from foveate.files import write_json
from foveate.names import map_strings, printable
from foveate.records.base import FORMAT, Record, parse_record, refusal
from foveate.records.file_names import COST
from foveate.version import __version__

__all__ = ["read_json", "read_record", "write_record"]

DEEPEST = 50
"""Records nest ten levels at most; code that walks one may recurse this often."""
WITHOUT_FORMAT = (COST,)
"""Files without a format of their own; they belong to the study.json beside them."""

RecordType = TypeVar("RecordType", bound=Record)


def read_record(path: Path, kind: type[RecordType], *, shown: bool = False) -> RecordType:
    """Read the record of `kind` at `path`.

    With `shown`, its texts are made `printable`: a record may come from anywhere, and a control character
    would make the drawing library abort.

    Raises:
        RequestError: the file is no JSON, has another format, or is not such a record.
    """
    content = read_json(path)
    return parse_record(kind, map_strings(content, printable) if shown else content, path)


def read_json(path: Path) -> Any:
    """Read the JSON of a record and check its format; `parse_record` checks its values.

    Raises:
        RequestError: the file is no JSON, or has another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{path} is not readable as JSON ({error}). Move it away and give its command again, which makes "
            "only what is missing."
        ) from None
    if _is_too_deep(content):
        raise RequestError(refusal(path, f"it is nested more than {DEEPEST} levels deep"))
    is_checked = isinstance(content, dict) and path.name not in WITHOUT_FORMAT
    if is_checked and content.get("format") != FORMAT:
        writer = f" by foveate {content['foveate']}" if "foveate" in content else ""
        found = repr(content["format"]) if "format" in content else "without a number"
        raise RequestError(
            f"{path} was written{writer} in format {found}, and foveate {__version__} reads "
            f"format {FORMAT}. Read it with the version that wrote it, or run the study again in a new "
            "folder."
        )
    return content


def _is_too_deep(content: Any) -> bool:
    level = [content]
    for _ in range(DEEPEST):
        nested = (one for one in level if isinstance(one, dict | list))
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True


def write_record(path: Path, record: Record) -> None:
    """Write `record` to `path`, whole or not at all."""
    write_json(path, record.to_json())
