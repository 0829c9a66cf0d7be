"""Which stages of a pretrained backbone learn."""

import torch

from foveate.errors import RequestError
from foveate.models.dense.features import Features
from foveate.models.sites.forward_pass import input_channels, on_meta

__all__ = ["freeze_stages"]

SIDE = 224


def freeze_stages(features: Features, trainable: int) -> None:
    """Let the last `trainable` stages of `features` learn, and freeze those before (requires_grad=False).

    The parameters of a stage are those that its map depends on, and the map before does not. With 3 of the 5
    stages of a ResNet, its stem and `layer1` are frozen, as torchvision does.

    Raises:
        RequestError: the number is not one of 0 to the number of stages.
    """
    stages = _stages(features)
    if type(trainable) is not int or not 0 <= trainable <= len(stages):
        raise RequestError(f"trainable_stages={trainable!r}: expected a whole number from 0 to {len(stages)}")
    frozen = {name for stage in stages[: len(stages) - trainable] for name in stage}
    for name, parameter in features.network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def _stages(features: Features) -> list[set[str]]:
    """Return the names of the parameters of each stage, from the gradients of its map, on the meta device."""
    with torch.enable_grad():
        dry = on_meta(features.network).eval()
        named = {name: one for name, one in dry.named_parameters() if one.requires_grad}
        image = torch.zeros(1, input_channels(dry), SIDE, SIDE, device="meta")
        given = dry(image)
        stages: list[set[str]] = []
        for index in features.layout.picked:
            gradients = torch.autograd.grad(
                given[index].sum(), list(named.values()), retain_graph=True, allow_unused=True
            )
            reached = {name for name, one in zip(named, gradients, strict=True) if one is not None}
            stages.append(reached.difference(*stages) if stages else reached)
    return stages
