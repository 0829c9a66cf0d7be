"""The description of the network in a file, written as JSON and read from it."""

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from foveate.errors import RequestError, remedy
from foveate.models.backbones.call import BackboneCall
from foveate.models.backbones.preprocessing import Preprocessing, expect, read_preprocessing
from foveate.models.checkpoint.attention_groups import AttentionGroup
from foveate.models.checkpoint.base import Base
from foveate.models.checkpoint.custom_code import read_kept_sources
from foveate.references import Sources
from foveate.version import __version__

__all__ = ["KEY", "Description", "check_classes", "read_description"]

KEY = "foveate"
"""The key of the description in a file's metadata."""
FORMAT = 1
LATER = ("own_removed", "sources", "base")
"""Keys that are written only where they say something: earlier files had none of them."""
MOST_TEXT = 16 << 20
"""Characters of a description: names of some hundred thousand classes."""
MOST_NUMBER = 1_000_000
FEWEST_BOUNDED = 100_000


@dataclass(frozen=True)
class Description:
    """How a network is built, the names of its outputs, and how its images are prepared.

    The fields are the keys in the file, beside the number of the format and the version of foveate;
    `own_removed` is there only if it names any place.
    """

    network: str  # its class
    backbone: BackboneCall | None  # None: foveate cannot build it
    attention: Sequence[AttentionGroup]
    classes: Sequence[str] | None
    preprocessing: Preprocessing | None
    own_removed: Sequence[str] = ()  # the places of attention of the network's own that was taken out
    sources: Mapping[str, Sources] = field(default_factory=dict)  # of attention that is not foveate's
    base: Base | None = None  # of an adapter

    def to_json(self) -> str:
        """Write the description as a file keeps it; RequestError for values that JSON has not."""
        content = asdict(self)
        parts = {key: value for key, value in content.items() if key not in LATER or value}
        try:
            return json.dumps({"format": FORMAT, "foveate": __version__, **parts}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise RequestError(f"what describes the network must be JSON: {error}") from error

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> "Description":
        """Read what `to_json` wrote, parsed; RequestError unless each part is there, in its type."""
        for part in cls.__annotations__:
            if part not in about and part not in LATER:
                raise RequestError(f"{part!r} is missing")
        expect(isinstance(about["network"], str), "network", about["network"], "the name of a class")
        backbone = None if about["backbone"] is None else _read_backbone(about["backbone"])
        groups = about["attention"]
        expect(isinstance(groups, list), "attention", groups, "a list")
        attention = [
            AttentionGroup.from_json(group, f"attention[{number}]") for number, group in enumerate(groups)
        ]
        if about["classes"] is not None:
            check_classes(about["classes"], None if backbone is None else backbone.outputs)
        images = about["preprocessing"]
        preprocessing = None if images is None else read_preprocessing(images, None)
        removed = about.get("own_removed", [])
        paths = isinstance(removed, list) and all(isinstance(path, str) for path in removed)
        expect(paths, "own_removed", removed, "a list of paths")
        sources = read_kept_sources(about.get("sources", {}))
        base = None if about.get("base") is None else Base.from_json(about["base"])
        return cls(
            about["network"], backbone, attention, about["classes"], preprocessing, removed, sources, base
        )


def read_description(metadata: Mapping[str, str], path: Path, tensors: Mapping[str, Tensor]) -> Description:
    """Return the description in the `metadata` of the file at `path`.

    Raises RequestError for metadata that are not foveate's, of another format, malformed, or far beyond what
    the file's `tensors` could be of.
    """
    if len(metadata.get(KEY, "")) > MOST_TEXT:
        raise RequestError(
            f"{path} has {len(metadata[KEY]):,} characters on its network, and {MOST_TEXT:,} are the "
            "most: foveate.save did not write it"
        )
    try:
        about = json.loads(metadata[KEY])
        known = about["format"] == FORMAT
    except (KeyError, TypeError, ValueError, RecursionError):
        raise RequestError(
            f"{path} does not say what network it holds: foveate.save did not write it. "
            + remedy(
                python="Build the network, and give it the weights with foveate.load_weights(model, path)",
                command=f"Where a command takes BACKBONE=FILE, name its network: resnet50={path}",
            )
        ) from None
    if not known:
        raise RequestError(
            f"{path} has format {about['format']}, this foveate reads {FORMAT}: update foveate"
        )
    try:
        description = Description.from_json(about)
        _check_numbers(description.backbone, tensors)
    except RecursionError as error:
        raise RequestError(f"{path} describes its network in lists within lists without end") from error
    except RequestError as error:
        raise RequestError(
            f"{path} is described in a way that foveate.save does not: {error}. Save the network again, or "
            "update foveate if a newer one wrote the file"
        ) from error
    return description


def check_classes(classes: Any, outputs: int | None) -> None:
    """Raise RequestError unless `classes` are names, one for each of the `outputs`, where these are known."""
    expect(
        isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes),
        "classes",
        classes,
        "a list of names, one for each output, in their order",
    )
    if outputs is not None and len(classes) != outputs:
        raise RequestError(
            f"{len(classes)} classes ({reprlib.repr(list(classes))}) for a network with {outputs} outputs: "
            "pass classes= with one name for each output, in their order, or classes=[] to name none"
        )


def _read_backbone(backbone: Any) -> BackboneCall:
    keys = isinstance(backbone, dict) and set(backbone) == {"name", "args"}
    expect(keys, "backbone", backbone, "a name and args, or null")
    expect(isinstance(backbone["name"], str), "backbone's name", backbone["name"], "a string")
    expect(isinstance(backbone["args"], dict), "backbone's args", backbone["args"], "an object")
    for name, value in backbone["args"].items():
        expect(_is_plain(value), f"backbone's {name}", value, "a number, a string, true, false or a list")
    return BackboneCall(**backbone)


def _check_numbers(backbone: BackboneCall | None, tensors: Mapping[str, Tensor]) -> None:
    """Raise RequestError for widths, depths or numbers of classes that no network with these tensors has."""
    held = sum(tensor.numel() for tensor in tensors.values())
    most = min(max(held, FEWEST_BOUNDED), MOST_NUMBER)
    for name, value in (backbone.args if backbone else {}).items():
        for number in _flat(value):
            if type(number) in (int, float) and not -most <= number <= most:
                raise RequestError(
                    f"backbone's {name}: given {reprlib.repr(value)}, expected numbers up to {most:,}, as "
                    f"the file holds {held:,}"
                )


def _flat(value: Any) -> Iterator[Any]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)
