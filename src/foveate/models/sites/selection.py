"""Which sites of a network `attach` takes, and every reason to refuse."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NoReturn

import torch
from torch import nn

from foveate.attention import Mechanism
from foveate.errors import RequestError, remedy
from foveate.models.sites.architectures import CHANNELS_LAST, JOINTS, RUNS, STAGES
from foveate.models.sites.dry_run import NotRunError, measure_channels
from foveate.models.sites.find import Site, check_model, is_known, known_block, look_up, sites
from foveate.models.sites.insertion import CHILD, check_class, original_class
from foveate.models.sites.layouts import Spot, spots
from foveate.models.sites.patterns import expand, inside, paths_of
from foveate.models.sites.wrappers import refuse_wrapped
from foveate.torch_private import children_of

__all__ = ["check_free", "choose_sites"]

PAPERS_STAGES = 4
LIBRARIES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "transformers": "transformers",
}
"""How the libraries whose networks are known are called, by the first name of their modules."""


def choose_sites(
    model: nn.Module,
    mechanism: Mechanism,
    where: str | None,
    stages: int | Collection[int] | None,
    at: str | Collection[str | Site] | Callable[[Site], bool] | None,
    example_input: Any = None,
    exclude: str | Collection[str] | None = None,
) -> list[Site]:
    """Return the sites that the arguments of `attach` select, at least one.

    Patterns of `at` and `exclude` are those of `patterns.expand`.

    Raises RequestError where they select none, or where `model` would not run what is attached to it.
    """
    check_model(model)
    refuse_wrapped(model)
    excluded = _excluded(model, exclude)
    if at is None or callable(at):
        found = _kept(_known_sites(model, mechanism, where, stages), excluded, exclude)
        if at is not None and not (found := [site for site in found if at(site)]):
            raise RequestError(
                f"at= keeps none of the sites of {type(model).__name__}: see foveate.sites(model)"
            )
        return found
    if where is not None or stages is not None:
        raise RequestError("at= names modules, so that where= and stages= have no meaning: leave them out")
    given: list[Any] = [at] if isinstance(at, str) or not isinstance(at, Iterable) else list(at)
    if given and all(isinstance(one, Site) for one in given):
        # In a YOLO, a block is the end of its stage: both sites are at one module.
        return _kept(list({site.path: site for site in reversed(given)}.values())[::-1], excluded, exclude)
    if not given or not all(isinstance(one, str) for one in given):
        raise RequestError(
            f'at={at!r}: expected paths of modules such as ["features.3"], endings of them, a regular '
            "expression, sites from foveate.sites(model), or a callable that takes a site"
        )
    named = expand(given, paths_of(model), type(model).__name__)
    if excluded and not (named := [path for path in named if not inside(path, excluded)]):
        raise _nothing_left(exclude)
    return _named_sites(model, named, example_input)


def _excluded(model: nn.Module, exclude: str | Collection[str] | None) -> list[str]:
    """Return the paths of the modules in which no attention goes."""
    if exclude is None:
        return []
    given: list[Any] = [exclude] if isinstance(exclude, str) else list(exclude)
    if not all(isinstance(one, str) for one in given):
        raise RequestError(
            f'exclude={exclude!r}: expected paths of modules such as ["layer4"], endings of them, or a '
            "regular expression"
        )
    return expand(given, paths_of(model), type(model).__name__)


def _kept(found: list[Site], excluded: list[str], exclude: object) -> list[Site]:
    kept = [site for site in found if not (inside(site.path, excluded) or inside(site.name, excluded))]
    if not kept:
        raise _nothing_left(exclude)
    return kept


def _nothing_left(exclude: object) -> RequestError:
    return RequestError(
        f"exclude={exclude!r} leaves none of the chosen sites: exclude less, or choose others"
    )


def check_free(path: str, owner: nn.Module) -> None:
    """Raise RequestError if the module at `path` has attention, a child of that name, or cannot have it."""
    if hasattr(owner, CHILD):
        raise RequestError(
            f"{path!r} has a child {CHILD!r} already: attention goes to a site once. "
            + remedy(
                python="Call foveate.detach(model) first, or choose other sites.",
                command="Name a backbone that has none of its own, or choose other sites with at.",
            )
        )
    check_class(path, owner)


def _known_sites(
    model: nn.Module, mechanism: Mechanism, where: str | None, stages: int | Collection[int] | None
) -> list[Site]:
    place = mechanism.where if where is None else where
    found = sites(model, place)
    if not found:
        _refuse_unknown(model, place)
    if stages is None:
        if not mechanism.stages or place != mechanism.where:
            return found
        papers = [
            site for network in _by_network(found) for site in _at_papers_stages(network, mechanism.stages)
        ]
        return papers or found  # a ViT has one stage
    numbers = sorted({site.stage for site in found})
    chosen = [stages] if isinstance(stages, int) else list(stages) if isinstance(stages, Iterable) else []
    if not chosen or any(isinstance(stage, bool) or stage not in numbers for stage in chosen):
        raise RequestError(
            f"stages={stages!r}: {type(model).__name__} has the stages {numbers}, choose among them"
        )
    return [site for site in found if site.stage in chosen]


def _by_network(found: list[Site]) -> list[list[Site]]:
    """Group the sites by network: where the stages begin again, the next network does."""
    networks: list[list[Site]] = []
    for site in found:
        if not networks or site.stage < networks[-1][-1].stage:
            networks.append([])
        networks[-1].append(site)
    return networks


def _at_papers_stages(found: list[Site], stages: tuple[int, ...]) -> list[Site]:
    shift = 1 if found[-1].stage == PAPERS_STAGES + 1 else 0
    return [site for site in found if site.stage - shift in stages]


def _refuse_unknown(model: nn.Module, where: str) -> NoReturn:
    name = type(model).__name__
    cure = "name modules with at=[…], as in " + remedy(
        python='foveate.attach(model, "se", at=["features.3"])',
        command="--attention 'se(at=[\"features.3\"])'",
    )
    if sites(model):
        other = "stage" if where == "block" else "block"
        raise RequestError(
            f'{name} has no {"residual " * (where == "block")}{where}s: pass where="{other}", or {cure}'
        )
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        raise RequestError(
            f"{name} has no 2-d convolutions: attention weighs feature maps (B, C, H, W), and it has none"
        )
    if any(is_known(module) for module in model.modules()):
        raise RequestError(f"this {name} is made of blocks that are not known: {cure}")
    if any(isinstance(module, torch.fx.GraphModule) for module in model.modules()):
        raise RequestError(
            f"{name} was traced by torch.fx, and its forward is code that torch.fx wrote: attach to the "
            "network that it was traced from, and trace that. timm's features_only takes "
            'feature_cls="getter", which keeps the network whole'
        )
    classes = [known.split(".") for known in sorted({**STAGES, **RUNS, **JOINTS})]
    known = "; ".join(
        f"{LIBRARIES[library]}'s {', '.join(sorted({parts[-1] for parts in classes if parts[0] == library}))}"
        for library in LIBRARIES
    )
    raise RequestError(f"the {where}s of {name} are not known (known are {known}): {cure}")


def _named_sites(model: nn.Module, paths: list[str], example_input: Any) -> list[Site]:
    known = spots(model)
    modules = dict(model.named_modules(remove_duplicate=False))
    ends = []
    for path in paths:
        while original_class(modules[path]).forward is nn.Sequential.forward and len(
            children_of(modules[path])
        ):
            # It would run a child of its own accord: take its last.
            path = f"{path}.{list(children_of(modules[path]))[-1]}".lstrip(".")
        if original_class(modules[path]).forward is nn.Module.forward:
            raise RequestError(
                f"{path!r} is a {type(modules[path]).__name__}, which does not run: name its children"
            )
        check_free(path, modules[path])
        ends.append(path)
    if twice := {path for path in ends if ends.count(path) > 1}:
        raise RequestError(
            f"at= comes to {', '.join(sorted(twice))} more than once: attention goes there once"
        )
    plain = [path for path in ends if path not in known]
    _refuse_other_layouts(model, plain, known)
    channels: dict[str, int] = {}
    try:
        channels = measure_channels(model, plain, example_input) if plain else {}
    except NotRunError:
        read = {path: _width(modules[path]) for path in plain}
        channels = {path: width for path, width in read.items() if width is not None}
        if len(channels) < len(plain) or example_input is not None:
            raise
    return [
        Site(path, known[path].channels, number, "block", known[path].position, path, known[path].kind)
        if path in known
        else Site(path, channels[path], number, "block", "after", path)
        for number, path in enumerate(ends, start=1)
    ]


def _refuse_other_layouts(model: nn.Module, paths: list[str], known: Mapping[str, Spot]) -> None:
    """Raise RequestError for modules whose output is no map (B, C, H, W), although it may look like one."""
    blocks = [path for path, module in model.named_modules() if known_block(module).layout != "map"]
    for path in paths:
        for block in blocks:
            places = [place for place in known if inside(place, [block])]
            if places and inside(path, [block]):
                raise RequestError(
                    f"{path!r} lies in a block that works on tokens or with channels last; attention goes to "
                    f"{' or '.join(map(repr, places))} there"
                )
        last = str(getattr(model, "output_fmt", "")).upper().endswith("NHWC") or any(
            look_up(CHANNELS_LAST, module, False) for module in model.modules()
        )
        if last and _width(model.get_submodule(path)) is None:
            raise RequestError(
                f"{type(model).__name__} keeps its maps as (B, H, W, C); attention weighs maps (B, C, H, W)"
                + f": {path!r} is none of its blocks, of which foveate.sites(model) lists the places"
                * bool(known)
            )


def _width(module: nn.Module) -> int | None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return module.out_channels
    return module.num_features if isinstance(module, nn.BatchNorm2d) else None
