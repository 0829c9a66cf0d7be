"""How a network is built: said as JSON, and done again."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import timm
import torch
from torch import nn

from foveate.errors import RequestError, shortened, unknown_name
from foveate.models.backbones.scaling import create_timm
from foveate.models.backbones.torchvision import TORCHVISION, create_torchvision
from foveate.models.checkpoint.bounds import TooLargeError
from foveate.models.sites.attach import Placement, attached, detach, place, placements, with_tuples
from foveate.models.sites.dry_run import input_channels

__all__ = [
    "call_form",
    "describe_attention",
    "describe_backbone",
    "put_attention",
    "rebuild",
    "remember",
]

REACHING_OUT = ("pretrained", "weights", "checkpoint", "state_dict", "cache_dir")
"""How arguments begin that fetch or open other files: a file from elsewhere has no business there."""


def describe_backbone(model: nn.Module, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Say how to build the backbone of `model`: classes and channels as it has them, the rest as given."""
    if not isinstance(name, str):
        raise RequestError(f"backbone is {name!r}: expected a name of timm's, 'torchvision/NAME', or None")
    kept = getattr(model, "built_from", {"name": None})
    remembered = kept["args"] if kept["name"] == name else {}
    return {"name": name, "args": remembered | _arguments(model, name) | dict(given)}


def remember(model: nn.Module, name: str, args: Mapping[str, Any]) -> None:
    """Leave in `model` what built it, for `describe_backbone`: a width or an image size cannot be seen."""
    model.built_from = {"name": name, "args": dict(args)}  # type: ignore[assignment]


def _arguments(model: Any, backbone: str) -> dict[str, Any]:
    if backbone.startswith(TORCHVISION):
        heads = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        width = ("out_channels", "out_features")[isinstance(heads[-1], nn.Linear)] if heads else ""
        channels = input_channels(model)
        own = {"in_chans": channels} if channels != 3 else {}
        return {"num_classes": getattr(heads[-1], width) if heads else 1000} | own
    classifier = model.get_classifier() if hasattr(model, "get_classifier") else None
    classes = getattr(classifier, "out_features", getattr(model, "num_classes", 1000))
    return {"num_classes": classes, "in_chans": input_channels(model)}


def call_form(backbone: Mapping[str, Any]) -> str:
    """Write what `describe_backbone` gave as the call that builds it."""
    arguments = "".join(f", {name}={value!r}" for name, value in backbone["args"].items())
    if backbone["name"].startswith(TORCHVISION):
        return f"torchvision.models.get_model({backbone['name'].removeprefix(TORCHVISION)!r}{arguments})"
    return f"timm.create_model({backbone['name']!r}{arguments})"


def describe_attention(model: nn.Module) -> list[dict[str, Any]]:
    """Say what `attach` did to `model`: a mechanism with its options, and the channels by path."""
    groups: list[dict[str, Any]] = []
    for one in placements(model):
        key = {name: value for name, value in vars(one).items() if name not in ("path", "channels")}
        group = next((group for group in groups if all(group[name] == key[name] for name in key)), None)
        if group is None:
            group = {**key, "at": {}}
            groups.append(group)
        group["at"][one.path] = one.channels
    return groups


def put_attention(model: nn.Module, groups: Sequence[Mapping[str, Any]], *, device: str = "cpu") -> nn.Module:
    """Do to `model` what `describe_attention` said, all or none of it, and return it.

    The attention is built on `device`. The caller's random numbers stay as they are. Raises RequestError for
    attention that this foveate does not know, or that does not fit.
    """
    paths = Counter(path for group in groups for path in group["at"])
    if twice := [path for path, times in paths.items() if times > 1]:
        raise RequestError(f"it has attention more than once at {shortened(twice)}: a module has one at most")
    with torch.random.fork_rng(devices=[]), torch.device(device):
        try:
            return place(model, _placements(groups))
        except RequestError:
            raise
        except Exception as error:  # options of a newer foveate, or of other types
            raise RequestError(f"cannot build the attention: {error}") from error


def _placements(groups: Sequence[Mapping[str, Any]]) -> Iterator[Placement]:
    for group in groups:
        rest = {name: value for name, value in group.items() if name != "at"}
        rest["options"] = with_tuples(group["options"])
        for path, channels in group["at"].items():
            yield Placement(**rest, path=path, channels=channels)


def rebuild(about: Mapping[str, Any], *, device: str = "cpu") -> nn.Module:
    """Build the network that `about` describes, with weights drawn anew; on "meta", its shapes alone.

    Raises RequestError where timm or torchvision cannot build it, or would open other files for it.
    """
    build = _builder(**about["backbone"])
    # The caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]), torch.device(device):
        try:
            network = build()
        except TooLargeError:
            raise
        except Exception as error:  # timm and torchvision raise what they like
            raise RequestError(f"cannot build {call_form(about['backbone'])}: {error}") from error
        remember(network, **about["backbone"])
        if attached(network):  # a registered name brings its own, at the default place
            detach(network)
        return put_attention(network, about["attention"], device=device)


def _builder(name: str, args: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """What builds the backbone from `args` alone; RequestError where it would open other files."""
    reaching = [argument for argument in args if argument.startswith(REACHING_OUT)]
    plain = name.removeprefix(TORCHVISION)
    if ":" in plain or "/" in plain or reaching:
        raise RequestError(
            f"{call_form({'name': name, 'args': args})} reaches for other files: a backbone is a registered "
            f"name, and no argument of it begins with {', '.join(REACHING_OUT)}"
        )
    if name == plain:
        if not timm.is_model(name):
            raise RequestError(f"cannot build {name}: {unknown_name('backbone', name, timm.list_models())}")
        return partial(create_timm, name, **args)
    import torchvision

    classifiers = torchvision.models.list_models(module=torchvision.models)
    if plain not in classifiers:
        if plain in torchvision.models.list_models():  # detection, for one, fetches backbones by itself
            raise RequestError(
                f"{name} is no classifier, and reaches for other files: of torchvision, only what is in "
                "torchvision.models itself is built. Pass backbone=None, and load with model="
            )
        raise RequestError(f"cannot build {name}: {unknown_name('backbone', plain, classifiers)}")
    return partial(create_torchvision, plain, **args)
