"""Which sites of a network `attach` takes, and every reason to refuse."""

from collections.abc import Callable, Collection

import torch
from torch import nn

from foveate.attention import Mechanism
from foveate.errors import RequestError, unknown_name
from foveate.models.architectures import JOINTS, RUNS, STAGES
from foveate.models.probe import measure_channels
from foveate.models.sites import Site, sites

__all__ = ["CHILD", "check_free", "choose_sites"]

CHILD = "attention"
PAPERS_STAGES = 4


def choose_sites(
    model: nn.Module,
    mechanism: Mechanism,
    where: str | None,
    stages: Collection[int] | None,
    at: str | Collection[str] | Callable[[Site], bool] | None,
    example_input: object = None,
) -> list[Site]:
    """Return the sites that the arguments of `attach` stand for, at least one.

    Raises RequestError where they stand for none, or where `model` would not run what is attached to it.
    """
    _refuse_frozen_forwards(model)
    if at is None or callable(at):
        found = _known_sites(model, mechanism, where, stages)
        if at is not None and not (found := [site for site in found if at(site)]):
            raise RequestError(
                f"at= keeps none of the sites of {type(model).__name__}: see foveate.sites(model)"
            )
        return found
    if where is not None or stages is not None:
        raise RequestError(
            "at= names modules, so that where= and stages= have nothing to say: leave them out"
        )
    return _named_sites(model, [at] if isinstance(at, str) else list(at), example_input)


def check_free(path: str, owner: nn.Module) -> None:
    """Raise RequestError if the module at `path` has attention, or a child of that name."""
    if hasattr(owner, CHILD):
        raise RequestError(
            f"{path!r} has a child {CHILD!r} already: attention goes to a site once. "
            "Call foveate.detach(model) first, or choose other sites."
        )


def _refuse_frozen_forwards(model: nn.Module) -> None:
    name = type(model).__name__
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise RequestError(f"{name} is scripted and cannot change: attach to the model it was made from")
        if hasattr(module, "_orig_mod") or module._compiled_call_impl:
            raise RequestError(f"{name} is compiled and would run without it: attach, then compile")


def _known_sites(
    model: nn.Module, mechanism: Mechanism, where: str | None, stages: Collection[int] | None
) -> list[Site]:
    name = type(model).__name__
    found = sites(model, where or mechanism.where)
    if not found:
        _refuse_unknown(model, where or mechanism.where)
    numbers = sorted({site.stage for site in found})
    if stages is None and mechanism.stages and (where or mechanism.where) == mechanism.where:
        shift = max(numbers[-1] - PAPERS_STAGES, 0)
        stages = {stage + shift for stage in mechanism.stages} & set(numbers)
    elif stages is None:
        stages = numbers
    if not stages or not set(stages) <= set(numbers):
        raise RequestError(f"stages={stages!r}: {name} has the stages {numbers}, choose among them")
    return [site for site in found if site.stage in stages]


def _refuse_unknown(model: nn.Module, where: str) -> None:
    name = type(model).__name__
    if sites(model):
        other = "stage" if where == "block" else "block"
        raise RequestError(
            f'{name} has no residual blocks: pass where="{other}", or name modules with at=[…]'
            if where == "block"
            else f"{name} has no stages that are known: name modules with at=[…]"
        )
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        raise RequestError(
            f"{name} has no 2-d convolutions: attention weighs feature maps (B, C, H, W), and it has none"
        )
    raise RequestError(
        f"the {where}s of {name} are not known (known are {_known_networks()}): name modules with at=[…], as in "
        'foveate.attach(model, "se", at=["features.3"])'
    )


def _known_networks() -> str:
    classes = [name.split(".") for name in sorted({**STAGES, **RUNS, **JOINTS})]
    return "; ".join(
        f"{library}'s {', '.join(parts[-1] for parts in classes if parts[0] == library)}"
        for library in ("timm", "torchvision")
    )


def _named_sites(model: nn.Module, paths: list[str], example_input: object) -> list[Site]:
    modules = dict(model.named_modules())
    if not paths:
        raise RequestError("at=[] names no module: pass the paths of some, or leave it out")
    ends = []
    for path in paths:
        if path not in modules:
            raise RequestError(unknown_name(f"module of {type(model).__name__}", path, filter(None, modules)))
        while isinstance(modules[path], nn.Sequential) and len(modules[path]):
            # It would run a child of its own accord: take its last.
            path = f"{path}.{list(dict(modules[path].named_children()))[-1]}".lstrip(".")
        check_free(path, modules[path])
        ends.append(path)
    if twice := {path for path in ends if ends.count(path) > 1}:
        raise RequestError(
            f"at= comes to {', '.join(sorted(twice))} more than once: attention goes there once"
        )
    unread = [path for path in ends if _width(modules[path]) is None]
    measured = measure_channels(model, unread, example_input) if unread else {}
    return [
        Site(path, _width(modules[path]) or measured[path], number, "block", "after", path)
        for number, path in enumerate(ends, start=1)
    ]


def _width(module: nn.Module) -> int | None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return module.out_channels
    return module.num_features if isinstance(module, nn.BatchNorm2d) else None
