"""The catalogue of mechanisms: paper, default place, options, and what each adds to a ResNet-50."""

import inspect
from typing import NamedTuple

import timm
import torch
from torch import nn

from foveate.attention import MECHANISMS, list_attention
from foveate.evaluation.cost import count_multiply_adds, count_parameters
from foveate.models import attach, detach
from foveate.records.catalogue import Catalogue, ListedMechanism

__all__ = ["catalogue"]

BACKBONE, IMAGE_SIZE = "resnet50", 224


class Counts(NamedTuple):
    """Parameters, and multiply-adds of one image."""

    parameters: int
    macs: int


def catalogue() -> Catalogue:
    """Describe every mechanism, sorted by name.

    Costs are those of the mechanism with its default options at its default place in a ResNet-50 with 1000
    classes, for one image of 224×224. They are counted on the meta device, which takes no memory.
    Multiply-adds are those of convolutions and matrix products; element-wise work is not included.
    """
    with torch.device("meta"):
        network = timm.create_model(BACKBONE).eval()
        baseline = _count(network)
        mechanisms = []
        for name in list_attention():
            counts = _count(attach(network, name))
            detach(network)
            mechanisms.append(_describe(name, counts, baseline))
    return Catalogue(
        backbone=BACKBONE,
        image_size=IMAGE_SIZE,
        parameters=baseline.parameters,
        macs=baseline.macs,
        mechanisms=tuple(mechanisms),
    )


def _count(network: nn.Module) -> Counts:
    return Counts(count_parameters(network), count_multiply_adds(network, (1, 3, IMAGE_SIZE, IMAGE_SIZE)))


def _describe(name: str, counts: Counts, baseline: Counts) -> ListedMechanism:
    mechanism = MECHANISMS[name]
    parameters = inspect.signature(mechanism.module).parameters.values()
    added = Counts(counts.parameters - baseline.parameters, counts.macs - baseline.macs)
    return ListedMechanism(
        name=name,
        paper=mechanism.paper,
        where=mechanism.where,
        stages=mechanism.stages or None,
        options={option.name: option.default for option in parameters if option.name != "channels"},
        parameters_added=added.parameters,
        parameters_increase_percent=100 * added.parameters / baseline.parameters,
        macs_added=added.macs,
        macs_increase_percent=100 * added.macs / baseline.macs,
    )
