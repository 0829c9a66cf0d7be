"""How flags are read and shown, and the flags that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from cyclopts import Parameter, Token, convert

from foveate.report.study.article_names import ARTICLES
from foveate.storage.opening import is_url
from foveate.studies.engine.environment import without_password
from foveate.studies.spec.completers import one_of, trained
from foveate.studies.spec.flag_groups import NETWORK, OUTPUT

__all__ = ["FLAG", "SETTINGS", "Against", "Json", "Runs", "TrustCode"]

EXPECTED = {int: "a whole number", float: "a number"}


def _read(kind: Any, tokens: Sequence[Token]) -> Any:
    """Read the value of a flag or an argument.

    A tuple is given as one text with commas between, and a flag that is given twice has its last value; a
    list is given by repeating its flag.
    """
    if isinstance(kind, UnionType):  # X | None
        kind = get_args(kind)[0]
    if kind is Path and is_url(tokens[-1].value):
        raise ValueError(f"expected a path, got the URL {without_password(tokens[-1].value)}")
    if get_origin(kind) is tuple:
        item, text = get_args(kind)[0], tokens[-1].value
        return tuple(_read_one(item, part.strip()) for part in text.split(",") if part.strip())
    return _read_one(kind, tokens[-1].value) if kind in EXPECTED else convert(kind, tokens)


def _read_one(kind: Any, text: str) -> Any:
    """Read one value; numbers as Python writes them, so that 1.5 is no whole number."""
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"expected {EXPECTED[kind]}, got {text!r}") from error


def _show_default(value: Any) -> str | None:
    """Write a default as it is typed; None is not shown, as the help of its flag says what holds instead."""
    if value is None:
        return None
    if value == ():
        return "none"
    return ",".join(map(_show_one, value)) if isinstance(value, tuple) else _show_one(value)


def _show_one(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


FLAG = Parameter(negative=(), allow_repeating=True, converter=_read, show_default=_show_default)
"""What holds for the flags of all commands."""

SETTINGS = Parameter(name="*")
"""Marks an argument of a command whose attributes are flags, each with its own default and help."""

Json = Annotated[
    Path | None,
    Parameter(
        "--json",
        group=OUTPUT,
        allow_leading_hyphen=True,
        help="File for the summary as JSON; - is standard output. By default none is written.",
    ),
]
Against = Annotated[
    str | None,
    Parameter(
        group=OUTPUT,
        completer=one_of(ARTICLES),
        help="Article whose printed figures are shown beside the results: dmsca-article or sgfa-article; "
        "by default none.",
    ),
]
Runs = Annotated[
    str,
    Parameter(
        required=True,
        completer=trained,
        help="Trained networks: the folder or URL of a study or a run, a safetensors file, BACKBONE=FILE, or "
        "a timm name.",
    ),
]

TrustCode = Annotated[
    bool,
    Parameter(
        group=NETWORK,
        help="Run the source code of mechanisms of your own, which the runs and files hold; by default they "
        "are refused.",
    ),
]
