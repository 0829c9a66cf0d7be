"""How a network is built: said as JSON, and done again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import timm
import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.attach import Placement, attached, detach, place, placements
from foveate.models.loading import check_weights
from foveate.models.probe import input_channels

__all__ = [
    "check_rebuild",
    "describe_attention",
    "describe_backbone",
    "input_channels",
    "put_attention",
    "rebuild",
]

TORCHVISION = "torchvision/"
REACHING_OUT = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "weights"}
"""Arguments that would fetch or open other files: a file that came from elsewhere has no business there."""
TOLERANCE = 1e-3
"""Of outputs that the same weights give on the same machine."""


def describe_backbone(model: nn.Module, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Say how to build the backbone of `model`: classes and channels as it has them, the rest as given."""
    return {"name": name, "args": _arguments(model, name) | dict(given)}


def _arguments(model: Any, backbone: str) -> dict[str, Any]:
    if backbone.startswith(TORCHVISION):
        heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
        return {"num_classes": heads[-1].out_features if heads else 1000}
    classifier = model.get_classifier() if hasattr(model, "get_classifier") else None
    classes = getattr(classifier, "out_features", getattr(model, "num_classes", 1000))
    return {"num_classes": classes, "in_chans": input_channels(model)}


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


def put_attention(model: nn.Module, groups: Sequence[Mapping[str, Any]]) -> nn.Module:
    """Do to `model` what `describe_attention` said, all or none of it, and return it."""
    return place(model, _placements(groups))


def _placements(groups: Sequence[Mapping[str, Any]]) -> Iterator[Placement]:
    for group in groups:
        rest = {name: value for name, value in group.items() if name != "at"}
        rest["options"] = with_tuples(group["options"])
        for path, channels in group["at"].items():
            yield Placement(**rest, path=path, channels=channels)


def with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where Python's options are tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def rebuild(about: Mapping[str, Any]) -> nn.Module:
    """Build the network that `about` describes, with weights drawn anew.

    Raises RequestError where timm or torchvision cannot build it, or would open other files for it.
    """
    name, arguments = about["backbone"]["name"], about["backbone"]["args"]
    if ":" in name or REACHING_OUT & set(arguments):
        raise RequestError(
            f"{name} with {arguments} reaches for other files: a backbone is a registered name, and its "
            f"arguments are none of {', '.join(sorted(REACHING_OUT))}"
        )
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        try:
            if name.startswith(TORCHVISION):
                import torchvision

                network = torchvision.models.get_model(name.removeprefix(TORCHVISION), **arguments)
            else:
                network = timm.create_model(name, **arguments)
        except Exception as error:  # timm and torchvision raise what they like
            raise RequestError(f"cannot build {name} with {arguments}: {error}") from error
        if attached(network):  # a registered name brings its own, at the default place
            detach(network)
        return put_attention(network, about["attention"])


@torch.no_grad()
def check_rebuild(model: nn.Module, about: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
    """Raise RequestError unless what `rebuild` builds, given `tensors`, answers as `model` does."""
    cure = "Pass backbone_args= as the backbone was built with, or backbone=None and load with model="
    rebuilt = rebuild(about)
    try:
        check_weights(rebuilt, tensors)
    except RequestError as error:
        raise RequestError(
            f"{about['backbone']} does not build this network again: {error}. {cure}"
        ) from error
    like = next(model.parameters())
    if like.device.type == "meta":
        return
    rebuilt.load_state_dict(tensors, assign=True)
    shape = (about["preprocessing"] or {}).get("input_size", (3, 224, 224))
    images = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(like.device, like.dtype)
    with _evaluating(model):
        expected = model(images)
    got = rebuilt.to(like.device).eval()(images)
    if got.shape != expected.shape or not torch.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise RequestError(f"{about['backbone']} builds a network that answers otherwise. {cure}")


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
