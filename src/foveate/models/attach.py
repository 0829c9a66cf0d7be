"""Put attention into a network that exists, and take it out again.

The mechanism becomes a child called `attention` of the module at the site, and a hook on that module applies
it. So the network's own state-dict keys stay as they are, and its weights load before or after. The hooks are
plain functions, which copy, pickle and compile with the network.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import create_attention, find_mechanism
from foveate.errors import RequestError
from foveate.models.sites import STAGES, Site, sites

__all__ = ["IdentityGate", "attach", "attached", "detach"]

CHILD = "attention"


class IdentityGate(nn.Module):
    """x + gate · (mechanism(x) - x), (B, C, H, W) -> (B, C, H, W), with one learnable `gate` from 0 on."""

    def __init__(self, mechanism: nn.Module) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Blend x (B, C, H, W) with what the mechanism makes of it."""
        return x + self.gate * (self.mechanism(x) - x)


def attach(
    model: nn.Module,
    name: str,
    where: str | None = None,
    stages: Collection[int] | None = None,
    identity_init: bool = False,
    **options: Any,
) -> nn.Module:
    """Put the mechanism called `name` at the sites of `model`, in place, and return the model.

    `where` is "block" or "stage"; None is the place that the mechanism's paper gives it. `stages` are counted
    from 1; None is the paper's own at the paper's place, elsewhere all. `identity_init` leaves the network's
    output exactly as it is at the start, and learns from the first step (see IdentityGate). `options` are the
    mechanism's. Its modules take the device, the dtype and the mode (train or eval) of the site's block, and
    draw their weights from torch's global generator.

    Raises RequestError for an unknown mechanism, network or stage, a value that does not fit a site, a site
    that has attention already or a compiled model, TypeError for an unknown option; nothing is touched.
    """
    mechanism = find_mechanism(name)
    where = where or mechanism.where
    if stages is None and where == mechanism.where:
        stages = mechanism.stages
    chosen = _choose(model, where, stages)
    built = [_build(model, site, name, identity_init, options) for site in chosen]
    for site, module in zip(chosen, built, strict=True):
        owner = model.get_submodule(site.path)
        owner.add_module(CHILD, module)
        if site.position == "after":
            owner.register_forward_hook(_attend_to_output)
        else:
            owner.register_forward_pre_hook(_attend_to_input)
    return model


def detach(model: nn.Module) -> nn.Module:
    """Take all that `attach` put into `model` out again, in place, and return the model.

    Raises RequestError if there is nothing: who asks believes there is, and would go on with another network.
    """
    owners = [module for module in model.modules() if _has_attention(module)]
    if not owners:
        raise RequestError(
            f"{type(model).__name__} has no attention that foveate.attach put in: nothing to detach"
        )
    for owner in owners:
        for hooks in (owner._forward_hooks, owner._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if hook in (_attend_to_output, _attend_to_input)]:
                del hooks[key]
        delattr(owner, CHILD)
    return model


def attached(model: nn.Module) -> dict[str, nn.Module]:
    """Return the attention in `model`, module by path; the paths are the prefixes of its state-dict keys."""
    return {
        f"{path}.{CHILD}": module.get_submodule(CHILD)
        for path, module in model.named_modules()
        if _has_attention(module)
    }


def _attend_to_output(module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return module.attention(output)


def _attend_to_input(module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (module.attention(args[0]), *args[1:])


def _has_attention(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return _attend_to_output in hooks or _attend_to_input in hooks


def _choose(model: nn.Module, where: str, stages: Collection[int] | None) -> list[Site]:
    if any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in model.modules()):
        raise RequestError(
            f"{type(model).__name__} is compiled and would run without it: attach, then compile"
        )
    available = sites(model, where)
    if not available:
        raise RequestError(
            f"no known {where} in {type(model).__name__}: foveate attaches to {', '.join(STAGES)}. "
            "In another network, put the module of foveate.create_attention(name, channels) in by hand."
        )
    numbers = sorted({site.stage for site in available})
    if stages is None:
        stages = numbers
    if not stages or not set(stages) <= set(numbers):
        raise RequestError(
            f"stages={stages!r}: {type(model).__name__} has the stages {numbers}, choose among them"
        )
    chosen = [site for site in available if site.stage in stages]
    for site in chosen:
        if hasattr(model.get_submodule(site.path), CHILD):
            raise RequestError(
                f"{site.path!r} has a child {CHILD!r} already: attention goes to a site once. "
                "Call foveate.detach(model) first, or choose other stages."
            )
    return chosen


def _build(
    model: nn.Module, site: Site, name: str, identity_init: bool, options: dict[str, Any]
) -> nn.Module:
    try:
        module = create_attention(name, site.channels, **options)
    except ValueError as error:
        raise RequestError(
            f"{name} does not fit {site.name!r} with its {site.channels} channels: {error}"
        ) from error
    if identity_init:
        module = IdentityGate(module)
    block = model.get_submodule(site.name)
    like = next(block.parameters())
    return module.to(like.device, like.dtype).train(block.training)
