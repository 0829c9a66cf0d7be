"""The catalogue of mechanisms: paper, default place, options, and what each adds to a ResNet-50."""

import inspect
from typing import Any, NamedTuple, cast

import timm
import torch
from torch import nn

from foveate.attention import MECHANISMS, find_custom
from foveate.evaluation.cost import count_multiply_adds, count_parameters
from foveate.models import attach, attached, detach
from foveate.models.sites.map_checks import check_maps
from foveate.records.base import Json
from foveate.records.catalogue import Catalogue, ListedMechanism
from foveate.studies.engine.network import attach_candidate
from foveate.studies.spec.candidate import Candidate

__all__ = ["catalogue", "describe_custom"]

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
        for name in sorted(MECHANISMS):
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


def describe_custom(candidate: Candidate) -> ListedMechanism:
    """Describe a class of a person's own at the blocks of the network of `catalogue`.

    Raises:
        RequestError: it cannot be built, or does not take the network's maps.
    """
    network = timm.create_model(BACKBONE).eval()
    baseline = _count(network)
    attach_candidate(network, candidate, BACKBONE)
    check_maps(attached(network), candidate.label)
    own = find_custom(candidate.mechanism)
    assert own is not None
    defaults = {name: _shown(one.default) for name, one in own.options.items()}
    return _row(candidate.name, "your own", "block", None, defaults, _count(network), baseline)


def _shown(default: object) -> Json:
    """Return a default as JSON has it; of a class or a function its name."""
    if default is inspect.Parameter.empty:
        return None
    known = default is None or isinstance(default, str | int | float)
    return cast(Json, default) if known else getattr(default, "__name__", str(default))


def _count(network: nn.Module) -> Counts:
    return Counts(count_parameters(network), count_multiply_adds(network, (1, 3, IMAGE_SIZE, IMAGE_SIZE)))


def _describe(name: str, counts: Counts, baseline: Counts) -> ListedMechanism:
    mechanism = MECHANISMS[name]
    parameters = inspect.signature(mechanism.module).parameters.values()
    options = {option.name: option.default for option in parameters if option.name != "channels"}
    return _row(name, mechanism.paper, mechanism.where, mechanism.stages or None, options, counts, baseline)


def _row(
    name: str,
    paper: str,
    where: str,
    stages: tuple[int, ...] | None,
    options: dict[str, Any],
    counts: Counts,
    baseline: Counts,
) -> ListedMechanism:
    added = Counts(counts.parameters - baseline.parameters, counts.macs - baseline.macs)
    return ListedMechanism(
        name=name,
        paper=paper,
        where=where,
        stages=stages,
        options=options,
        parameters_added=added.parameters,
        parameters_increase_percent=100 * added.parameters / baseline.parameters,
        macs_added=added.macs,
        macs_increase_percent=100 * added.macs / baseline.macs,
    )
