"""The maps that attention makes for itself, caught while a network runs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import MECHANISMS
from foveate.attention.intermediates import showing
from foveate.errors import RequestError, unknown_name
from foveate.kernels import only_reference
from foveate.models.sites.attach import attached
from foveate.models.sites.find import check_model
from foveate.models.sites.wrappers import unwrap

__all__ = ["Maps", "attention_modules", "capture"]


class Maps(dict[str, dict[str, Tensor]]):
    """What attention showed of itself, by the path of its module and by the name in its equations.

    A path that leads to one attention alone stands for it: "layer1.0" for "layer1.0.bn2.attention". What
    never ran is not there.
    """

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or (isinstance(path, str) and len(self._inside(path)) == 1)

    def get(self, path: str, default: Any = None) -> Any:
        """The maps of the attention that `path` stands for, or `default`."""
        try:
            return self[path]
        except RequestError:
            return default

    def __missing__(self, path: str) -> dict[str, Tensor]:
        inside = self._inside(path)
        if len(inside) == 1:
            return self[inside[0]]
        if inside:
            raise RequestError(f"{path!r} has the attention {', '.join(inside)}: name one of them")
        if not self:
            raise RequestError(f"there are no maps of {path!r}: run the network within the `with` block")
        raise RequestError(unknown_name("attention", path, self))

    def _inside(self, path: str) -> list[str]:
        return [site for site in self if site.startswith(f"{path}.") or path == ""]


@contextmanager
def capture(model: nn.Module) -> Iterator[Maps]:
    """Catch the maps of all attention in `model`, attached or its own, while it runs within the block.

        with foveate.capture(model) as maps:
            model(images)
        maps["layer1.0"]["F_multi"]  # (B, 1, H, W)

    The names are those of `foveate.attached`; see `Maps` for shorter ones. Values are detached; those of the
    last forward stay. What a mechanism shows is in docs/explain.md; a part that was left out shows nothing.

    Within the block all attention runs by its equations, because the fast paths make no such maps, and what
    was compiled runs uncompiled, the latter in the whole process. Only what this thread runs is caught.
    Blocks may be nested, and overlap in several threads. The model is as it was at the end, also after an
    exception; a copy made of it within the block keeps the hooks of the block.

    Raises RequestError for a model without attention.
    """
    check_model(model)
    sites = attention_modules(model)
    if not sites:
        raise RequestError(
            f"{type(model).__name__} has no attention whose maps could be caught: put some in with "
            'foveate.attach(model, "dmsca"), or build it with foveate.create_attention'
        )
    maps, running = Maps(), list[str]()

    def listen(name: str, value: Any) -> None:
        if running:
            found = value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
            maps.setdefault(running[-1], {})[name] = found

    with ExitStack() as undo:
        for site, module in sites.items():
            for handle in _follow(site, module, running):
                undo.callback(handle.remove)
        undo.enter_context(only_reference())
        undo.enter_context(_uncompiled())
        undo.enter_context(showing(listen))
        yield maps


class _Stance:
    """That of the process while blocks are open: the first to open sets it, the last to close restores it."""

    lock = threading.Lock()
    count = 0
    undo = ExitStack()


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run uncompiled what was compiled, in the whole process."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and looking would load it
        yield
        return
    with _Stance.lock:
        if _Stance.count == 0:
            _Stance.undo.enter_context(torch.compiler.set_stance("force_eager"))
        _Stance.count += 1
    try:
        yield
    finally:
        with _Stance.lock:
            _Stance.count -= 1
            if _Stance.count == 0:
                _Stance.undo.close()


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """All attention in `model` by path: what `attach` put in, and mechanisms that it was built with."""
    model = unwrap(model)
    found = attached(model)
    kinds = tuple(mechanism.module for mechanism in MECHANISMS.values())
    for path, module in model.named_modules():
        inside = any(path == site or path.startswith(f"{site}.") or site == "" for site in found)
        if isinstance(module, kinds) and not inside:
            found[path] = module
    order = {path: number for number, (path, _) in enumerate(model.named_modules())}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def _follow(site: str, module: nn.Module, running: list[str]) -> tuple[Any, Any]:
    """Keep `site` in `running` while `module` runs in this thread."""
    own = threading.get_ident()

    def begin(module: nn.Module, args: Any) -> None:
        if threading.get_ident() == own:
            running.append(site)

    def end(module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() == own:
            running.pop()

    return (
        module.register_forward_pre_hook(begin, prepend=True),
        module.register_forward_hook(end, always_call=True),
    )
