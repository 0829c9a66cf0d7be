"""The attention in a network as a file describes it: mechanisms, their options, and channels by path."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import nn

from foveate.attention.custom import CustomMechanism
from foveate.attention.options import Options
from foveate.errors import RequestError, shortened
from foveate.models.backbones.preprocessing import expect
from foveate.models.sites.attach import Placement, place, placements, with_tuples
from foveate.references import is_reference

__all__ = ["AttentionGroup", "custom_mechanisms", "describe_attention", "put_attention"]


@dataclass(frozen=True)
class AttentionGroup:
    """One mechanism with one set of options, at all its places. The fields are the keys in the file."""

    name: str
    position: Literal["after", "before"]
    identity_init: bool
    options: Options  # of the mechanism's constructor
    at: dict[str, int]  # channels by path

    @classmethod
    def from_json(cls, group: Any, where: str) -> "AttentionGroup":
        """Read `group`, which errors name as `where`; RequestError for other keys or types."""
        names = [field.name for field in fields(cls)]
        keys = isinstance(group, dict) and set(group) == set(names)
        expect(keys, where, group, f"an object with exactly {', '.join(names)}")
        expect(isinstance(group["name"], str), f"{where}'s name", group["name"], "a mechanism's name")
        position = group["position"]
        expect(position in ("after", "before"), f"{where}'s position", position, "'after' or 'before'")
        gate = group["identity_init"]
        expect(isinstance(gate, bool), f"{where}'s identity_init", gate, "true or false")
        expect(isinstance(group["options"], dict), f"{where}'s options", group["options"], "an object")
        expect(isinstance(group["at"], dict), f"{where}'s at", group["at"], "channels by path")
        for path, channels in group["at"].items():
            whole = type(channels) is int and channels > 0
            expect(whole, f"{where}'s channels at {path!r}", channels, "a whole number above 0")
        return cls(**group)


def describe_attention(model: nn.Module) -> list[AttentionGroup]:
    """Return what `attach` did to `model`, in the order of its modules."""
    groups: list[AttentionGroup] = []
    for one in placements(model):
        new = AttentionGroup(one.name, one.position, one.identity_init, one.options, {})
        group = next((group for group in groups if _key(group) == _key(new)), new)
        if group is new:
            groups.append(new)
        group.at[one.path] = one.channels
    return groups


def _key(group: AttentionGroup) -> tuple[object, ...]:
    return group.name, group.position, group.identity_init, group.options


def custom_mechanisms(model: nn.Module) -> dict[str, CustomMechanism]:
    """Return the attention in `model` that is not foveate's, by its name."""
    return {one.name: one.custom for one in placements(model) if one.custom}


def put_attention(
    model: nn.Module,
    groups: Sequence[AttentionGroup],
    custom: Mapping[str, CustomMechanism],
    *,
    device: str = "cpu",
) -> nn.Module:
    """Do to `model` what `describe_attention` returned, all or none of it, and return the model.

    `custom` are the mechanisms that are not foveate's. The attention is built on `device`. The caller's
    random numbers stay as they are. Raises RequestError for attention that this foveate does not know, or
    that does not fit.
    """
    paths = Counter(path for group in groups for path in group.at)
    if twice := [path for path, times in paths.items() if times > 1]:
        raise RequestError(f"it has attention more than once at {shortened(twice)}: a module has one at most")
    with torch.random.fork_rng(devices=[]), torch.device(device):
        try:
            return place(model, _placements(groups, custom))
        except RequestError:
            raise
        except Exception as error:  # options of a newer foveate, or of other types
            raise RequestError(f"cannot build the attention: {error}") from error


def _placements(
    groups: Sequence[AttentionGroup], custom: Mapping[str, CustomMechanism]
) -> Iterator[Placement]:
    for group in groups:
        options, maker = with_tuples(group.options), custom.get(group.name)
        if maker is None and is_reference(group.name):  # its code would be imported unasked
            raise RequestError(f"it has attention {group.name}, whose code was not given")
        for path, channels in group.at.items():
            yield Placement(group.name, path, group.position, channels, group.identity_init, options, maker)
