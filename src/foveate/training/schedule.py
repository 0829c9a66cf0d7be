"""The optimiser of a recipe and its learning rate at each step."""

import inspect
import math
from functools import partial
from typing import Any

import timm.optim
import torch
from torch import nn

from foveate.training.parts import parameter_groups
from foveate.training.recipe import Recipe

__all__ = ["learning_rate_factor", "make_optimizer"]

STEPS = (8 / 12, 11 / 12)
"""The parts of a training after which "step" divides the learning rate by ten."""


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Create the recipe's optimiser for the parameters of `network` with timm's factory.

    On a CUDA device it is torch's fused implementation if there is one. Where the recipe gives parts of the
    network rates of their own, each has its own parameter groups.
    """
    options: dict[str, Any] = {"fused": True} if _can_be_fused(network, recipe) else {}
    if recipe.has_part_rates:
        options["param_group_fn"] = partial(parameter_groups, recipe=recipe)
    optimizer: torch.optim.Optimizer = timm.optim.create_optimizer_v2(
        network,
        opt=recipe.optimizer,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        filter_bias_and_bn=not recipe.decay_norm_and_bias,
        **options,
    )
    return optimizer


def _can_be_fused(network: nn.Module, recipe: Recipe) -> bool:
    """Return whether the fused optimiser can be used; Lightning cannot clip for it in mixed precision."""
    on_gpu = all(parameter.device.type == "cuda" for parameter in network.parameters())
    clipped = recipe.precision != "32-true" and recipe.clip_grad_norm is not None
    known = inspect.signature(timm.optim.get_optimizer_class(recipe.optimizer)).parameters
    return on_gpu and not clipped and "fused" in known


def learning_rate_factor(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Return the learning rate of a step (counted from 0) as a share of the peak.

    It rises linearly over the warm-up (the step after it is the first at the peak), then falls to
    `final_learning_rate` at the last step: along half a cosine, linearly, by the power 0.9 of the rest
    ("poly", Chen et al. 2018, section 4.1), or not at all. "step" is the 1× schedule of detectors (Girshick
    et al. 2018): a tenth after 8 of 12 parts of the training, a hundredth after 11.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(round(recipe.warmup_ratio * total), total - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "step":
        return 0.1 ** sum(step >= total * part for part in STEPS)
    progress = min((step - warmup) / max(total - 1 - warmup, 1), 1.0)
    shapes = {"cosine": (1 + math.cos(math.pi * progress)) / 2, "poly": (1 - progress) ** 0.9}
    shape = shapes.get(recipe.schedule, 1 - progress)
    last = recipe.final_learning_rate / recipe.learning_rate
    return last + (1 - last) * shape
