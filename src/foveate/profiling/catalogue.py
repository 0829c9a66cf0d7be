"""The catalogue of mechanisms: paper, default place, options, and what each adds to a ResNet-50."""

import inspect
from typing import Any

import timm
import torch

from foveate.attention import MECHANISMS, Mechanism, list_attention
from foveate.evaluation.cost import count_multiply_adds, count_parameters
from foveate.models import attach, detach

__all__ = ["catalogue"]

BACKBONE, IMAGE_SIZE = "resnet50", 224


def catalogue() -> dict[str, Any]:
    """Describe every mechanism, sorted by name, in plain values for JSON.

    Costs are those of the mechanism with its default options at its default place in a ResNet-50 with 1000
    classes, for one image of 224×224. They are counted on the meta device, which takes no memory.
    Multiply-adds are those of convolutions and matrix products; element-wise work is not included.
    """
    with torch.device("meta"):
        network = timm.create_model(BACKBONE).eval()
        plain = _cost(network)
        rows = []
        for name in list_attention():
            cost = _cost(attach(network, name))
            detach(network)
            rows.append(_describe(name, MECHANISMS[name]) | _added(cost, plain))
    return {
        "backbone": BACKBONE,
        "image_size": IMAGE_SIZE,
        **plain,
        "mechanisms": rows,
    }


def _cost(network: torch.nn.Module) -> dict[str, int]:
    return {
        "parameters": count_parameters(network),
        "macs": count_multiply_adds(network, (1, 3, IMAGE_SIZE, IMAGE_SIZE)),
    }


def _describe(name: str, mechanism: Mechanism) -> dict[str, Any]:
    parameters = inspect.signature(mechanism.module).parameters.values()
    return {
        "name": name,
        "paper": mechanism.paper,
        "where": mechanism.where,
        "stages": list(mechanism.stages) if mechanism.stages else None,  # counted from 1; None: all
        "options": {option.name: option.default for option in parameters if option.name != "channels"},
    }


def _added(cost: dict[str, int], plain: dict[str, int]) -> dict[str, float]:
    added: dict[str, float] = {}
    for key, value in cost.items():
        added[f"{key}_added"] = value - plain[key]
        added[f"{key}_increase_percent"] = 100 * (value - plain[key]) / plain[key]
    return added
