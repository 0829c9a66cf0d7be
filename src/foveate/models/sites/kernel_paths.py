"""Which kernel path each attention of a network takes, and how to ask for one."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, unknown_name
from foveate.kernels import PATHS, choose_path, has_path, recorded_choices
from foveate.models.sites.attach import attached

__all__ = ["SitePath", "kernel_paths", "set_path"]


class SitePath(NamedTuple):
    """The kernel path that the mechanism at one site takes, and why; `str` is a line to read."""

    site: str
    mechanism: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.site}: {self.mechanism} by {self.path} ({self.reason})"


def kernel_paths(model: nn.Module, images: Tensor | None = None) -> list[SitePath]:
    """List the kernel path of each attention in `model` as it would run now, and the reason for it.

    The result depends on the mode (train or eval), on whether gradients are enabled, and on autocast: call it
    within `torch.inference_mode()` to see the paths of inference. With `images`, the model is run on them and
    the paths are those that were taken; without, they are those of contiguous maps in the dtype and on the
    device of the weights. Attention that has only its reference equations is listed as well.

    Raises RequestError where a path was asked for by name (see `set_path`) and cannot be taken.
    """
    if images is not None:
        with recorded_choices() as taken:
            model(images)
        choices = dict(taken)
    found = []
    for site, module in _attention(model):
        mechanism = getattr(type(module).forward, "mechanism", None)
        if mechanism is None:
            name = getattr(module, "placement").name  # noqa: B009
            found.append(SitePath(site, name, "reference", "there is no other path for it"))
            continue
        if images is None:
            choice = choose_path(module, _like_its_map(model, module), mechanism)
        elif module in choices:
            choice = choices[module]
        else:
            continue
        found.append(SitePath(site, mechanism, choice.path, choice.reason))
    return found


def set_path(model: nn.Module, path: str) -> nn.Module:
    """Set one kernel path for all attention in `model`, or "auto" to choose at each call; return the model.

    "reference" runs the equations as the paper has them, "rearranged" fewer passes in plain torch, "numba"
    the kernels for CPUs and "triton" those for GPUs. Attention that has no such path raises RequestError
    here; a path that cannot be taken at a call (gradients, dtype, device) raises when the network runs.
    """
    if path not in PATHS:
        raise RequestError(unknown_name("path", path, PATHS))
    modules = list(_attention(model))
    if not modules:
        raise RequestError(f"{type(model).__name__} has no attention to choose a path for")
    for site, module in modules:
        mechanism = getattr(type(module).forward, "mechanism", None)
        if path not in ("auto", "reference") and (mechanism is None or not has_path(mechanism, path)):
            raise RequestError(
                f"{site or 'the module'} ({type(module).__name__}) has no path {path!r}: ask for 'auto', "
                "which takes the fastest that there is"
            )
    for _, module in modules:
        module.path = path  # type: ignore[assignment]
    return model


def _attention(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield all attention: modules that choose between paths, and attached ones that have no choice."""
    chooses = {name: hasattr(type(module).forward, "mechanism") for name, module in model.named_modules()}
    sites = attached(model)
    for name, module in model.named_modules():
        inside = any(inner.startswith(f"{name}.") and chooses[inner] for inner in chooses)
        if chooses[name] or (name in sites and not inside):
            yield name, module


def _like_its_map(model: nn.Module, module: nn.Module) -> Tensor:
    own = next(module.parameters(), None)
    like = next(model.parameters(), torch.empty(0)) if own is None else own
    channels = own.shape[1] if own is not None and own.ndim == 4 else 1
    return torch.empty(1, channels, 2, 2, dtype=like.dtype, device=like.device)
