"""Attention that a network has of its own: found by the classes of its modules, taken out, and put back."""

from collections.abc import Collection
from typing import NamedTuple

from torch import nn

from foveate.errors import RequestError, shortened
from foveate.models.sites.dry_run import measure_channels
from foveate.models.sites.find import Site, check_model
from foveate.models.sites.insertion import CHILD, original_class
from foveate.models.sites.selection import check_free
from foveate.models.sites.wrappers import refuse_wrapped

__all__ = [
    "OwnAttention",
    "forget_own",
    "own_attention",
    "own_sites",
    "remove_own",
    "removed_own",
    "restore_own",
]

_SE, _ECA, _CBAM = "squeeze-and-excitation", "efficient channel attention", "CBAM"
KINDS: dict[str, str] = {
    "timm.layers.cbam.CbamModule": _CBAM,
    "timm.layers.cbam.LightCbamModule": _CBAM,
    "timm.layers.eca.CecaModule": _ECA,
    "timm.layers.eca.EcaModule": _ECA,
    "timm.layers.gather_excite.GatherExcite": "gather-excite",
    "timm.layers.global_context.GlobalContext": "global context",
    "timm.layers.squeeze_excite.EffectiveSEModule": _SE,
    "timm.layers.squeeze_excite.SEModule": _SE,
    "timm.models._efficientnet_blocks.SqueezeExcite": _SE,
    "timm.models.senet.SEModule": _SE,
    "torchvision.ops.misc.SqueezeExcitation": _SE,
}
"""Modules of timm and torchvision that weigh a map and return it in its shape; a subclass counts as its base.

Selective kernels and split attention are not among them: they merge several branches, and a network without
them would be another one.
"""


class OwnAttention(NamedTuple):
    """A module of the network that is attention: its path, and what kind it is."""

    path: str
    kind: str


class Removed(nn.Identity):
    """Stands where attention of the network's own was, and keeps that out of the network's weights."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own: tuple[nn.Module, ...] = (own,)  # in a tuple, so that it is no child


def own_attention(model: nn.Module) -> list[OwnAttention]:
    """Return the attention that `model` has of its own, in the order of its modules.

    What `attach` put in does not count, nor what stands in the place of attention that was taken out.
    """
    check_model(model)
    return [
        OwnAttention(path, kind)
        for path, module in model.named_modules()
        if (kind := _kind(module)) and CHILD not in path.split(".")
    ]


def own_sites(model: nn.Module, example_input: object = None) -> list[Site]:
    """Return the places of the attention that `model` has of its own, with the width of their maps.

    Raises:
        RequestError: it has none, or the width cannot be measured (see `measure_channels`).
    """
    refuse_wrapped(model)
    paths = [one.path for one in _required(model)]
    for path in paths:
        check_free(path, model.get_submodule(path))
    channels = measure_channels(model, paths, example_input)
    return [
        Site(path, channels[path], number, "block", "after", path)
        for number, path in enumerate(paths, start=1)
    ]


def remove_own(model: nn.Module, paths: Collection[str] | None = None) -> nn.Module:
    """Take the attention that `model` has of its own out, in place, and return the model.

    The module of each path in `paths`, by default of all, is replaced by one that changes nothing.
    `restore_own` puts it back.

    Raises:
        RequestError: there is none, or a path is not one of it; the model is then unchanged.
    """
    refuse_wrapped(model)
    own = [one.path for one in _required(model)]
    if unknown := [path for path in paths or () if path not in own]:
        raise RequestError(
            f"{type(model).__name__} has no attention of its own at {shortened(unknown)}: it is at "
            f"{shortened(own)}"
        )
    for path in own if paths is None else paths:
        module = model.get_submodule(path)
        model.set_submodule(path, Removed(module).train(module.training))
    return model


def removed_own(model: nn.Module) -> list[str]:
    """Return the paths at which `remove_own` took attention out of `model`."""
    return [path for path, module in model.named_modules() if isinstance(module, Removed)]


def restore_own(model: nn.Module) -> None:
    """Put what `remove_own` took out back into `model`, on the device and in the dtype of the model."""
    like = next(model.parameters(), None)
    for path in removed_own(model):
        stand: nn.Module = model.get_submodule(path)
        assert isinstance(stand, Removed)
        for own in stand.own:
            module = own if like is None else own.to(like.device, like.dtype)
            model.set_submodule(path, module.train(stand.training))


def forget_own(model: nn.Module) -> None:
    """Drop what `remove_own` took out of `model`: `restore_own` then leaves its places empty."""
    for path in removed_own(model):
        stand = model.get_submodule(path)
        assert isinstance(stand, Removed)
        stand.own = ()


def _required(model: nn.Module) -> list[OwnAttention]:
    found = own_attention(model)
    if not found:
        out = " any more" if removed_own(model) else ""
        raise RequestError(
            f"{type(model).__name__} has no attention of its own{out} that could be replaced: leave out "
            "replace_own (--replace-own)"
        )
    return found


def _kind(module: nn.Module) -> str | None:
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in original_class(module).__mro__)
    return next((KINDS[name] for name in names if name in KINDS), None)
