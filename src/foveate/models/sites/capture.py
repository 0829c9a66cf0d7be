"""Record the intermediate maps of attention while a network runs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import MECHANISMS
from foveate.attention.intermediates import recording
from foveate.errors import RequestError, unknown_name
from foveate.kernels import only_reference
from foveate.models.sites.attach import attached
from foveate.models.sites.find import check_model, sites
from foveate.models.sites.insertion import CHILD
from foveate.models.sites.wrappers import unwrap

__all__ = ["Maps", "attention_modules", "attention_names", "capture"]


class Maps(dict[str, dict[str, Tensor]]):
    """Intermediate maps, by the path of the attention and by the name in its equations.

    The path of a module that holds exactly one attention stands for it: "layer1.0" for
    "layer1.0.bn2.attention". Attention that did not run is not in the dict.
    """

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or (isinstance(path, str) and len(self._inside(path)) == 1)

    def get(self, path: str, default: Any = None) -> Any:
        """Return the maps of the attention that `path` stands for, or `default`."""
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
    """Record the maps of all attention in `model`, attached or built in, while it runs within the block.

        with foveate.capture(model) as maps:
            model(images)
        maps["layer1.0"]["F_multi"]  # (B, 1, H, W)

    The names are those of `foveate.attached`; see `Maps` for shorter ones. Values are detached; those of the
    last forward pass are kept. docs/explain.md lists the maps of each mechanism; a part that is switched off
    has none.

    Within the block all attention runs by its reference equations, because the other kernel paths do not
    compute these maps, and compiled modules run uncompiled in the whole process. Only what this thread runs
    is recorded. Blocks may be nested, and overlap in several threads. At the end the hooks are removed, also
    after an exception; a copy that is made of the model within the block keeps them.

    Raises RequestError for a model without attention.
    """
    check_model(model)
    modules = attention_modules(model)
    if not modules:
        raise RequestError(
            f"{type(model).__name__} has no attention whose maps could be recorded: put some in with "
            'foveate.attach(model, "dmsca"), or build it with foveate.create_attention'
        )
    maps, running = Maps(), list[str]()

    def record(name: str, value: Any) -> None:
        if running:
            found = value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
            maps.setdefault(running[-1], {})[name] = found

    with ExitStack() as undo:
        for site, module in modules.items():
            for handle in _follow(site, module, running):
                undo.callback(handle.remove)
        undo.enter_context(only_reference())
        undo.enter_context(_uncompiled())
        undo.enter_context(recording(record))
        yield maps


class _Stance:
    """The compiler stance of the process: the first open block sets it, the last to close restores it."""

    lock = threading.Lock()
    count = 0
    undo = ExitStack()


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run compiled modules uncompiled, in the whole process."""
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
    """Return all attention in `model` by path: attached, and mechanisms that it was built with."""
    model = unwrap(model)
    found = attached(model)
    kinds = tuple(mechanism.module for mechanism in MECHANISMS.values())
    for path, module in model.named_modules():
        inside = any(path == site or path.startswith(f"{site}.") or site == "" for site in found)
        if isinstance(module, kinds) and not inside:
            found[path] = module
    order = {path: number for number, (path, _) in enumerate(model.named_modules())}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def attention_names(model: nn.Module) -> dict[str, str]:
    """Return by path the name of all attention in `model`: that of its site, as `foveate.sites` names it.

    Attention at no known site, or at one whose name another attention has, is named by the path of its site.
    """
    known = {site.path: site.name for site in sites(unwrap(model))}
    names: dict[str, str] = {}
    for path in attention_modules(model):
        at = path.removesuffix(f".{CHILD}")
        name = known.get(at, at)
        names[path] = at if name in names.values() else name
    return names


def _follow(site: str, module: nn.Module, running: list[str]) -> tuple[Any, Any]:
    """Install hooks that keep `site` in `running` while `module` runs in this thread; return the handles."""
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
