"""Where attention can go in a network: its residual blocks and its stages' ends.

The tables name classes by strings, so that no library is imported to look for its networks. A new network is
a line in `STAGES`, and one in `BLOCKS` if its blocks are new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from torch import nn

from foveate.errors import RequestError, unknown_name

__all__ = ["BLOCKS", "STAGES", "Site", "sites"]


class Block(NamedTuple):
    """Where a residual branch ends: after or before which module of its block, and how wide it is there."""

    position: Literal["after", "before"]
    module: str
    channels: str  # the convolution whose out_channels they are


BLOCKS: dict[str, Block] = {
    "timm.models.resnet.BasicBlock": Block("after", "bn2", channels="conv2"),
    "timm.models.resnet.Bottleneck": Block("after", "bn3", channels="conv3"),
    "timm.models.convnext.ConvNeXtBlock": Block("before", "drop_path", channels="conv_dw"),
    "torchvision.models.resnet.BasicBlock": Block("after", "bn2", channels="conv2"),
    "torchvision.models.resnet.Bottleneck": Block("after", "bn3", channels="conv3"),
    "torchvision.models.convnext.CNBlock": Block("before", "stochastic_depth", channels="block.0"),
}

# A network's stages in order. Stages that a shorter network of the class does not have are passed over.
STAGES: dict[str, tuple[str, ...]] = {
    "timm.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "timm.models.convnext.ConvNeXt": ("stages.0", "stages.1", "stages.2", "stages.3"),
    "torchvision.models.resnet.ResNet": ("layer1", "layer2", "layer3", "layer4"),
    "torchvision.models.convnext.ConvNeXt": ("features.1", "features.3", "features.5", "features.7"),
}


@dataclass(frozen=True)
class Site:
    """A place for attention: after (or before) the module at `path` runs, on its NCHW output (or input)."""

    name: str  # of the block or the stage, such as "layer1.0" or "layer1"
    channels: int
    stage: int  # counted from 1
    where: Literal["block", "stage"]
    position: Literal["after", "before"]
    path: str


def sites(model: nn.Module, where: str | None = None) -> list[Site]:
    """List the sites of `model` in the order in which they run, of one kind if `where` is "block" or "stage".

    "block": at the end of every residual branch, before the addition; in ConvNeXt after the layer scale and
    before stochastic depth. "stage": at every stage's end, before the next downsampling. Networks inside of
    other modules are found too; a model without any that is known has no sites.
    """
    if where not in (None, "block", "stage"):
        raise RequestError(unknown_name("place", str(where), ("block", "stage")))
    modules = dict(model.named_modules())
    found = []
    for prefix, network in modules.items():
        for number, stage in enumerate(_entry(STAGES, network) or (), start=1):
            path = f"{prefix}.{stage}" if prefix else stage
            if path in modules:
                found += _sites_of_stage(modules[path], path, number)
    return [site for site in found if where in (None, site.where)]


Entry = TypeVar("Entry")


def _entry(table: Mapping[str, Entry], module: nn.Module) -> Entry | None:
    """Look up the class of `module`, or else its nearest base, in a table of qualified class names."""
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__)
    return next((table[name] for name in names if name in table), None)


def _sites_of_stage(stage: nn.Module, path: str, number: int) -> list[Site]:
    blocks = []
    for name, module in stage.named_modules(prefix=path):
        if block := _entry(BLOCKS, module):
            channels = module.get_submodule(block.channels).out_channels
            blocks.append(Site(name, channels, number, "block", block.position, f"{name}.{block.module}"))
    if not blocks:
        return []
    # A Sequential would run a child of its own accord, and gradient checkpointing flattens it: take its last.
    end, end_path = stage, path
    while isinstance(end, nn.Sequential):
        name, end = list(end.named_children())[-1]
        end_path = f"{end_path}.{name}"
    return [*blocks, Site(path, blocks[-1].channels, number, "stage", "after", end_path)]
