"""Check that the network that a description builds is the one that was described."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.backbones.call import BackboneCall
from foveate.models.backbones.names import DETECTION
from foveate.models.checkpoint.attention_groups import custom_mechanisms, put_attention
from foveate.models.checkpoint.description import Description
from foveate.models.checkpoint.rebuild import rebuild
from foveate.models.checkpoint.state_dicts import fill, misfits, tensors_of
from foveate.models.sites.forward_pass import random_image
from foveate.models.sites.insertion import original_class
from foveate.models.sites.outputs import tensors_in
from foveate.models.sites.own import remove_own
from foveate.modes import evaluating

__all__ = ["OtherNetworkError", "check_rebuild", "first_difference"]

TOLERANCE = 1e-3
"""Of outputs that the same weights give on the same machine."""
HARMLESS = {"training", "inplace", "grad_checkpointing", "memory_efficient", "fused_attn"}
"""Attributes that change where and how a network computes, but not its output."""
OWN = "with backbone=None, and load it with model="


class OtherNetworkError(RequestError):
    """A call builds a network of another class."""


@torch.no_grad()
def check_rebuild(
    model: nn.Module, call: BackboneCall, description: Description, tensors: Mapping[str, Tensor]
) -> None:
    """Raise RequestError unless `call` builds `model` again, compared module by module and by the outputs.

    The modules show what outputs in evaluation mode do not: what acts in training only, such as dropout, and
    what has no visible effect yet. A network of another class raises OtherNetworkError.
    """
    what = f"{call} does not build this network again"
    cure = f"Pass backbone_args= as it was built with; if it was changed afterwards, save it {OWN}"
    rebuilt = rebuild(call, (), {})
    if original_class(model) is not type(rebuilt):
        kinds = f"it gives a {type(rebuilt).__name__}, this is a {type(model).__name__}"
        raise OtherNetworkError(f"{what}: {kinds}. Save it {OWN}")
    if description.own_removed:
        remove_own(rebuilt, description.own_removed)
    put_attention(rebuilt, description.attention, custom_mechanisms(model))
    if difference := first_difference(model, rebuilt) or misfits(rebuilt, tensors).in_words():
        raise RequestError(f"{what}: {difference}. {cure}")
    fill(rebuilt, tensors)
    images = random_image(model, (description.preprocessing or {}).get("input_size"))
    try:
        with evaluating(model):
            expected = _answers(model, images)
    except Exception as error:  # each network refuses in its own way
        raise RequestError(
            f"{type(model).__name__} does not take an image (C, H, W) = {tuple(images.shape[1:])}: {error}. "
            "Say what it takes, as in preprocessing={'input_size': (C, H, W)}"
        ) from error
    got = _answers(rebuilt.to(images.device).eval(), images)
    if len(got) != len(expected) or not all(map(_equal, got, expected)):
        raise RequestError(f"{what}: its modules are the same, and it answers otherwise. {cure}")


def _answers(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Return what `network` gives, and for a detector the maps of its pyramid too: it may find no object."""
    answers = tensors_in(network(images))
    call = getattr(network, "built_from", None)
    if call is not None and call.name.startswith(DETECTION):
        prepared, _ = network.transform(list(images))  # type: ignore[operator]
        answers += network.backbone(prepared.tensors).values()  # type: ignore[operator]
    return answers


def _equal(got: Tensor, expected: Tensor) -> bool:
    return got.shape == expected.shape and torch.allclose(
        got, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )


def first_difference(model: nn.Module, rebuilt: nn.Module) -> str | None:
    """Describe the first module or setting in which `rebuilt` differs from `model`; None if none does."""
    here, there = (dict(one.named_modules(remove_duplicate=False)) for one in (model, rebuilt))
    for path in dict.fromkeys([*here, *there]):
        ours, theirs = here.get(path), there.get(path)
        if ours is None or theirs is None or not _alike(ours, theirs):
            return f"{path or type(model).__name__}: {_in_words(ours)} here, {_in_words(theirs)} there"
        for name, mine in vars(ours).items():
            its = vars(theirs).get(name)
            if _is_setting(name, mine, its) and mine != its:
                kind = type(ours).__name__
                place = f"{path}: {kind}" if path else kind
                return f"{place}({name}={mine}) here, {kind}({name}={its}) there"
    ours_tied, theirs_tied = _tied(model), _tied(rebuilt)
    for keys in sorted(ours_tied ^ theirs_tied):
        one, many = ("here", "there") if keys in ours_tied else ("there", "here")
        return f"{' and '.join(keys)} are one tensor {one}, and not {many}"
    return None


def _alike(ours: nn.Module, theirs: nn.Module) -> bool:
    # A norm that is synchronised over processes is rebuilt as the norm itself.
    synchronised = isinstance(ours, nn.SyncBatchNorm) and isinstance(theirs, nn.BatchNorm2d)
    return (type(ours) is type(theirs) or synchronised) and _settings(ours) == _settings(theirs)


def _settings(module: nn.Module) -> str:
    return re.sub(r"(, )?inplace(=True|=False)?", "", module.extra_repr())


def _in_words(module: nn.Module | None) -> str:
    return f"{type(module).__name__}({module.extra_repr()})" if module is not None else "nothing"


def _is_setting(name: str, *values: Any) -> bool:
    """Return whether an attribute is a rate or a switch; counts, such as num_classes, may be out of date."""
    numbers = all(isinstance(value, int | float) for value in values)
    counts = all(type(value) is int for value in values)
    return numbers and not counts and not name.startswith("_") and name not in HARMLESS


def _tied(model: nn.Module) -> set[tuple[str, ...]]:
    keys: dict[int, list[str]] = {}
    for key, value in tensors_of(model).items():
        keys.setdefault(id(value), []).append(key)
    return {tuple(names) for names in keys.values() if len(names) > 1}
