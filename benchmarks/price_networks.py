"""The networks that are compared: baseline, foveate's, foveate's on the reference path, timm's."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict

import torch
from timm.layers import get_attn
from torch import nn

from foveate.evaluation.step import Mode
from foveate.models import attached
from foveate.models.sites.insertion import CHILD
from foveate.profiling.networks import Ready, make_ready
from foveate.profiling.settings import ProfileSettings
from foveate.profiling.spec import ProfileSpec, make_profile

MECHANISMS = ("dmsca", "sgfa", "se", "cbam", "ca", "simam")
BASELINE, AGAIN, FOVEATE, EQUATIONS, TIMM = "plain", "plain, again", "foveate", "equations", "timm"
"""The contenders as records name them; `printed` is what a person reads."""

IN_TIMM: dict[str, tuple[str, Callable[[Any], int]]] = {
    "se": ("se", lambda se: se.reduce.out_channels),
    "cbam": ("cbam", lambda cbam: cbam.channel.mlp[0].out_channels),
    "ca": ("coord", lambda ca: ca.embed[0].out_channels),
}
"""timm's name of a mechanism, and the hidden channels of foveate's module, which timm's layer gets too."""


def printed(name: str) -> str:
    """Return the name of a contender, or the title of a unit, as a person reads it."""
    return name.replace(BASELINE, "baseline")


class CaseFields(TypedDict):
    """The fields of a `Case` in a record."""

    mechanism: str
    backbone: str
    image_size: int
    batch_size: int
    memory_format: str
    dtype: str
    mode: str
    graph: bool


class Case(NamedTuple):
    """One comparison: a mechanism in a network, with its shapes, dtype and mode."""

    mechanism: str
    backbone: str
    image_size: int
    batch_size: int
    memory_format: str
    dtype: str
    mode: Mode
    graph: bool

    @property
    def name(self) -> str:
        """The whole case in one line."""
        graph = ", graph-captured" if self.graph else ""
        return (
            f"{self.mechanism} in {self.backbone}, {self.mode}, batch {self.batch_size} of {self.image_size}×"
            f"{self.image_size}, {self.dtype}, {self.memory_format}{graph}"
        )

    def spec(self, device: torch.device, threads: int | None, seconds: float) -> ProfileSpec:
        """Return the case as the spec of a profile; RequestError if a name in it is unknown."""
        mechanism, *form = self
        settings = dict(zip(self._fields[1:], form, strict=True))
        settings |= {"attention": mechanism, "device": str(device), "threads": threads, "seconds": seconds}
        return make_profile(ProfileSettings(**settings))


def list_cases(given: argparse.Namespace, gpu: bool) -> list[Case]:
    """List all comparisons for a CPU or a GPU; SGFA is compared in inference only."""
    sizes = given.batch_sizes or ([1, 256] if gpu else [1, 8])
    formats = ["channels_last"] if gpu else ["contiguous", "channels_last"]
    forms: list[tuple[Mode, int, str]] = [("inference", batch, form) for batch in sizes for form in formats]
    forms += [("training", max(sizes), form) for form in formats if gpu]
    return [
        Case(
            mechanism,
            given.sgfa_backbone if mechanism == "sgfa" else given.backbone,
            given.image_size,
            batch,
            form,
            "bfloat16" if gpu else "float32",
            mode,
            graph=gpu and mode == "inference" and batch == 1,
        )
        for mechanism in given.attention
        for mode, batch, form in forms
        if mode == "inference" or mechanism != "sgfa"
    ]


def make_contenders(spec: ProfileSpec) -> dict[str, Ready]:
    """Build all networks of a comparison, with the same weights of the backbone; the baseline comes first.

    A second baseline shows the noise of the measurement.
    """
    plain, candidate = spec.attention
    ready = {BASELINE: make_ready(spec, plain), AGAIN: make_ready(spec, plain)}
    ready[FOVEATE] = make_ready(spec, candidate)
    ready[EQUATIONS] = make_ready(replace(spec, path="reference"), candidate)
    if candidate.name in IN_TIMM and (layer := _timm_layer(candidate.name)):
        ready[TIMM] = make_ready(spec, candidate)
        _swap(ready[TIMM], layer, IN_TIMM[candidate.name][1])
    return ready


def _timm_layer(mechanism: str) -> type[nn.Module] | None:
    """Return timm's layer, or None if this version has none, for which it raises AssertionError."""
    try:
        return get_attn(IN_TIMM[mechanism][0])
    except AssertionError:
        return None


def _swap(ready: Ready, layer: Callable[..., nn.Module], hidden: Callable[[Any], int]) -> None:
    """Replace foveate's module at every site by timm's layer with the same hidden channels."""
    for path, module in attached(ready.network).items():
        like = next(module.parameters())
        other = layer(module.placement.channels, rd_channels=hidden(module))
        other = other.to(like.device, like.dtype).train(module.training)
        if ready.images.is_contiguous(memory_format=torch.channels_last):
            other = other.to(memory_format=torch.channels_last)
        other.placement = module.placement  # so that it is treated as attention
        setattr(ready.network.get_submodule(path.removesuffix(CHILD).rstrip(".")), CHILD, other)
        if ready.optimizer is not None:
            ready.optimizer.add_param_group({"params": list(other.parameters())})
