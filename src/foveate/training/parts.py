"""The parts of a network that learn at different rates: its backbone, its attention, and its head.

The head of a detector or a segmenter is all that is neither its backbone nor attention.
"""

from typing import Any

from timm.optim import param_groups_weight_decay
from torch import nn

from foveate.models import attached
from foveate.models.backbones.head import declared_heads
from foveate.models.dense import backbone_path
from foveate.training.recipe import RATES, Part, Recipe

__all__ = ["parameter_groups", "part_of_parameters"]

ParameterGroup = dict[str, Any]
"""A parameter group as torch's optimisers take it."""


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[ParameterGroup]:
    """Return the parameter groups of an optimiser: timm's, which differ in weight decay, for each part.

    The part with the highest learning rate comes first.
    """
    parts = part_of_parameters(network)
    by_decay: list[ParameterGroup] = param_groups_weight_decay(
        network,
        weight_decay=recipe.weight_decay,
        weight_decay_exclude_1d=not recipe.decay_norm_and_bias,
        no_weight_decay_list=getattr(network, "no_weight_decay", set)(),
    )
    groups = []
    for part in sorted(RATES, key=recipe.rate, reverse=True):
        for group in by_decay:
            own = [parameter for parameter in group["params"] if parts[id(parameter)] == part]
            if own:
                groups.append({**group, "params": own, "lr": recipe.learning_rate * recipe.rate(part)})
    return groups


def part_of_parameters(network: nn.Module) -> dict[int, Part]:
    """Return the part that each parameter of `network` belongs to, by the parameter's `id`."""
    below = backbone_path(network)
    if below is None:
        parts = _all_in("backbone", network)
        for path in declared_heads(network):
            parts |= _all_in("head", network.get_submodule(path))
    else:
        parts = _all_in("head", network) | _all_in("backbone", network.get_submodule(below))
    for module in attached(network).values():
        parts |= _all_in("attention", module)
    return parts


def _all_in(part: Part, module: nn.Module) -> dict[int, Part]:
    return {id(parameter): part for parameter in module.parameters()}
