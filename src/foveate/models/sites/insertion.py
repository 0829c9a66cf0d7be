"""Install attention in the module at its site: the module gets a class of its own instead of a hook.

The class is a subclass of the module's class. Its `forward` is the original one followed by the attention, or
preceded by it. The attention is a child called `attention`, so the keys of the network's own weights stay.

A forward hook would compute the same in eager mode, but tools do not see it. `torch.compile` does not guard
on hooks: it reuses the graph of the network without attention. Tools that fuse, quantise or count recognise
a norm by its class, and drop or ignore its hooks. They do see a class: the compiler guards on it, and fusers
do not match it. To `torch.fx` the module is a leaf if its original class is one; the attention always is.

Tools that replace the module at the site (by a synchronised or a frozen norm) still drop the class. Therefore
the module around it, whose forward runs the site, has a class of its own as well. It checks its sites at each
forward: attention that was kept as a child is inserted again; if it is gone, RequestError is raised.
"""

import functools
import types
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from foveate.errors import RequestError
from foveate.models.sites.frozen import check_learning
from foveate.models.sites.token_grids import Grid, Layout, Side, from_map, to_map
from foveate.torch_private import children_of

__all__ = [
    "CHILD",
    "change_class",
    "check_class",
    "has_attention",
    "insert",
    "original_class",
    "record_grid",
    "remove",
]

CHILD = "attention"
SITES = "attention_sites"  # attribute of the module around sites: their path in it, and in the network
LAYOUT = "attention_layout"  # attribute of the module at a site whose maps are no (B, C, H, W)
SOURCE = "attention_grid"  # attribute of the module that knows the grid of tokens: the side, and the grid
ORIGINAL = "class_without_attention"  # attribute of the classes that are made here
LEAF = "torch.nn.modules"  # torch.fx traces into no module from there; not all attention can be traced
Position = Literal["after", "before"]


def insert(model: nn.Module, path: str, attention: nn.Module, layout: Layout | None = None) -> None:
    """Apply `attention`, which carries its `placement`, at the module at `path` from now on.

    `layout` is that of the maps there, if it is not (B, C, H, W).
    """
    owner = model.get_submodule(path)
    vars(attention)["__module__"] = LEAF
    owner.add_module(CHILD, attention)
    if layout is not None:
        setattr(owner, LAYOUT, layout)
    _set_class(owner)
    _guard(model, path, grid=False)


def record_grid(model: nn.Module, path: str, side: Side) -> Grid:
    """Let the module at `path` record the size of its maps at each forward, and return where it does."""
    source = model.get_submodule(path)
    if SOURCE not in vars(source):
        setattr(source, SOURCE, (side, Grid()))
        _set_class(source)
        _guard(model, path, grid=True)
    grid: Grid = getattr(source, SOURCE)[1]
    return grid


class Guarded(NamedTuple):
    """What a module around checks: the path in the network, and whether it is the source of a grid."""

    path: str
    grid: bool


def _guard(model: nn.Module, path: str, *, grid: bool) -> None:
    """Let the module around `path` check at each forward that what was done to that module is still there."""
    steps = path.split(".") if path else []
    # YOLO's networks run the children of their Sequential themselves, each on what its `f` names.
    in_a_yolo = hasattr(model.get_submodule(path), "f")
    for count in reversed(range(len(steps))):
        around = model.get_submodule(".".join(steps[:count]))
        runs = original_class(around).forward
        if in_a_yolo and runs is nn.Sequential.forward:
            continue
        if runs is not nn.Module.forward:  # a list of modules does not run
            setattr(
                around, SITES, {**getattr(around, SITES, {}), ".".join(steps[count:]): Guarded(path, grid)}
            )
            _set_class(around)
            break


def remove(model: nn.Module) -> None:
    """Undo all that `insert` did to `model`.

    Raises RequestError, and changes nothing, where the class of a module was changed after `insert`.
    """
    for path, module in model.named_modules():
        _refuse_later_class(path, module)
    for module in model.modules():
        if has_attention(module):
            delattr(module, CHILD)
        for name in (SITES, LAYOUT, SOURCE):
            if name in vars(module):
                delattr(module, name)
        _set_class(module)


def has_attention(module: nn.Module) -> bool:
    """Whether `insert` put attention into `module`."""
    return hasattr(children_of(module).get(CHILD), "placement")


def original_class(module: nn.Module) -> Any:
    """Return the class of `module` without attention."""
    return vars(type(module)).get(ORIGINAL, type(module))


def change_class(module: Any, kind: type[nn.Module]) -> None:
    """Give `module` the class `kind` in place of its original class; it keeps its attention."""
    module.__class__ = kind
    _set_class(module)


def check_class(path: str, module: nn.Module) -> None:
    """Raise RequestError if the module at `path` would not run attention by a class of its own."""
    _refuse_later_class(path, module)
    name = type(module).__name__
    if isinstance(module, torch.fx.GraphModule):
        raise RequestError(
            f"{path!r} is a {name}, whose forward torch.fx writes anew: attach to a module inside of it, or "
            "to the network that was traced"
        )
    if "forward" in vars(module):
        raise RequestError(
            f"{path!r} ({name}) has a forward that was set on the module itself, and would run without the "
            "attention: attach before it is set"
        )


def _refuse_later_class(path: str, module: nn.Module) -> None:
    if hasattr(type(module), ORIGINAL) and ORIGINAL not in vars(type(module)):
        raise RequestError(
            f"the class of {path!r} was changed to {type(module).__name__} after attention was attached: "
            "undo that first, as torch.nn.utils.parametrize.remove_parametrizations does"
        )


def _set_class(module: Any) -> None:
    """Give `module` the class that fits the attention in it and the sites inside of it."""
    attention: Any = children_of(module).get(CHILD)
    position = attention.placement.position if has_attention(module) else None
    original, around = original_class(module), SITES in vars(module)
    layout = vars(module).get(LAYOUT) if position else None
    side = vars(module)[SOURCE][0] if SOURCE in vars(module) else None
    role = Role(position, around, layout is not None, side)
    wanted = _make_class(original, role) if any(role) else original
    if type(module) is not wanted:
        module.__class__ = wanted


class Role(NamedTuple):
    """What the class of a module does beside its forward."""

    position: Position | None  # of the attention that it runs
    around: bool  # it checks the sites inside of it
    converts: bool  # its maps are no (B, C, H, W)
    side: Side | None  # it records the size of the grid of tokens


@functools.cache
def _make_class(original: Any, role: Role) -> Any:
    """Make the subclass of `original` that has `role`.

    All modules of one class share it; those with different attention differ in the class of the child.
    """

    position, _, converts, side = role

    @functools.wraps(original.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.check_attention()
        if side == "input":
            self.attention_grid[1].size = args[0].shape[1:3]
        if position == "before":
            args = (attend(self, args[0]), *args[1:])
        output = original.forward(self, *args, **kwargs)
        if side == "output":
            self.attention_grid[1].size = output.shape[2:4]
        return attend(self, output) if position == "after" else output

    def attend(self: Any, x: Any) -> Any:
        if not converts:
            return self.attention(x)
        layout = self.attention_layout
        return from_map(self.attention(to_map(x, layout, self.attention.placement.path)), x, layout)

    # As a method: until torch 2.11 the compiler takes no module as the argument of such a function.
    @torch.compiler.assume_constant_result  # it checks once a graph: it guards on classes and parameters
    def check_attention(self: Any) -> bool:
        return _check(self)

    def __reduce_ex__(self: Any, protocol: Any) -> tuple[Any, ...]:  # noqa: N807
        build, arguments, *rest = original.__reduce_ex__(self, max(int(protocol), 2))
        arguments = tuple(original if one is made else one for one in arguments)
        return _build_again, (build, arguments, role), *rest

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807
        if name == "forward":
            _refuse_other_forward(self, value)
        original.__setattr__(self, name, value)

    def __prepare_scriptable__(self: Any) -> Any:  # noqa: N807  torch.jit.script would read the original forward
        raise RequestError(
            f"TorchScript cannot script a {original.__name__} with attention: use torch.export, or "
            "torch.jit.trace, or call foveate.detach(model) first"
        )

    name = original.__name__ + ("WithAttention" if position else "")
    members = {
        "__doc__": original.__doc__,
        # torch.fx decides by it what a leaf is. The size of a grid is recorded in Python: no graph has that.
        "__module__": LEAF if converts or side else original.__module__,
        "__qualname__": original.__qualname__.removesuffix(original.__name__) + name,
        "__prepare_scriptable__": __prepare_scriptable__,
        "__reduce_ex__": __reduce_ex__,
        "__setattr__": __setattr__,
        "check_attention": check_attention,
        "forward": forward,
        ORIGINAL: original,
    }
    made = types.new_class(name, (original,), exec_body=lambda namespace: namespace.update(members))
    return made


def _build_again(build: Callable[..., Any], arguments: tuple[Any, ...], role: Role) -> Any:
    """Build a module for copy and pickle, which cannot find the classes that are made here by name."""
    module = build(*arguments)
    kind: Any = type(module)
    module.__class__ = _make_class(kind, role)
    return module


def _refuse_other_forward(module: Any, forward: Any) -> None:
    """Raise RequestError where another method of `module` becomes its forward, as in fused blocks."""
    other = getattr(forward, "__func__", type(module).forward) is not type(module).forward
    if other and forward.__self__ is module:
        sites = [one.path for one in vars(module).get(SITES, {}).values()] or [
            module.attention.placement.path
        ]
        raise RequestError(
            f"the forward of a {type(module).__name__} would become {forward.__name__}, which runs without "
            f"the attention at {', '.join(sites)}: change the network first, then attach"
        )


def _check(module: Any) -> bool:
    for inner, guarded in vars(module).get(SITES, {}).items():
        _check_site(guarded, _find(module, inner))
    if module.training and torch.is_grad_enabled() and has_attention(module):
        check_learning(module.attention)
    return True


def _check_site(guarded: Guarded, owner: nn.Module | None) -> None:
    """Restore the class of the guarded module `owner` if it was lost; raise if the attention is gone."""
    if owner is not None and (has_attention(owner) or SOURCE in vars(owner)):
        if not hasattr(type(owner), ORIGINAL):
            _set_class(owner)
    elif owner is None or not any(map(has_attention, owner.modules())):  # else it was wrapped
        if guarded.grid:
            raise RequestError(
                f"the grid of tokens at {guarded.path!r} is no longer recorded, because that module was "
                "replaced: change the network first, then attach"
            )
        what = "removed it" if owner is None else f"put in a {type(owner).__name__} left it out"
        raise RequestError(
            f"the attention at {guarded.path!r} is gone: what {what}. "
            "Freeze, convert or fuse the modules of the network first, then attach"
        )


def _find(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None
