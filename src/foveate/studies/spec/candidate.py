"""One candidate of a study: a mechanism with its options and its place, written `dmsca(reduction=8)`."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from foveate.calls import read_call, shown
from foveate.errors import RequestError, unknown_name
from foveate.known_names import mechanism_names, reference_of, registered_names
from foveate.names import meant
from foveate.records.labels import BASELINE
from foveate.references import EXAMPLE, class_name, find_file, is_reference, read_sources
from foveate.training.recipe import Number, Whole

__all__ = [
    "PLACEMENT",
    "Candidate",
    "OptionValue",
    "make_candidate",
    "parse_candidates",
    "read_candidate",
    "spell",
]

OptionValue = bool | int | float | str | list[Any] | tuple[Any, ...] | None
"""The value of one option: what JSON can hold but an object."""

ALSO_BASELINE = (BASELINE, "baseline", "plain")
"""What the network without attention may be called where candidates are named; records have the first."""
LATER = ("exclude", "path", "source")
"""Fields that are written only where they are given: the hashes of earlier runs have none of them."""
PLACEMENT = ("where", "stages", "at", "exclude", "identity_init")
SIZE = ("width", "extra_blocks")


class Candidate(BaseModel):
    """A mechanism, the options of its constructor, and its placement; `none` is the baseline.

    Only the baseline can be wider or deeper (`width`, `extra_blocks`), or another network than the study's
    (`backbone`). An `alias` replaces the label that the options would give.

    A mechanism of a person's own is named by its reference without folders, mine.py:MyAttention; `path` is
    its file, and `source` the digest of its source code, on which the hash of a run depends.

    `usual_identity_init` is the value of `identity_init` where none is given, which labels omit: True in a
    study that starts from pretrained weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, OptionValue] = {}
    where: Literal["block", "stage"] | None = None
    stages: tuple[Whole, ...] | None = None
    at: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    identity_init: bool = False
    width: Number = Field(default=1.0, gt=0)
    extra_blocks: Whole = Field(default=0, ge=0)
    backbone: str | None = None
    alias: str | None = None
    path: str | None = None
    source: str | None = None
    usual_identity_init: bool = Field(default=False, exclude=True)

    @field_validator("stages", "at", "exclude", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, int | str) else given

    @model_serializer(mode="wrap")
    def _without_missing(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        return {key: value for key, value in content.items() if key not in LATER or value is not None}

    @property
    def mechanism(self) -> str:
        """What `foveate.attach` takes: the name, or the reference to the class with the path of its file."""
        return self.name if self.path is None else f"{self.path}:{class_name(self.name)}"

    @property
    def is_custom(self) -> bool:
        """Whether the mechanism is a person's own class."""
        return self.source is not None

    @property
    def label(self) -> str:
        """The candidate as a person writes it and tables name it: `se`, `dmsca(reduction=8,where=stage)`."""
        if self.alias is not None:
            return self.alias
        given = dict(self.options) | {
            key: getattr(self, key)
            for key in (*PLACEMENT, *SIZE)
            if key in self.model_fields_set and getattr(self, key) != self._usual(key)
        }
        name = self.backbone or self.name
        if not given:
            return name
        return f"{name}({','.join(f'{key}={spell(value)}' for key, value in given.items())})"

    def _usual(self, key: str) -> Any:
        """Return the value of a placement or size that is not given."""
        return self.usual_identity_init if key == "identity_init" else type(self).model_fields[key].default


def parse_candidates(
    given: str | list[Any] | tuple[Any, ...], *, identity_init: bool = False
) -> tuple[Candidate, ...]:
    """Read `none,se,dmsca(reduction=8)`, or a YAML list of such names and of `{dmsca: {reduction: 8}}`.

    `identity_init` is that of candidates that do not give it.

    Raises:
        RequestError: an unknown mechanism (the nearest is named), a malformed option, a candidate twice.
    """
    if isinstance(given, str):
        items: list[Any] = _split(given)
    elif isinstance(given, list | tuple):
        items = list(given)
    else:
        raise RequestError(
            f"attention {given!r}: expected a list, for example [none, se, {{dmsca: {{reduction: 8}}}}]"
        )
    candidates = tuple(read_candidate(item, identity_init=identity_init) for item in items)
    if not candidates:
        raise RequestError("--attention names nothing: expected for example none,se,dmsca")
    labels = [candidate.label for candidate in candidates]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        files = sorted({one.mechanism for one in candidates if one.label in twice and one.path is not None})
        places = f", as {' and '.join(files)}: rename one of the classes" if len(files) > 1 else ""
        raise RequestError(f"--attention names {', '.join(sorted(twice))} more than once{places}")
    return candidates


def read_candidate(item: Any, *, identity_init: bool = False) -> Candidate:
    """Read one candidate, `dmsca(reduction=8)` or `{dmsca: {reduction: 8}}`; raises RequestError.

    `identity_init` is that of a mechanism that does not give it.
    """
    if isinstance(item, str):
        name, options = read_call(item)
    elif isinstance(item, Mapping) and len(item) == 1 and isinstance(next(iter(item.values())), Mapping):
        ((name, given),) = item.items()
        options = dict(given)
    else:
        raise RequestError(f"attention {item!r}: expected a name, or one name with its options")
    for option, value in options.items():
        if not _is_json(value):
            raise RequestError(
                f"attention {shown(item)}: {option} is {shown(value)}; expected a finite number, a word, "
                "true, false, or a list of these"
            )
    name, custom = _read_name(str(name))
    kept = SIZE if name == BASELINE else PLACEMENT
    placement = {key: options.pop(key) for key in kept if key in options}
    if name == BASELINE and options:
        raise RequestError(f"the baseline takes {' and '.join(SIZE)} alone, given {', '.join(options)}")
    if identity_init and name != BASELINE:
        placement = {"identity_init": True, "usual_identity_init": True} | placement
    return make_candidate(f"attention {item!r}", name=name, options=options, **custom, **placement)


def _read_name(name: str) -> tuple[str, dict[str, str | None]]:
    """Return a mechanism's name, and the fields of one that is a person's own; the file is read for that."""
    if name.lower() in ALSO_BASELINE:
        return BASELINE, {}
    name = meant(name, mechanism_names())
    if name in mechanism_names():
        return name, {}
    reference = reference_of(name)
    if reference is None:
        raise RequestError(
            unknown_name("attention", name, [BASELINE, *mechanism_names(), *registered_names()])
            + f" A class of your own is named with its file: {EXAMPLE}"
        )
    path = str(find_file(reference)) if reference.is_file else None
    own = {"path": path, "source": read_sources(reference).digest}
    return (reference.short if is_reference(name) else name), own


def make_candidate(given: str, **fields: Any) -> Candidate:
    """Build a candidate; an invalid field raises RequestError, whose message begins with `given`."""
    try:
        return Candidate(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise RequestError(f"{given}: {faults}") from error


def _is_json(value: Any) -> bool:
    """Return whether JSON can hold the value of an option: numbers must be finite."""
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def spell(value: OptionValue) -> str:
    """Write the value of an option so that it reads back the same."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(spell, value)) + "]"
    return json.dumps(value) if isinstance(value, str) and not value.isidentifier() else str(value)
