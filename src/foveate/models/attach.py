"""Put attention into a network that exists, and take it out again.

The mechanism becomes a child called `attention` of the module at the site, and a hook on that module applies
it. So the network's own state-dict keys stay as they are, and its weights load before or after. The hooks are
plain functions, which copy, pickle and compile with the network.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foveate.attention import create_attention, find_mechanism
from foveate.errors import RequestError
from foveate.models.choose import CHILD, check_free, choose_sites
from foveate.models.sites import Site

__all__ = ["IdentityGate", "Placement", "attach", "attached", "detach", "place", "placements"]


class IdentityGate(nn.Module):
    """x + gate · (mechanism(x) - x), (B, C, H, W) -> (B, C, H, W), with one learnable `gate` from 0 on.

    The gate learns from the first step, the mechanism behind it from the second, when the gate has left 0. At
    a site whose maps are 0 themselves, as behind the norms that timm's `zero_init_last` sets to 0 in a
    network that was never trained, both wait until the maps have left 0.
    """

    def __init__(self, mechanism: nn.Module) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Blend x (B, C, H, W) with what the mechanism makes of it."""
        return x + self.gate * (self.mechanism(x) - x)


@dataclass(frozen=True)
class Placement:
    """One mechanism at one place: all that is needed to put it there again."""

    name: str
    path: str
    position: Literal["after", "before"]
    channels: int
    identity_init: bool
    options: dict[str, Any]


def attach(
    model: nn.Module,
    name: str,
    where: str | None = None,
    stages: Collection[int] | None = None,
    identity_init: bool = False,
    *,
    at: str | Collection[str] | Callable[[Site], bool] | None = None,
    example_input: Any = None,
    **options: Any,
) -> nn.Module:
    """Put the mechanism called `name` into `model`, in place, and return the model.

    In a network that `sites` knows, `where` is "block" or "stage"; None is the place that the mechanism's
    paper gives it. `stages` are counted from 1; None is the paper's own at the paper's place, elsewhere all.
    Papers count four; of a network with five (MobileNets, EfficientNets) the first, at half the image's size,
    comes before theirs. `at` is then a callable that keeps or drops each site.

    In any other network, `at` names modules, such as "features.3"; attention goes behind each. Their width is
    read from them, or found by one dry forward on `example_input` (see `measure_channels`).

    `identity_init` leaves the network's output exactly as it is at the start, and learns from the first step
    (see IdentityGate). `options` are the mechanism's. Its modules take the device, the dtype and the mode
    (train or eval) of the module at the site, and draw their weights from torch's global generator.

    Raises RequestError for an unknown mechanism, network, module or stage, a value that does not fit a site,
    a site that has attention already, a compiled or a scripted model, and TypeError for an unknown option;
    nothing is touched.
    """
    mechanism = find_mechanism(name)
    sites = choose_sites(model, mechanism, where, stages, at, example_input)
    return place(
        model,
        [Placement(name, site.path, site.position, site.channels, identity_init, options) for site in sites],
    )


def place(model: nn.Module, placements: Iterable[Placement]) -> nn.Module:
    """Carry out `placements` in `model`, all or none, and return the model.

    Raises RequestError for a module that is not there or has attention already, or a value that does not fit.
    """
    placements = list(placements)
    built = [_build(model, placement) for placement in placements]
    for placement, module in zip(placements, built, strict=True):
        owner = model.get_submodule(placement.path)
        owner.add_module(CHILD, module)
        if placement.position == "after":
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
        f"{path}.{CHILD}" if path else CHILD: module.get_submodule(CHILD)
        for path, module in model.named_modules()
        if _has_attention(module)
    }


def placements(model: nn.Module) -> list[Placement]:
    """Return what `attach` did to `model`, so that `place` can do it to another copy of the network."""
    found = []
    for path, module in model.named_modules():
        if _has_attention(module):
            placed: Placement = module.get_submodule(CHILD).placement
            found.append(Placement(**{**vars(placed), "path": path}))
    return found


def _attend_to_output(module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return module.attention(output)


def _attend_to_input(module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (module.attention(args[0]), *args[1:])


def _has_attention(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return _attend_to_output in hooks or _attend_to_input in hooks


def _build(model: nn.Module, placement: Placement) -> nn.Module:
    path = placement.path
    try:
        owner = model.get_submodule(path)
    except AttributeError:
        raise RequestError(
            f"{type(model).__name__} has no module {path!r} to put {placement.name} at"
        ) from None
    check_free(path, owner)
    try:
        module = create_attention(placement.name, placement.channels, **placement.options)
    except ValueError as error:
        raise RequestError(
            f"{placement.name} does not fit {path!r} with its {placement.channels} channels: {error}"
        ) from error
    if placement.identity_init:
        module = IdentityGate(module)
    module.placement = placement  # type: ignore[assignment]
    like = _nearest_parameter(model, path)
    return (module if like is None else module.to(like.device, like.dtype)).train(owner.training)


def _nearest_parameter(model: nn.Module, path: str) -> Tensor | None:
    """The first parameter of the module around `path`, or around that, and so on."""
    while path:
        path = path.rpartition(".")[0]
        for parameter in model.get_submodule(path).parameters():
            return parameter
    return next(model.parameters(), None)
