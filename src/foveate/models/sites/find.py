"""Where attention can go in a network: its residual blocks and its stages' ends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import nn

from foveate.errors import RequestError, unknown_name
from foveate.models.sites.architectures import (
    BLOCKS,
    CSP_BLOCKS,
    CSP_CHILDREN,
    GRIDS,
    GROUPED_BY_SIZE,
    JOINTS,
    NO_BLOCK,
    NO_GRID,
    RUNS,
    STAGES,
    TAKEN_APART,
    Block,
    MapLayout,
)
from foveate.models.sites.frozen import is_frozen
from foveate.models.sites.insertion import CHILD, has_attention, original_class
from foveate.torch_private import children_of

__all__ = ["Site", "check_model", "has_grid", "is_known", "known_block", "look_up", "resolve_path", "sites"]


@dataclass(frozen=True)
class Site:
    """A place for attention: after (or before) the module at `path` runs, on its output (or input).

    That is a map (B, C, H, W), or by `layout` one with channels last (B, H, W, C), or the tokens (B, N, C) of
    a grid; attention gets (B, C, H, W) everywhere.
    """

    name: str  # of the block or the stage, such as "layer1.0" or "layer1"
    channels: int
    stage: int  # counted from 1
    where: Literal["block", "stage"]
    position: Literal["after", "before"]
    path: str
    layout: MapLayout = "map"


def sites(model: nn.Module, where: str | None = None) -> list[Site]:
    """List the sites of `model` in the order in which they run, of one kind if `where` is "block" or "stage".

    "block": at the end of each residual branch, after its last norm and before the addition; in ConvNeXt
    after the layer scale and before stochastic depth; in transformers and hybrids at the same place of the
    MLP's branch; in YOLOs after each C2f, C3, C3k2 and SPPF. Blocks whose stride leaves no shortcut count
    too.
    "stage": at the end of each stage, before the next downsampling; in MobileNets and EfficientNets a stage
    is all that runs at one map size. Networks inside of other modules are found too, as are those that a
    detector or a feature extractor has taken apart; a model without a known network has no sites.

    Raises RequestError for an unknown `where`, and where the constructor of a detector has frozen attention
    that was attached before, so that it could never learn. A network that torch.fx has traced has no sites:
    its forward is code that torch.fx wrote.
    """
    if where not in (None, "block", "stage"):
        raise RequestError(unknown_name("place", str(where), ("block", "stage")))
    check_model(model)
    found: list[Site] = []
    csp: list[str] = []  # blocks of a YOLO, which may hold others in a row
    for prefix, network in model.named_modules():
        if _is_csp(network):
            csp.append(prefix)
        if any(prefix.startswith(f"{block}.") for block in csp):
            continue
        prefix = f"{prefix}." if prefix else ""
        if look_up(TAKEN_APART, network, False):
            _refuse_frozen_attention(network, prefix)
        for number, (name, blocks) in enumerate(_stages(network, prefix), start=1):
            found += [_block_site(block, number, path) for path, block in blocks]
            # After the last block: some stages run each of their children, and attention is a child.
            end, known = blocks[-1][0], known_block(blocks[-1][1])
            width = found[-1].channels * known.widening
            found.append(Site(name, width, number, "stage", "after", end, known.output or known.layout))
        inside = _present(look_up(JOINTS, network, {}), network)
        for number, (name, joint) in enumerate(inside.items(), start=1):
            width = _attribute(network, joint, "num_features")
            found.append(Site(prefix + name, width, number, "stage", "before", prefix + joint))
    return [site for site in found if where in (None, site.where)]


def check_model(model: nn.Module) -> None:
    """Raise RequestError unless `model` is a module."""
    if not isinstance(model, nn.Module):
        raise RequestError(f"a model is an nn.Module, got {type(model).__name__}")


def is_known(module: nn.Module) -> bool:
    """Return whether the tables name the class of `module`."""
    return any(look_up(table, module, None) for table in (STAGES, RUNS, JOINTS, TAKEN_APART))


def resolve_path(module: nn.Module, path: str) -> str:
    """Return `path` with its negative numbers, which count children from the end, written as their names."""
    steps: list[str] = []
    for step in path.split("."):
        inner = module.get_submodule(".".join(steps))
        steps.append([*dict(inner.named_children())][int(step)] if step.startswith("-") else step)
    return ".".join(steps)


Blocks = list[tuple[str, nn.Module]]  # by path
Entry = TypeVar("Entry")


def look_up(table: Mapping[str, Entry], module: nn.Module, default: Entry) -> Entry:
    """Look up the class of `module`, or else its nearest base, in a table of qualified class names."""
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__)
    return next((table[name] for name in names if name in table), default)


def known_block(block: nn.Module) -> Block:
    """Return the entry of `BLOCKS` for the class of `block`, that of a block of a YOLO, or `NO_BLOCK`."""
    if _is_csp(block):
        return Block("after", "", "cv3.conv" if "cv3" in children_of(block) else "cv2.conv")
    return look_up(BLOCKS, block, NO_BLOCK)


def _is_csp(module: nn.Module) -> bool:
    """Return whether `module` has the name and the structure of a block of a YOLO (C2f, C3k2, C3, SPPF)."""
    names = {cls.__name__ for cls in type(module).__mro__}
    children = children_of(module)
    if names.isdisjoint(CSP_BLOCKS) or not all(name in children for name in CSP_CHILDREN):
        return False
    return hasattr(children["cv3" if "cv3" in children else "cv2"], "conv")


def _blocks(module: nn.Module, path: str) -> Blocks:
    def adds(block: Block, inner: nn.Module) -> bool:
        if block is NO_BLOCK or block.only_if is None:
            return block is not NO_BLOCK
        *outer, name = block.only_if.split(".")
        for step in outer:
            inner = getattr(inner, step, inner)
        return bool(getattr(inner, name, False))

    found: Blocks = []
    for name, inner in module.named_modules(prefix=path):
        # MobileViT's blocks have blocks of a ViT inside.
        if adds(known_block(inner), inner) and not (found and name.startswith(f"{found[-1][0]}.")):
            found.append((name, inner))
    return found


def _stages(network: nn.Module, prefix: str) -> Iterator[tuple[str, Blocks]]:
    """Yield the name and the blocks, at least one, of each stage of `network`."""
    if isinstance(network, nn.Sequential):
        yield from _csp_stages(network, prefix)
        return
    if not is_known(network):
        return
    modules = dict(network.named_modules())
    for stage in look_up(STAGES, network, ()):
        if stage in modules and (blocks := _blocks(modules[stage], prefix + stage)):
            if look_up(GRIDS, network, NO_GRID) is NO_GRID or not has_grid(network):
                blocks = _of_known_grid(blocks)
            elif _classifies_by_class_token(network):
                blocks = blocks[:-1]
            if blocks:
                yield prefix + stage, blocks
    for whole in look_up(RUNS, network, ()):
        yield from _runs(_blocks(modules[whole], prefix + whole))
    if look_up(TAKEN_APART, network, False) and not any(map(is_known, list(network.modules())[1:])):
        blocks = _blocks(network, prefix.rstrip("."))
        if any(original_class(block).__module__ in GROUPED_BY_SIZE for _, block in blocks):
            yield from _runs(blocks)
            return
        for name, child in network.named_children():
            if name.startswith("stem"):  # EfficientViT has a residual block there
                continue
            if blocks := _of_known_grid(_blocks(child, prefix + name)):
                yield prefix + name, blocks


def _csp_stages(network: nn.Sequential, prefix: str) -> Iterator[tuple[str, Blocks]]:
    """Yield the stages of a YOLO, backbone and neck: its blocks in a row, with nothing else between them."""
    run: Blocks = []
    for name, child in network.named_children():
        if _is_csp(child):
            run.append((prefix + name, child))
        elif run:
            yield run[-1][0], run
            run = []
    if run:
        yield run[-1][0], run


def has_grid(network: nn.Module) -> bool:
    """Return whether `network`, which is in `GRIDS`, has the module that knows the grid of its tokens."""
    try:
        network.get_submodule(resolve_path(network, look_up(GRIDS, network, NO_GRID).source))
    except AttributeError:
        return False
    return True


def _of_known_grid(blocks: Blocks) -> Blocks:
    """Return the blocks that need no module around them to know the grid of their tokens."""
    return [
        (path, block)
        for path, block in blocks
        if known_block(block).layout != "tokens" or known_block(block).reads_input
    ]


def _classifies_by_class_token(network: nn.Module) -> bool:
    """Return whether the output depends on the class token alone."""
    by = look_up(GRIDS, network, NO_GRID).class_token_only
    return by if isinstance(by, bool) else getattr(network, "global_pool", None) == by


def _present(joints: Mapping[str, str], network: nn.Module) -> dict[str, str]:
    """Return the joints that `network` has: detectors keep only the first stages."""
    if not joints:
        return {}
    modules = dict(network.named_modules())
    return {stage: joint for stage, joint in joints.items() if stage in modules and joint in modules}


def _runs(blocks: Blocks) -> Iterator[tuple[str, Blocks]]:
    """Group consecutive blocks of one map size; the name of a group is that of its last block."""
    run: Blocks = []
    for path, block in blocks:
        if run and _shrinks(block):
            yield run[-1][0], run
            run = []
        run.append((path, block))
    if run:
        yield run[-1][0], run


def _refuse_frozen_attention(network: nn.Module, prefix: str) -> None:
    """Raise RequestError where attention is frozen, and the rest of a network that is in training is not."""
    if not network.training or not any(parameter.requires_grad for parameter in network.parameters()):
        return
    for path, module in network.named_modules(prefix=prefix.rstrip(".")):
        if has_attention(module) and is_frozen(module.get_submodule(CHILD)):
            raise RequestError(
                f"the attention at {path!r} is frozen (requires_grad=False), as the stage that it was "
                "attached to: it could never learn. Attach after the detector is built, or let it learn: for "
                "module in foveate.attached(model).values(): module.requires_grad_(True)"
            )


def _shrinks(block: nn.Module) -> bool:
    """Return whether any layer of the block has a stride, those of attention excluded."""
    layers = (module for path, module in block.named_modules() if CHILD not in path.split("."))
    strides = (getattr(layer, "stride", 1) for layer in layers)
    return any(set(stride) != {1} if isinstance(stride, tuple | list) else stride != 1 for stride in strides)


def _block_site(block: nn.Module, stage: int, path: str) -> Site:
    known = known_block(block)
    inside = resolve_path(block, known.module)
    last = block.get_submodule(resolve_path(block, known.channels))
    width = last.out_features if isinstance(last, nn.Linear) else last.out_channels
    return Site(path, width, stage, "block", known.position, f"{path}.{inside}".rstrip("."), known.layout)  # type: ignore[arg-type]


def _attribute(module: nn.Module, path: str, name: str) -> Any:
    return getattr(module.get_submodule(resolve_path(module, path)), name)
