"""How images are prepared for a network, in the terms of timm's data config."""

import math
import reprlib
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeGuard, get_args

from timm.data import resolve_model_data_config
from torch import nn

from foveate.errors import RequestError, unknown_name
from foveate.models.sites.forward_pass import input_channels, timm_config

__all__ = ["Preprocessing", "declared_preprocessing", "expect", "read_preprocessing"]

CropMode = Literal["center", "squash", "border"]
MOST_SIDE = 8_192


class Preprocessing(TypedDict, total=False):
    """How images are prepared, as far as it is known: a dict, as timm takes it, whose order is kept."""

    input_size: tuple[int, int, int]  # (C, H, W) in pixels
    mean: tuple[float, ...]  # by channel, in 0..1
    std: tuple[float, ...]
    interpolation: str
    crop_pct: float
    crop_mode: CropMode


def declared_preprocessing(model: nn.Module) -> Preprocessing | None:
    """Return what `model` declares to timm, for as many channels as it takes; None if it declares nothing."""
    if not timm_config(model):
        return None
    declared: Preprocessing = resolve_model_data_config(model)
    channels = input_channels(model)
    if channels != declared["input_size"][0]:
        declared["input_size"] = (channels, *declared["input_size"][1:])
        declared["mean"] = (sum(declared["mean"]) / len(declared["mean"]),) * channels
        declared["std"] = (sum(declared["std"]) / len(declared["std"]),) * channels
    return declared


def read_preprocessing(given: Any, channels: int | None) -> Preprocessing:
    """Check `given`, from JSON or from a caller, for images of `channels` where these are known; return it.

    Raises RequestError for an unknown key, or a value of another type or out of range.
    """
    keys = Preprocessing.__annotations__
    expect(isinstance(given, Mapping), "preprocessing", given, f"a mapping with {', '.join(keys)}")
    for key in given:
        if key not in keys:
            raise RequestError(unknown_name("key of preprocessing", str(key), keys))
    if "input_size" in given:
        size = given["input_size"]
        whole = isinstance(size, list | tuple) and all(type(side) is int and side > 0 for side in size)
        expect(whole and len(size) == 3, "input_size", size, "(C, H, W), three whole numbers above 0")
        expect(max(size) <= MOST_SIDE, "input_size", size, f"(C, H, W), none above {MOST_SIDE:,}")
        if channels is not None and size[0] != channels:
            raise RequestError(
                f"input_size is {tuple(size)}, and the network takes {channels} channels: expected (C, H, W) "
                f"with C = {channels}"
            )
        channels = size[0]
    for key in ("mean", "std"):
        if key in given:
            values = given[key]
            fitting = isinstance(values, list | tuple) and len(values) == (channels or len(values)) > 0
            least = 0 if key == "std" else -math.inf
            expect(
                fitting and all(_is_number(value) and value > least for value in values),
                key,
                values,
                f"{channels or 'as many'} numbers{' above 0' * (key == 'std')}, one for each channel",
            )
    if "crop_pct" in given:
        share = given["crop_pct"]
        expect(_is_number(share) and share > 0, "crop_pct", share, "a number above 0, such as 0.875")
    if "crop_mode" in given:
        modes = get_args(CropMode)
        expect(given["crop_mode"] in modes, "crop_mode", given["crop_mode"], " or ".join(map(repr, modes)))
    if "interpolation" in given:
        name = given["interpolation"]
        expect(isinstance(name, str) and bool(name), "interpolation", name, "a name, such as 'bicubic'")
    read = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return Preprocessing(**read)  # type: ignore[typeddict-item]


def expect(good: bool, what: str, given: object, expected: str) -> None:
    """Raise RequestError, with what was given and what was expected of `what`, unless it is `good`."""
    if not good:
        raise RequestError(f"{what}: given {reprlib.repr(given)}, expected {expected}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
