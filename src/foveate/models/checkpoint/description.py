"""What a file says of the network in it, and whether that can be."""

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from foveate.errors import RequestError, remedy, unknown_name

__all__ = ["FORMAT", "check_about", "check_classes", "check_preprocessing", "read_about"]

FORMAT = 1
MOST_TEXT = 16 << 20
"""Characters of a description: names of some hundred thousand classes."""
MOST_NUMBER = 1_000_000
FEWEST_BOUNDED = 100_000
MOST_SIDE = 8_192
PREPROCESSING = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")
CROP_MODES = ("center", "squash", "border")  # timm's
PARTS = ("network", "backbone", "attention", "classes", "preprocessing")
GROUP = ("name", "position", "identity_init", "options", "at")


def read_about(metadata: Mapping[str, str], path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the `metadata` of the file at `path` say of its network, every part in its type.

    Raises RequestError for metadata that are not foveate's, of another format, malformed, or far beyond what
    the file's `tensors` could be of.
    """
    if len(metadata.get("foveate", "")) > MOST_TEXT:
        raise RequestError(
            f"{path} has {len(metadata['foveate']):,} characters on its network, and {MOST_TEXT:,} are the "
            "most: foveate.save did not write it"
        )
    try:
        about = json.loads(metadata["foveate"])
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
        check_about(about)
        _check_numbers(about["backbone"], tensors)
    except RecursionError as error:
        raise RequestError(f"{path} describes its network in lists within lists without end") from error
    except RequestError as error:
        raise RequestError(
            f"{path} is described in a way that foveate.save does not: {error}. Save the network again, or "
            "update foveate if a newer one wrote the file"
        ) from error
    return dict(about)


def check_about(about: Mapping[str, Any]) -> None:
    """Raise RequestError unless `about` has every part in its type."""
    for part in PARTS:
        if part not in about:
            raise RequestError(f"{part!r} is missing")
    _expect(isinstance(about["network"], str), "network", about["network"], "the name of a class")
    if about["backbone"] is not None:
        _check_backbone(about["backbone"])
    groups = about["attention"]
    _expect(isinstance(groups, list), "attention", groups, "a list")
    for number, group in enumerate(groups):
        _check_group(group, f"attention[{number}]")
    outputs = about["backbone"] and about["backbone"]["args"].get("num_classes")
    if about["classes"] is not None:
        check_classes(about["classes"], outputs if type(outputs) is int else None)
    if about["preprocessing"] is not None:
        check_preprocessing(about["preprocessing"], None)


def _check_numbers(backbone: Any, tensors: Mapping[str, Tensor]) -> None:
    """Raise RequestError for widths, depths or numbers of classes that no network with these tensors has."""
    held = sum(tensor.numel() for tensor in tensors.values())
    most = min(max(held, FEWEST_BOUNDED), MOST_NUMBER)
    for name, value in (backbone["args"] if backbone else {}).items():
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


def check_classes(classes: Any, outputs: int | None) -> None:
    """Raise RequestError unless `classes` are names, one for each of the `outputs`, where these are known."""
    _expect(
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


def check_preprocessing(said: Any, channels: int | None) -> None:
    """Raise RequestError unless `said` has timm's keys, with values for images of `channels`, where known."""
    _expect(isinstance(said, Mapping), "preprocessing", said, f"a mapping with {', '.join(PREPROCESSING)}")
    for key in said:
        if key not in PREPROCESSING:
            raise RequestError(unknown_name("key of preprocessing", str(key), PREPROCESSING))
    if "input_size" in said:
        size = said["input_size"]
        whole = isinstance(size, list | tuple) and all(type(side) is int and side > 0 for side in size)
        _expect(whole and len(size) == 3, "input_size", size, "(C, H, W), three whole numbers above 0")
        _expect(max(size) <= MOST_SIDE, "input_size", size, f"(C, H, W), none above {MOST_SIDE:,}")
        if channels is not None and size[0] != channels:
            raise RequestError(
                f"input_size is {tuple(size)}, and the network takes {channels} channels: expected (C, H, W) "
                f"with C = {channels}"
            )
        channels = size[0]
    for key in ("mean", "std"):
        if key in said:
            values = said[key]
            good = isinstance(values, list | tuple) and len(values) == (channels or len(values)) > 0
            least = 0 if key == "std" else -math.inf
            _expect(
                good and all(_is_number(value) and value > least for value in values),
                key,
                values,
                f"{channels or 'as many'} numbers{' above 0' * (key == 'std')}, one for each channel",
            )
    if "crop_pct" in said:
        share = said["crop_pct"]
        _expect(_is_number(share) and share > 0, "crop_pct", share, "a number above 0, such as 0.875")
    if "crop_mode" in said:
        mode = said["crop_mode"]
        _expect(mode in CROP_MODES, "crop_mode", mode, " or ".join(map(repr, CROP_MODES)))
    if "interpolation" in said:
        way = said["interpolation"]
        _expect(isinstance(way, str) and bool(way), "interpolation", way, "a name, such as 'bicubic'")


def _check_backbone(backbone: Any) -> None:
    keys = isinstance(backbone, dict) and set(backbone) == {"name", "args"}
    _expect(keys, "backbone", backbone, "a name and args, or null")
    _expect(isinstance(backbone["name"], str), "backbone's name", backbone["name"], "a string")
    _expect(isinstance(backbone["args"], dict), "backbone's args", backbone["args"], "an object")
    for name, value in backbone["args"].items():
        _expect(_is_plain(value), f"backbone's {name}", value, "a number, a string, true, false or a list")


def _check_group(group: Any, where: str) -> None:
    keys = isinstance(group, dict) and set(group) == set(GROUP)
    _expect(keys, where, group, f"an object with exactly {', '.join(GROUP)}")
    _expect(isinstance(group["name"], str), f"{where}'s name", group["name"], "a mechanism's name")
    position = group["position"]
    _expect(position in ("after", "before"), f"{where}'s position", position, "'after' or 'before'")
    gate = group["identity_init"]
    _expect(isinstance(gate, bool), f"{where}'s identity_init", gate, "true or false")
    _expect(isinstance(group["options"], dict), f"{where}'s options", group["options"], "an object")
    _expect(isinstance(group["at"], dict), f"{where}'s at", group["at"], "channels by path")
    for path, channels in group["at"].items():
        whole = type(channels) is int and channels > 0
        _expect(whole, f"{where}'s channels at {path!r}", channels, "a whole number above 0")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _expect(good: bool, what: str, given: Any, expected: str) -> None:
    if not good:
        raise RequestError(f"{what}: given {reprlib.repr(given)}, expected {expected}")
