"""Put attention into an existing network, and take it out again.

The mechanism becomes a child called `attention` of the module at the site, whose forward then runs it (see
insertion.py). The state-dict keys of the network itself do not change: its weights load before or after.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foveate.attention.custom import CustomMechanism
from foveate.attention.options import Options
from foveate.errors import RequestError
from foveate.models.sites.channel_scale import create_module
from foveate.models.sites.find import Site
from foveate.models.sites.frozen import warn_of_frozen_stages
from foveate.models.sites.gate import IdentityGate
from foveate.models.sites.given import MechanismLike, read_given
from foveate.models.sites.insertion import CHILD, has_attention, insert, record_grid, remove
from foveate.models.sites.layouts import Spot, spots
from foveate.models.sites.map_checks import try_map
from foveate.models.sites.own import own_sites, remove_own, removed_own, restore_own
from foveate.models.sites.selection import check_free, choose_sites
from foveate.models.sites.token_grids import Layout
from foveate.models.sites.wrappers import refuse_parallel

__all__ = [
    "IdentityGate",
    "Placement",
    "attach",
    "attached",
    "detach",
    "insert_built",
    "place",
    "placements",
    "with_tuples",
]


@dataclass(frozen=True)
class Placement:
    """One mechanism at one place, with everything that is needed to put it there again.

    `custom` is a mechanism that is not one of foveate's; its name is `name`.
    """

    name: str
    path: str
    position: Literal["after", "before"]
    channels: int
    identity_init: bool
    options: Options
    custom: CustomMechanism | None = field(default=None, compare=False)


def attach(
    model: nn.Module,
    name: MechanismLike,
    where: str | None = None,
    stages: int | Collection[int] | None = None,
    identity_init: bool = False,
    *,
    at: str | Collection[str | Site] | Callable[[Site], bool] | None = None,
    exclude: str | Collection[str] | None = None,
    example_input: Any = None,
    replace_own: bool = False,
    **options: Any,
) -> nn.Module:
    """Put the mechanism called `name` into `model`, in place, and return the model.

    In place of a name it can be a class of one's own: by its place, `mine.py:MyAttention` or
    `package.module:MyAttention`, or itself. Its constructor takes the channels, found by the parameter's name
    (channels, in_channels, dim, inplanes …) or as the first that has no default. It can be a function that
    takes the channels and the options and returns a module, and it can be modules, one for each site in the
    order of the sites; a single module is for a single site. What is not foveate's goes to the blocks.

    In a network that `sites` knows, `where` is "block" or "stage"; None is the place that the paper gives.
    `stages` are counted from 1; None is those of the paper at the paper's place, and all of them elsewhere.
    Papers count four stages; in a network with five (MobileNets, EfficientNets) the first, at half the image
    size, comes before theirs. `at` can be a callable that keeps or drops each site.

    In any network, `at` names modules, such as "features.3"; attention is put after each. A string, or each
    of several, is a path, or else an ending of paths ("conv3" is the conv3 of all blocks), or else a regular
    expression that matches whole paths. `exclude` takes the same: no attention goes to these modules, nor
    inside of them; it also narrows the known sites. The width of named modules is found by one forward pass
    on `example_input` (see `measure_channels`). `at` also takes sites that `sites` returned.

    With `replace_own` the attention that the network has of its own, such as the squeeze-and-excitation of
    MobileNetV3, EfficientNet and RegNetY, is taken out, and the mechanism goes to its places; or to others,
    if `where`, `stages`, `at` or `exclude` name them. `detach` puts the network's own attention back.

    With `identity_init` the output of the network does not change at the start, and attention learns from
    the first step (see IdentityGate). `options` are the mechanism's. Its modules take the device, dtype and
    mode (train or eval) of the module at the site, and draw their weights from torch's global generator.

    Attention that is added to a part that is frozen (requires_grad=False) learns, and a warning says where.

    Raises RequestError for an unknown mechanism, network, module or stage, a value that does not fit a site,
    a site that has attention already, `replace_own` where there is none, a model that is compiled, scripted
    or wrapped for parallel training, and TypeError for an unknown option; the model is then unchanged.
    """
    if not isinstance(identity_init, bool):
        raise RequestError(f"identity_init must be True or False, got {identity_init!r}")
    given = read_given(name)
    options = with_tuples(given.options | options)
    if replace_own and where is None and stages is None and at is None and exclude is None:
        sites = own_sites(model, example_input)
    else:
        sites = choose_sites(model, given.mechanism, where, stages, at, example_input, exclude)
    warn_of_frozen_stages(model, [site.path for site in sites])
    wanted = [
        Placement(name, site.path, site.position, site.channels, identity_init, options, custom)
        for site, (name, custom) in zip(sites, given.for_sites(len(sites), options), strict=True)
    ]
    if not replace_own:
        return place(model, wanted)
    remove_own(model)
    try:
        return place(model, wanted)
    except Exception:
        restore_own(model)
        raise


def place(model: nn.Module, placements: Iterable[Placement]) -> nn.Module:
    """Carry out `placements` in `model`, all or none, and return the model.

    Raises RequestError for a module that does not exist or has attention, or a value that does not fit.
    """
    placements = list(placements)
    for placement in placements:
        check_free(placement.path, _owner(model, placement))
    random = torch.get_rng_state()
    try:
        built = [_build(model, placement) for placement in placements]
    except Exception:
        torch.set_rng_state(random)
        raise
    insert_built(model, built)
    return model


def insert_built(model: nn.Module, built: Iterable[nn.Module]) -> None:
    """Insert modules that carry their `placement`, each in the layout of the maps at its site."""
    others = spots(model)
    for module in built:
        path = module.placement.path  # type: ignore[union-attr]
        spot = others.get(path)  # type: ignore[arg-type]
        insert(model, path, module, None if spot is None else _layout(model, spot))  # type: ignore[arg-type]


def _layout(model: nn.Module, spot: Spot) -> Layout:
    grid = record_grid(model, spot.source, spot.side) if spot.kind == "tokens" else None
    return Layout(spot.kind, grid, spot.prefix)


def detach(model: nn.Module) -> nn.Module:
    """Remove all that `attach` put into `model`, in place, and return the model.

    Attention of the network's own that was replaced is put back. In a network that was loaded from a file,
    which does not hold it, its places stay empty.

    Raises RequestError if there is nothing to remove: the caller believes that there is.
    """
    refuse_parallel(model)
    if not attached(model) and not removed_own(model):
        raise RequestError(
            f"{type(model).__name__} has no attention that foveate.attach put in: nothing to detach"
        )
    remove(model)
    restore_own(model)
    return model


def attached(model: nn.Module) -> dict[str, nn.Module]:
    """Return the attention in `model`, module by path; the paths are the prefixes of its state-dict keys."""
    return {
        f"{path}.{CHILD}" if path else CHILD: module.get_submodule(CHILD)
        for path, module in model.named_modules()
        if has_attention(module)
    }


def placements(model: nn.Module) -> list[Placement]:
    """Return what `attach` did to `model`, so that `place` can do it to another copy of the network."""
    return [
        replace(module.get_submodule(CHILD).placement, path=path)
        for path, module in model.named_modules()
        if has_attention(module)
    ]


def with_tuples(options: Options) -> Options:
    """Return options with tuples for lists and ranges: JSON has lists where a constructor has tuples."""
    return {key: tuple(value) if isinstance(value, range | list) else value for key, value in options.items()}


def _owner(model: nn.Module, placement: Placement) -> nn.Module:
    try:
        return model.get_submodule(placement.path)
    except AttributeError:
        raise RequestError(
            f"{type(model).__name__} has no module {placement.path!r} to put {placement.name} at"
        ) from None


def _build(model: nn.Module, placement: Placement) -> nn.Module:
    path, module = placement.path, _make(placement)
    if placement.identity_init:
        module = IdentityGate(module)
    module.placement = placement  # type: ignore[assignment]
    like = _nearest_parameter(model, path)
    module = module if like is None else module.to(like.device, like.dtype)
    return module.train(model.get_submodule(path).training)


def _make(placement: Placement) -> nn.Module:
    if placement.custom:  # its errors name it
        module = placement.custom.build(placement.channels, **placement.options)
        try_map(module, placement.channels, placement.name, placement.path)
        return module
    try:
        return create_module(placement.name, placement.channels, **placement.options)
    except ValueError as error:
        raise RequestError(
            f"{placement.name} does not fit {placement.path!r} with its {placement.channels} channels: "
            f"{error}"
        ) from error


def _nearest_parameter(model: nn.Module, path: str) -> Tensor | None:
    """Return the first parameter of the nearest module around `path` that has one."""
    while path:
        path = path.rpartition(".")[0]
        for parameter in model.get_submodule(path).parameters():
            return parameter
    return next(model.parameters(), None)
